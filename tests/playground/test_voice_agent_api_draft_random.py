"""A client cannot tell whether answers are thought of ahead: the same conversations, with and without.

They are drawn by lot, and happen in virtual time.

The model answers with all that it was told, so that a word too many or too few in its history would be heard.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs
import trio
import trio.testing
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from playground.chat_completions import Endpoint
from playground.ears import PartialWords, SpeechOnset, SpeechStirs, TurnEnded, TurnMayEnd
from playground.openai_brain import OpenAIBrain
from playground.voice_agent_api import Personality, ServerOptions, ToneSpeech, VoiceAgentServer
from tests.playground.caller import Caller, calling

Step: TypeAlias = Literal[
    "stir", "speak", "look", "pause", "end", "end with other words", "noise",
    "create", "result", "prompt", "message",
]  # fmt: skip
STEPS: tuple[Step, ...] = Step.__args__  # type: ignore[attr-defined]
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Each example takes some 50 ms: making a failing one as small as can be would take minutes."""
WAITS_S = (0.0007, 0.1371, 1.0173, 5.0311)
"""Seldom does a step fall on a moment at which something else is due: which of the two is first is chance."""
MOST_RUNS = 50
IN_A_TURN = ("stir", "speak", "look", "pause")
LOOK = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {}},
}


@attrs.frozen
class Model(Endpoint):
    """Says three sentences, of which the first is all that it was told, and then perhaps calls a tool."""

    thinks_s: float = 0.0

    async def first_model(self) -> str:
        return "one that remembers"

    async def stream(
        self, model: str, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        await trio.sleep(self.thinks_s)
        told = []
        for message in messages:
            role, content = message["role"], str(message["content"])
            told.append(f"{role} {len(content.split()) if role == 'assistant' else content}")
            told += ["called"] * len(message.get("tool_calls", ()))
        yield {"content": f"{', '.join(told).replace('.', '')}. And two. And three. "}
        if "look" in messages[-1]["content"].split()[-1:]:
            yield {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "look", "arguments": "{}"}}]}


@attrs.frozen
class Conversation:
    """What happens, and how long nothing happens after each of it (s)."""

    steps: tuple[tuple[Step, float], ...]
    personality: Personality
    thinks_s: float

    def run(self, *, ahead: bool) -> list[tuple[float, dict[str, Any]]]:
        """What the client is sent, and when."""
        return trio.run(self._run, ahead, clock=trio.testing.MockClock(autojump_threshold=0))

    def runs_without(self) -> Iterator[list[tuple[float, dict[str, Any]]]]:
        """The same without thinking ahead, again and again: of what falls on one moment, chance decides."""
        for _ in range(MOST_RUNS):
            yield self.run(ahead=False)

    async def _run(self, ahead: bool) -> list[tuple[float, dict[str, Any]]]:
        model = Model("http://localhost", thinks_s=self.thinks_s)
        options = ServerOptions(
            personality=self.personality,
            speech=ToneSpeech,
            brain=lambda: OpenAIBrain(model),
            messages_reach_model=True,
            chunk_ms=200,
            enforce_session_end=False,
        )
        server = VoiceAgentServer(options)
        async with calling(server) as caller:
            began_s = trio.current_time()
            await caller.start(tools=[LOOK])
            words: list[str] = []
            for number, (step, wait_s) in enumerate(self.steps):
                await self._take(step, f"w{number}", words, server, caller, ahead=ahead)
                await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(wait_s)
            await trio.sleep(400)
            return [(round(one.at_s - began_s, 6), one.event) for one in caller.arrived]

    async def _take(
        self,
        step: Step,
        name: str,
        words: list[str],
        server: VoiceAgentServer,
        caller: Caller,
        *,
        ahead: bool,
    ) -> None:
        match step:
            case "stir" if not words:
                await server.hear(SpeechStirs())
            case "speak" | "look":
                if not words:
                    await server.hear(SpeechOnset())
                words.append(name if step == "speak" else "look")
                await server.hear(PartialWords(" ".join(words)))
            case "pause" if words and ahead:
                await server.hear(TurnMayEnd(" ".join(words)))
            case "end" | "end with other words" | "noise" if words:
                heard = {"end": " ".join(words), "noise": ""}.get(step, name)
                words.clear()
                await server.hear(TurnEnded(heard))
            case "create":
                await caller.send("reply.create", instructions=f"Say {name}")
            case "result":
                answered = caller.of("tool.call")[-1:]
                for call in answered:
                    await caller.send("tool.result", call_id=call["call_id"], result=name)
            case "prompt":
                await caller.send("session.update", session={"system_prompt": name})
            case "message":
                await caller.send("conversation.message", role="system", content=name)
            case _:
                pass


def told(arrived: Sequence[tuple[float, dict[str, Any]]]) -> str:
    """What the client was told, without times and sound; ids that are drawn by lot by their order."""
    lines = []
    ids: dict[str, str] = {}
    for _, event in arrived:
        if event["type"] in ("reply.audio", "session.ready"):
            continue
        named = {
            key: ids.setdefault(value, f"{key} {len(ids)}") if key.endswith("_id") else value
            for key, value in event.items()
            if key != "timestamp"
        }
        lines.append(json.dumps(named))
    return "\n".join(lines)


def times(arrived: Sequence[tuple[float, dict[str, Any]]]) -> list[tuple[float, str]]:
    """When each event came, but for the sound."""
    return [(at_s, event["type"]) for at_s, event in arrived if event["type"] != "reply.audio"]


def happening(waits: Sequence[float]) -> st.SearchStrategy[list[tuple[Step, float]]]:
    """Whole turns with pauses, and anything at all between and in them."""
    wait = st.sampled_from(waits)

    def step(*which: Step) -> st.SearchStrategy[tuple[Step, float]]:
        return st.tuples(st.sampled_from(which), wait)

    anything = step(*STEPS).map(lambda one: [one])
    words = st.lists(step("speak", "speak", "look", "pause"), max_size=3)
    turn = st.tuples(words, step("speak", "look"), step("pause"), anything | st.just([]), step("end"))
    flat = turn.map(lambda parts: [*parts[0], parts[1], parts[2], *parts[3], parts[4]])
    return st.lists(flat | anything, max_size=6).map(lambda many: [one for some in many for one in some])


@settings(max_examples=100, deadline=None, phases=PHASES)
@given(
    happening(WAITS_S),
    st.sampled_from(Personality),
)
def test_thinking_ahead_of_a_model_that_thinks_in_no_time_changes_nothing(
    happens: list[tuple[Step, float]], personality: Personality
) -> None:
    conversation = Conversation(tuple(happens), personality, 0.0)
    ahead = conversation.run(ahead=True)
    assert any(
        told(without) == told(ahead) and times(without) == times(ahead)
        for without in conversation.runs_without()
    )


@settings(max_examples=40, deadline=None, phases=PHASES)
@given(happening(WAITS_S), st.sampled_from(Personality))
def test_thinking_ahead_changes_nothing_but_times(
    happens: list[tuple[Step, float]], personality: Personality
) -> None:
    """Whatever happens outside a turn waits for the reply before, whose times are others."""
    settled = tuple((step, wait_s if step in IN_A_TURN else 400.0) for step, wait_s in happens)
    conversation = Conversation(settled, personality, 2.0)
    ahead = told(conversation.run(ahead=True))
    assert any(told(without) == ahead for without in conversation.runs_without())
