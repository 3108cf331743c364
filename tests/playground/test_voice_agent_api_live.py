"""What else the live service was seen to do: its requests, tools, times and mistakes. In virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import trio

from playground.brain import CallTool, EchoBrain, Thought
from playground.dialogue import Dialogue
from playground.ears import PartialWords, SpeechOnset, SpeechStirs, TurnEnded
from playground.voice_agent.loudness import Loudness
from playground.voice_agent_api import (
    RECORDED,
    Delays,
    Faults,
    Interruption,
    Requests,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    hum,
)
from tests.playground.caller import Caller, calling

A_LONG_GREETING = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
ON_HOLD = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {}},
    "execution_mode": "hold",
}
THE_ANSWER = "This is what I have found out, and it is a long story with an end that nobody saw coming."


class Looking(EchoBrain):
    """Answers by calling the tool, and tells at length what came of it."""

    async def answer(self, heard: str) -> AsyncGenerator[Any, None]:
        await trio.lowlevel.checkpoint()
        yield CallTool("look", {"at": heard})

    async def tool_returned(
        self, call: CallTool, result: str, *, is_error: bool
    ) -> AsyncGenerator[str, None]:
        await trio.lowlevel.checkpoint()
        yield THE_ANSWER


class Listening(EchoBrain):
    """Keeps what it is told besides the person's words."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def remember(self, role: str, content: str) -> None:
        self.told.append(content)


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(**{"speech": ToneSpeech, **options}))


async def asks(server: VoiceAgentServer, text: str) -> None:
    await server.hear(SpeechOnset())
    await server.hear(TurnEnded(text))


def endings(caller: Caller) -> list[str]:
    return [done["status"] for done in caller.of("reply.done")]


async def until_a_tool_is_open(server: VoiceAgentServer, caller: Caller, **tool: Any) -> dict[str, Any]:
    await caller.start(tools=[{**ON_HOLD, **tool}])
    await asks(server, "What is there?")
    call = await caller.until("tool.call")
    await caller.until("reply.done")
    return call


# Requests.


async def test_a_request_while_the_person_speaks_is_lost_but_for_an_empty_reply(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start()
        await server.hear(SpeechOnset())
        await server.hear(PartialWords("Well"))
        await caller.send("reply.create", instructions="Say this.")
        await caller.until("reply.done")
        await trio.sleep(10)
    assert endings(caller) == ["completed"]
    assert not caller.of("reply.audio") + caller.of("transcript.agent")


@pytest.mark.parametrize(
    ("policy", "statuses"),
    [
        ("ends", ["interrupted", "completed"]),
        ("queued", ["completed", "completed"]),
        ("collides", ["completed", "completed"]),
    ],
)
async def test_a_request_during_a_reply_ends_it_or_waits_or_sounds_over_it(
    autojump_clock: trio.testing.MockClock, policy: Any, statuses: list[str]
) -> None:
    async with calling(a_server(requests=Requests(during_reply=policy))) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(1)
        await caller.send("reply.create", instructions="Go on.")
        await caller.until("reply.done", 2)
    assert endings(caller) == statuses
    second_s, first_ends_s = caller.times("reply.started")[1], caller.times("reply.done")[0]
    if policy == "collides":
        overlapping = [
            arrived.event["reply_id"]
            for arrived in caller.arrived
            if arrived.event["type"] == "reply.audio" and second_s < arrived.at_s < first_ends_s
        ]
        assert len(set(overlapping)) == 2
    else:
        assert second_s >= first_ends_s


async def test_a_person_who_speaks_over_two_colliding_replies_ends_both(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(requests=Requests(during_reply="collides"))
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(1)
        await caller.send("reply.create", instructions=A_LONG_GREETING)
        await trio.sleep(1)
        await asks(server, "Stop!")
        await caller.until("reply.done", 3)
    assert sorted(endings(caller)) == ["completed", "interrupted", "interrupted"]


@pytest.mark.parametrize(("mode", "sounds"), [("hold", False), ("interactive", True)])
async def test_a_request_during_a_pending_tool_has_no_sound_if_the_tool_holds(
    autojump_clock: trio.testing.MockClock, mode: str, sounds: bool
) -> None:
    server = a_server(brain=Looking)
    async with calling(server) as caller:
        await until_a_tool_is_open(server, caller, execution_mode=mode)
        before = len(caller.of("transcript.agent"))
        await caller.send("reply.create", instructions="Say that you are looking.")
        await caller.until("reply.done", 2)
    assert (len(caller.of("transcript.agent")) > before) is sounds


async def test_a_request_right_after_a_result_ends_what_was_to_follow_it_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(
        brain=Looking, delays=Delays(thinking_ms=2000), requests=Requests(during_reply="queued")
    )
    async with calling(server) as caller:
        call = await until_a_tool_is_open(server, caller)
        await caller.send("tool.result", call_id=call["call_id"], result="a cat")
        await caller.until("reply.started", 2)
        await caller.send("reply.create", instructions="Hello.")
        await caller.until("reply.done", 3)
    assert caller.times("reply.done")[1] - caller.times("reply.started")[1] < 0.1
    assert THE_ANSWER not in [said["text"] for said in caller.of("transcript.agent")]
    assert caller.of("transcript.agent")[-1]["text"] == "I was asked to do this: Hello."


@pytest.mark.parametrize(("personality", "told"), [("live", []), ("docs", ["It rains."])])
async def test_a_conversation_message_reaches_the_model_in_the_documentation_only(
    autojump_clock: trio.testing.MockClock, personality: str, told: list[str]
) -> None:
    brain = Listening()
    async with calling(a_server(personality=personality, brain=lambda: brain)) as caller:
        await caller.start()
        await caller.send("conversation.message", role="user", content="It rains.")
        await trio.sleep(1)
    assert brain.told == told


# Tools.


async def test_speech_during_a_holding_tool_is_unheard_and_the_answer_begins_twice(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(brain=Looking)
    async with calling(server) as caller:
        call = await until_a_tool_is_open(server, caller)
        told = len(caller.arrived)
        await server.hear(SpeechOnset())
        await server.hear(PartialWords("Hurry"))
        await caller.send("tool.result", call_id=call["call_id"], result="a cat")
        await trio.sleep(2)
        assert len(caller.arrived) == told, "the result waits for the person"
        await server.hear(TurnEnded("Hurry up"))
        await caller.until("reply.done", 3)
        await trio.sleep(5)
    after = caller.arrived[told:]
    kinds = [one.event["type"] for one in after if one.event["type"] not in ("reply.audio",)]
    assert [kind for kind in kinds if not kind.endswith("delta")] == [
        "input.speech.stopped",
        "reply.started",
        "transcript.agent",
        "transcript.agent",
        "reply.done",
        "reply.started",
        "transcript.agent",
        "reply.done",
    ]
    broken, whole = caller.of("reply.started")[-2:]
    assert broken["reply_id"] != whole["reply_id"]
    flagged = [said for said in caller.of("transcript.agent") if said["interrupted"]]
    assert [said["reply_id"] for said in flagged] == [broken["reply_id"]]
    assert THE_ANSWER.startswith(flagged[0]["text"])
    assert endings(caller)[-2:] == ["completed", "completed"]
    assert caller.times("reply.done")[1] - caller.times("reply.started")[1] == pytest.approx(3.1, abs=0.01)
    assert caller.of("transcript.agent")[-1]["text"] == THE_ANSWER
    assert len(caller.sound(whole["reply_id"])) > len(caller.sound(broken["reply_id"])) > 0


@pytest.mark.parametrize(("how", "told"), [("muted", False), ("heard", True)])
async def test_speech_during_a_holding_tool_may_be_unheard_only_or_heard(
    autojump_clock: trio.testing.MockClock, how: Any, told: bool
) -> None:
    server = a_server(brain=Looking, interruption=Interruption(over_hold=how))
    async with calling(server) as caller:
        call = await until_a_tool_is_open(server, caller)
        await server.hear(SpeechOnset())
        await server.hear(TurnEnded("Hurry up"))
        await caller.send("tool.result", call_id=call["call_id"], result="a cat")
        await trio.sleep(15)
    texts = [said["text"] for said in caller.of("transcript.user")]
    assert ("Hurry up" in texts) is told
    assert len(caller.of("input.speech.started")) == 1 + told
    assert THE_ANSWER in [said["text"] for said in caller.of("transcript.agent")]
    assert not [said for said in caller.of("transcript.agent") if said["interrupted"]]


async def test_a_tool_call_may_be_sent_several_times_and_is_answered_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(brain=Looking, faults=Faults(tool_calls_sent=3))
    async with calling(server) as caller:
        await until_a_tool_is_open(server, caller)
        calls = caller.of("tool.call")
        for call in calls:
            await caller.send("tool.result", call_id=call["call_id"], result="a cat")
        await trio.sleep(30)
    assert len({call["call_id"] for call in calls}) == 3
    assert len({(call["name"], str(call["arguments"])) for call in calls}) == 1
    assert len(caller.of("reply.done")) == 2


# Answers that nobody has heard yet.


async def test_an_answer_that_is_thought_of_waits_while_somebody_may_be_going_on_and_answers_all_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(leading_silence_ms=0, delays=Delays(thinking_ms=300))
    async with calling(server) as caller:
        await caller.start()
        await asks(server, "Please call my sister.")
        await trio.sleep(0.2)
        await server.hear(SpeechStirs())
        await trio.sleep(0.5)
        assert not caller.of("reply.audio"), "somebody speaks, though not for long enough to be told of"
        await asks(server, "Tell her I am late.")
        await caller.until("reply.done")
        await trio.sleep(5)
    assert len(caller.of("reply.started")) == 1
    said = caller.of("transcript.agent")[0]["text"]
    assert "sister" in said
    assert "late" in said


async def test_a_noise_before_an_answer_delays_it_and_no_more(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server(leading_silence_ms=0, delays=Delays(thinking_ms=300))
    async with calling(server) as caller:
        await caller.start()
        await asks(server, "Please call my sister.")
        await server.hear(SpeechStirs())
        await trio.sleep(0.6)
        await server.hear(SpeechOnset(brief=True))
        await server.hear(TurnEnded(""))
        await caller.until("reply.done")
    assert "sister" in caller.of("transcript.agent")[0]["text"]


# Times.


async def test_by_default_nobody_waits_for_an_imitation_of_thinking(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(leading_silence_ms=0)
    async with calling(server) as caller:
        await caller.start()
        await asks(server, "Hello?")
        await caller.until("reply.audio")
    assert caller.times("reply.audio")[0] - caller.times("reply.started")[0] < 0.01


@pytest.mark.parametrize("thinking", ["nothing", "silence"])
async def test_a_model_thinks_for_seconds_in_nothing_or_in_digital_silence(
    autojump_clock: trio.testing.MockClock, thinking: Any
) -> None:
    server = a_server(leading_silence_ms=0, delays=RECORDED, thinking=thinking)
    async with calling(server) as caller:
        await caller.start(greeting="Hello.")
        await caller.until("reply.done")
        assert caller.times("reply.audio")[0] - caller.times("reply.started")[0] == pytest.approx(
            0.5 if thinking == "nothing" else 0.0, abs=0.01
        )
        await asks(server, "Hello?")
        reply = await caller.until("reply.started", 2)
        await caller.until("reply.done", 2)
    sound = caller.sound(reply["reply_id"])
    silent_ms = next(at for at in range(0, len(sound), 2) if any(sound[at : at + 480])) / 48
    first_s = next(
        one.at_s
        for one in caller.arrived
        if one.event["type"] == "reply.audio" and one.event["reply_id"] == reply["reply_id"]
    )
    waited_s = first_s - caller.times("reply.started")[1]
    assert 3.4 <= waited_s + silent_ms / 1000 <= 4.9
    assert (silent_ms > 3000) is (thinking == "silence")


async def test_sound_comes_in_a_first_burst_and_then_ten_ms_every_ten_ms(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(canned_reply=hum(3000))) as caller:
        await caller.start(greeting="Hello.")
        await caller.until("reply.done")
    times = caller.times("reply.audio")
    at_once = [at_s for at_s in times if at_s - times[0] < 0.005]
    assert 10 <= len(at_once) <= 20
    rest = times[len(at_once) :]
    assert [b - a for a, b in pairwise(rest)] == pytest.approx([0.01] * (len(rest) - 1))
    assert {len(event["data"]) * 3 // 4 for event in caller.of("reply.audio")} == {480}


async def test_the_words_of_a_sentence_come_together_half_a_second_after_its_sound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(delays=Delays(deltas_ms=480), leading_silence_ms=0)) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await caller.until("reply.done")
    times = caller.times("transcript.agent.delta")
    assert len(times) == 14
    assert max(times) - min(times) < 0.015
    assert times[0] - caller.times("reply.audio")[0] == pytest.approx(0.48, abs=0.02)


@pytest.mark.parametrize("how", ["early", "with_done", "late", "missing"])
async def test_the_final_transcript_comes_early_or_with_the_end_or_late_or_never(
    autojump_clock: trio.testing.MockClock, how: Any
) -> None:
    async with calling(a_server(final_transcript=how)) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await caller.until("reply.done")
        await trio.sleep(1)
    assert len(caller.of("transcript.agent.delta")) == 14
    finals, done_s = caller.times("transcript.agent"), caller.times("reply.done")[0]
    kinds = caller.types
    match how:
        case "early":
            assert 0.31 <= done_s - finals[0] <= 0.5
        case "with_done":
            assert kinds[-3:] == ["reply.audio", "transcript.agent", "reply.done"]
        case "late":
            assert kinds[-2:] == ["reply.done", "transcript.agent"]
        case "missing":
            assert not finals


# Mistakes.


@pytest.mark.parametrize(
    ("faults", "empty"),
    [
        (Faults(empty_next=2), [True, True, False, False]),
        (Faults(empty_every=2), [False, True, False, True]),
        (Faults(), [False, False, False, False]),
    ],
)
async def test_replies_can_be_empty_but_a_greeting_never_is(
    autojump_clock: trio.testing.MockClock, faults: Faults, empty: list[bool]
) -> None:
    server = a_server(faults=faults)
    async with calling(server) as caller:
        await caller.start(greeting="Hello.")
        await caller.until("reply.done")
        for number in range(4):
            await asks(server, "Hello?")
            await caller.until("reply.done", number + 2)
    ids = [reply["reply_id"] for reply in caller.of("reply.started")]
    assert [not caller.sound(reply_id) for reply_id in ids] == [False, *empty]
    assert endings(caller) == ["completed"] * 5


# The parts.


def test_the_loudest_sample_counts_only_since_the_person_began() -> None:
    loudness = Loudness()
    loudness.take(b"\x00\x60" * 100, 1.0)
    loudness.take(b"\x00\x20" * 100, 2.0)
    assert loudness.peak_since(1.5) == 0.25
    assert loudness.peak_since(0.5) == 0.75
    assert loudness.peak_since(3.0) == 0.0


async def test_the_dialogue_takes_a_turn_back_as_if_it_had_not_been_said() -> None:
    async def said(thoughts: AsyncGenerator[Thought, None]) -> list[Thought]:
        return [thought async for thought in thoughts]

    brain = Dialogue(lambda: datetime(2026, 11, 3, 8, 5))
    before = brain.memory
    assert await said(brain.answer("My name is Ada."))
    assert brain.memory != before
    brain.take_back()
    assert brain.memory == before
