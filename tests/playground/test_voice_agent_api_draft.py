"""The server thinks of the answer before it is certain that the turn is over. In virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio

from playground.brain import CallTool, EchoBrain, Thought
from playground.ears import PartialWords, SpeechOnset, TurnEnded, TurnMayEnd
from playground.voice_agent.draft import Draft
from playground.voice_agent.tones import HummingVoice
from playground.voice_agent_api import Faults, ServerOptions, ToneSpeech, VoiceAgentServer
from tests.playground.caller import Caller, calling

THINKS_S = 0.7
UNSURE_S = 1.0
LOOK = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {}},
}


class Slow(EchoBrain):
    """Thinks for a while before its first sentence, and keeps what it was asked."""

    def __init__(self, first: CallTool | None = None) -> None:
        super().__init__()
        self.first = first
        self.asked: list[str] = []
        self.closed: list[str] = []

    async def answer(self, heard: str) -> AsyncGenerator[Any, None]:
        self.asked.append(heard)
        try:
            await trio.sleep(THINKS_S)
            if self.first is not None:
                yield self.first
            yield f"You said {heard}"
            yield "And that is all."
        finally:
            self.closed.append(heard)

    def take_back(self) -> None:
        self.asked[-1] += " (taken back)"

    def remember(self, role: str, content: str) -> None:
        self.asked.append(f"{role}: {content}")


def a_server(brain: Slow, **options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(speech=ToneSpeech, brain=lambda: brain, **options))


async def unsure(server: VoiceAgentServer, text: str) -> None:
    await server.hear(SpeechOnset())
    await server.hear(PartialWords(text))
    await server.hear(TurnMayEnd(text))
    await trio.sleep(UNSURE_S)


async def answered_after_s(caller: Caller, count: int = 1) -> float:
    """From the end of the turn to the first sound of its reply."""
    await caller.until("reply.done", count)
    ended = caller.times("input.speech.stopped")[count - 1]
    return next(at for at in caller.times("reply.audio") if at >= ended) - ended


def said(caller: Caller) -> list[str]:
    return [event["text"].strip() for event in caller.of("transcript.agent")]


async def test_who_was_silent_for_long_is_answered_as_soon_as_it_is_certain(
    autojump_clock: trio.testing.MockClock,
) -> None:
    waits = []
    for hints in (False, True):
        server = a_server(Slow(), leading_silence_ms=0)
        async with calling(server) as caller:
            await caller.start()
            if hints:
                await unsure(server, "What time is it?")
            else:
                await server.hear(SpeechOnset())
                await trio.sleep(UNSURE_S)
            assert not caller.of("reply.started"), "nothing is told before it is certain"
            assert not caller.of("reply.audio")
            await server.hear(TurnEnded("What time is it?"))
            waits.append(await answered_after_s(caller))
        assert said(caller) == ["You said What time is it? And that is all."]
    unprepared, prepared = waits
    assert unprepared - prepared == pytest.approx(THINKS_S, abs=0.01)


async def test_who_goes_on_is_answered_once_and_as_a_whole(autojump_clock: trio.testing.MockClock) -> None:
    brain = Slow()
    server = a_server(brain)
    async with calling(server) as caller:
        await caller.start()
        await unsure(server, "I can come on Monday")
        await server.hear(PartialWords("I can come on Monday or on Tuesday"))
        await server.hear(TurnMayEnd("I can come on Monday or on Tuesday."))
        await server.hear(TurnEnded("I can come on Monday or on Tuesday."))
        await caller.until("reply.done")
        await trio.sleep(5)
    assert said(caller) == ["You said I can come on Monday or on Tuesday. And that is all."]
    assert brain.asked == ["I can come on Monday (taken back)", "I can come on Monday or on Tuesday."]
    assert sorted(brain.closed) == ["I can come on Monday", "I can come on Monday or on Tuesday."]


async def test_no_tool_is_asked_for_before_it_is_certain(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server(Slow(CallTool("look")))
    async with calling(server) as caller:
        await caller.start(tools=[LOOK])
        await unsure(server, "What is there?")
        await unsure(server, "What is there today?")
        assert not caller.of("tool.call")
        await server.hear(TurnEnded("What is there today?"))
        await caller.until("reply.done")
    assert len(caller.of("tool.call")) == 1


async def test_what_is_told_meanwhile_is_known_to_the_answer(autojump_clock: trio.testing.MockClock) -> None:
    brain = Slow()
    server = a_server(brain, messages_reach_model=True)
    async with calling(server) as caller:
        await caller.start()
        await unsure(server, "Who is there?")
        await caller.send("conversation.message", role="system", content="Ada has come.")
        await trio.sleep(0.1)
        await server.hear(TurnEnded("Who is there?"))
        await caller.until("reply.done")
    assert brain.asked == ["Who is there? (taken back)", "system: Ada has come.", "Who is there?"]


async def test_while_the_agent_talks_nothing_is_thought_of_ahead(
    autojump_clock: trio.testing.MockClock,
) -> None:
    brain = Slow()
    server = a_server(brain)
    async with calling(server) as caller:
        await caller.start(greeting="one two three four five six seven eight nine ten eleven twelve")
        await trio.sleep(1)
        await unsure(server, "Wait a minute please")
        assert brain.asked == [], "how much of the greeting was heard is not known yet"
        await server.hear(TurnEnded("Wait a minute please"))
        await caller.until("reply.done", 2)
    assert brain.asked == ["Wait a minute please"]


async def test_a_noise_at_the_end_costs_no_answer(autojump_clock: trio.testing.MockClock) -> None:
    """The words of the whole turn may not be those of the pause before."""
    brain = Slow()
    server = a_server(brain)
    async with calling(server) as caller:
        await caller.start()
        await unsure(server, "Good night")
        await server.hear(TurnEnded(""))
        await trio.sleep(3)
        assert not caller.of("reply.started")
        await unsure(server, "Good night")
        await server.hear(TurnEnded("Good night"))
        await caller.until("reply.done")
    assert brain.asked == ["Good night (taken back)", "Good night"]


async def test_a_reply_that_stays_empty_leaves_nothing_running(
    autojump_clock: trio.testing.MockClock,
) -> None:
    brain = Slow()
    server = a_server(brain, faults=Faults(empty_every=1))
    async with calling(server) as caller:
        await caller.start()
        await unsure(server, "Hello?")
        await server.hear(TurnEnded("Hello?"))
        await caller.until("reply.done")
        await trio.testing.wait_all_tasks_blocked()
        assert brain.closed == ["Hello?"]


async def test_a_draft_that_is_given_up_before_it_has_begun_asks_nobody() -> None:
    brain = Slow()
    draft = Draft("Hello", brain.answer("Hello"), HummingVoice())
    draft.give_up()
    await draft.run()
    assert [thought async for thought in draft] == []
    assert brain.asked == []


class Faulty(EchoBrain):
    """Cannot think of one thing."""

    async def answer(self, heard: str) -> AsyncGenerator[Any, None]:
        if heard == "What is":
            raise ValueError(heard)
        yield f"You said {heard}"


async def test_what_goes_wrong_in_a_draft_that_nobody_hears_ends_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, brain=Faulty))
    async with calling(server) as caller:
        await caller.start()
        await unsure(server, "What is")
        await server.hear(TurnEnded("What is there?"))
        await caller.until("reply.done")
    assert said(caller) == ["You said What is there?"]


async def test_what_goes_wrong_in_a_draft_comes_to_the_reply(autojump_clock: trio.testing.MockClock) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, brain=Faulty))
    async with calling(server) as caller:
        await caller.start()
        await unsure(server, "What is")
        assert not caller.of("session.error")
        await server.hear(TurnEnded("What is"))
        await caller.until("session.error")
    assert caller.of("transcript.user")


async def test_who_pauses_all_the_time_costs_few_requests(autojump_clock: trio.testing.MockClock) -> None:
    brain = Slow()
    server = a_server(brain)
    async with calling(server) as caller:
        await caller.start()
        words = ""
        for number in range(20):
            words += f" {number}"
            await unsure(server, words)
        await server.hear(TurnEnded(words))
        await caller.until("reply.done")
        assert len(brain.asked) == 6, "five ahead, and the answer"
        await unsure(server, "And now")
        assert brain.asked[-1] == "And now", "the next turn may have as many"


async def test_who_speaks_on_ends_the_request(autojump_clock: trio.testing.MockClock) -> None:
    brain = Slow()
    server = a_server(brain)
    async with calling(server) as caller:
        await caller.start()
        await unsure(server, "I can come on Monday")
        await server.hear(PartialWords("I can come on Monday or"))
        await trio.testing.wait_all_tasks_blocked()
        assert brain.closed == ["I can come on Monday"]


async def test_a_result_that_comes_meanwhile_is_known_to_the_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    brain = Slow(CallTool("look"))
    server = a_server(brain)
    async with calling(server) as caller:
        await caller.start(tools=[LOOK])
        await server.hear(SpeechOnset())
        await server.hear(TurnEnded("Look"))
        call = await caller.until("tool.call")
        await caller.until("reply.done")
        await trio.sleep(1)
        await unsure(server, "And what")
        await caller.send("tool.result", call_id=call["call_id"], result="Nothing")
        await trio.testing.wait_all_tasks_blocked()
        await unsure(server, "And what is there")
        assert brain.asked == ["Look", "And what (taken back)"]


async def test_only_the_first_thought_is_thought_ahead(autojump_clock: trio.testing.MockClock) -> None:
    thought: list[int] = []

    async def thoughts() -> AsyncGenerator[Thought, None]:
        for number in range(3):
            thought.append(number)
            yield str(number)

    draft = Draft("Hello", thoughts(), HummingVoice())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(draft.run)
        for number in range(3):
            await trio.testing.wait_all_tasks_blocked()
            assert thought == list(range(max(1, number)))
            assert await anext(draft) == str(number)
        assert await anext(draft, None) is None


async def test_nothing_of_a_brain_runs_behind_the_end_of_its_reply(
    autojump_clock: trio.testing.MockClock,
) -> None:
    closed = False

    async def thoughts() -> AsyncGenerator[Thought, None]:
        nonlocal closed
        try:
            yield "one"
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)  # closes its connection
            closed = True

    draft = Draft("Hello", thoughts(), HummingVoice())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(draft.run)
        await anext(draft)
        await draft.aclose()
        assert closed


async def test_a_draft_says_other_sentences_as_its_voice_does() -> None:
    async def thoughts() -> AsyncGenerator[Thought, None]:
        yield "one two"
        yield "three"

    draft = Draft("Hello", thoughts(), HummingVoice())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(draft.run)
        said = [(thought, len((await draft.say(str(thought))).words)) async for thought in draft]
    assert said == [("one two", 2), ("three", 1)]
