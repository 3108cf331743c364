"""How the live service tells of a person who speaks, and what it does to a reply. In virtual time."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from playground.ears import PartialWords, SpeechOnset, TurnEnded
from playground.voice_agent_api import (
    RECORDED,
    Delays,
    Interruption,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    hum,
)
from sound.pcm import bytes_of_ms
from tests.playground.caller import Caller, calling

TEN_SECONDS = hum(10_000)
A_LONG_GREETING = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
OF_THE_PERSON = ("input.speech", "transcript.user")


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(**{"speech": ToneSpeech, **options}))


def but(**switches: Any) -> Interruption:
    return Interruption(**switches)


async def speaks(server: VoiceAgentServer, *so_far: str, ends: str, every_s: float = 0.5) -> None:
    """A person says this over some time."""
    await server.hear(SpeechOnset())
    for words in so_far:
        await trio.sleep(every_s)
        await server.hear(PartialWords(words))
    await trio.sleep(every_s)
    await server.hear(TurnEnded(ends))


def without_sound(caller: Caller) -> list[str]:
    """What came after the session was ready, but for sound and the words of the agent."""
    return [
        kind
        for kind in (arrived.event["type"] for arrived in caller.arrived[2:])
        if kind not in ("reply.audio", "transcript.agent.delta")
    ]


async def test_the_reply_goes_on_until_the_persons_sentence_has_ended_and_is_cut_some_ms_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(canned_reply=TEN_SECONDS)
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(2)
        await speaks(server, "Wait,", "Wait, can you", ends="Wait, can you repeat?")
        await caller.until("reply.started", 2)
    assert without_sound(caller) == [
        "reply.started",
        "input.speech.started",
        "transcript.user.delta",
        "transcript.user.delta",
        "input.speech.stopped",
        "transcript.agent",
        "transcript.agent",
        "reply.done",
        "transcript.user",
        "reply.started",
    ]
    (started_s,), (stopped_s,) = caller.times("input.speech.started"), caller.times("input.speech.stopped")
    assert 0.006 <= caller.times("reply.done")[0] - stopped_s <= 0.012
    streamed = [at_s for at_s in caller.times("reply.audio") if started_s < at_s <= stopped_s]
    assert len(streamed) == pytest.approx((stopped_s - started_s) * 100, abs=2)
    assert max(caller.times("reply.audio")) <= caller.times("reply.done")[0]


@pytest.mark.parametrize("how", ["one", "shorter_first", "longer_first"])
async def test_of_two_transcripts_of_an_interrupted_reply_the_unflagged_comes_first_whichever_is_longer(
    autojump_clock: trio.testing.MockClock, how: Any
) -> None:
    server = a_server(interruption=but(agent_transcripts=how))
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(2)
        await speaks(server, ends="Wait, please")
        await caller.until("reply.done")
    told = caller.of("transcript.agent")
    *unflagged, flagged = told
    assert flagged["interrupted"] is True
    assert [len(one["text"].split()) - len(flagged["text"].split()) for one in unflagged] == {
        "one": [],
        "shorter_first": [-1],
        "longer_first": [2],
    }[how]
    assert all(one["interrupted"] is False for one in unflagged)


async def test_in_the_other_form_the_decision_comes_with_the_first_word_that_is_no_back_channel(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(interruption=but(decision="at_once"))
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(1)
        await server.hear(SpeechOnset())
        await server.hear(PartialWords("Okay"))
        await trio.sleep(0.5)
        assert caller.types[-1] == "reply.audio", "the reply goes on"
        await server.hear(PartialWords("Okay but wait"))
        await trio.sleep(1)
        assert [done["status"] for done in caller.of("reply.done")] == ["interrupted"]
        await server.hear(TurnEnded("Okay but wait a moment"))
        await caller.until("reply.done", 2)
    assert [event["text"] for event in caller.of("transcript.user.delta")] == ["Okay", "Okay but wait"]
    assert len(caller.of("input.speech.started")) == 1
    assert len(caller.of("transcript.agent")) == 2, "one of each reply"


async def test_in_the_other_form_speech_started_and_both_events_of_the_decision_come_within_ms(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(interruption=but(decision="at_once"))
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(1)
        await server.hear(SpeechOnset())
        await server.hear(PartialWords("Stop"))
        await caller.until("reply.done")
    times = [caller.times(kind)[-1] for kind in ("input.speech.started", "transcript.agent", "reply.done")]
    assert times == sorted(times)
    assert times[-1] - times[0] <= 0.0025


@pytest.mark.parametrize(
    ("decision", "order"),
    [
        ("at_once", ["transcript.agent", "input.speech.started", "reply.done"]),
        ("sentence_end", ["transcript.user", "input.speech.started", "transcript.agent", "reply.done"]),
    ],
)
async def test_speech_started_may_come_inside_or_behind_what_it_announces(
    autojump_clock: trio.testing.MockClock, decision: Any, order: list[str]
) -> None:
    server = a_server(
        interruption=but(decision=decision, started_late=True, agent_transcripts="one"),
    )
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(1)
        await speaks(server, "Stop", ends="Stop it")
        await caller.until("reply.done", 2)
    kinds = without_sound(caller)
    start = kinds.index(order[0])
    assert kinds[start : start + len(order)] == order
    assert kinds.count("input.speech.started") == 1


@pytest.mark.parametrize(
    ("greeting", "least_s", "most_s"), [("", 0.6, 1.05), (" ".join([A_LONG_GREETING] * 2), 1.2, 1.8)]
)
async def test_speech_started_comes_with_the_first_word_and_later_while_the_agent_talks(
    autojump_clock: trio.testing.MockClock, greeting: str, least_s: float, most_s: float
) -> None:
    async with calling(a_server(delays=RECORDED)) as caller:
        await caller.start(greeting=greeting)
        await trio.sleep(2)
        began_s = trio.current_time()
        await caller.take_a_turn(2500, 2500)
    first_word_s = caller.times("transcript.user.delta")[0]
    assert caller.times("input.speech.started")[0] == pytest.approx(first_word_s, abs=0.002)
    assert least_s <= first_word_s - began_s <= most_s


@pytest.mark.parametrize("decision", ["at_once", "sentence_end"])
@pytest.mark.parametrize("words", ["Mm-hmm.", "Yeah, okay."])
async def test_a_back_channel_is_told_and_the_reply_goes_on_to_its_end(
    autojump_clock: trio.testing.MockClock, words: str, decision: Any
) -> None:
    server = a_server(interruption=but(decision=decision))
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(1)
        await speaks(server, words, ends=words)
        await trio.sleep(10)
    assert [done["status"] for done in caller.of("reply.done")] == ["completed"]
    assert [kind for kind in caller.types if kind.startswith(OF_THE_PERSON)] == [
        "input.speech.started",
        "transcript.user.delta",
        "input.speech.stopped",
        "transcript.user",
    ]
    assert [said["text"] for said in caller.of("transcript.agent")] == [A_LONG_GREETING]


async def test_a_back_channel_can_be_made_a_turn_that_is_answered_after_the_reply(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(interruption=but(back_channels="answered"))
    async with calling(server) as caller:
        await caller.start(greeting=A_LONG_GREETING)
        await trio.sleep(1)
        await speaks(server, ends="Uh-huh.")
        await caller.until("reply.done", 2)
    assert [done["status"] for done in caller.of("reply.done")] == ["completed", "completed"]
    assert caller.of("transcript.agent")[1]["text"] == "You said: Uh-huh."
    assert caller.times("reply.started")[1] >= caller.times("reply.done")[0]


async def test_a_sentence_that_goes_on_is_taken_into_the_reply_that_nobody_has_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(delays=attrs.evolve(RECORDED, first_word_ms=0))
    async with calling(server) as caller:
        await caller.start()
        await speaks(server, ends="Examine me on attention.")
        await trio.sleep(0.7)
        await speaks(server, "I think", ends="I think it runs a single head.", every_s=1.7)
        await caller.until("reply.done")
        await trio.sleep(10)
    assert len(caller.of("reply.started")) == len(caller.of("reply.done")) == 1
    assert caller.of("reply.done")[0]["status"] == "completed"
    assert caller.of("transcript.agent")[0]["text"] == (
        "You said: Examine me on attention. I think it runs a single head."
    )
    assert [said["text"] for said in caller.of("transcript.user")] == [
        "Examine me on attention.",
        "I think it runs a single head.",
    ]
    started_s, stopped_s = caller.times("reply.started")[0], caller.times("input.speech.stopped")[1]
    assert started_s < caller.times("input.speech.started")[1] < stopped_s
    assert 3.4 <= caller.times("reply.audio")[0] - stopped_s <= 4.9, "it thinks anew"


async def test_a_reply_does_not_begin_to_sound_while_the_person_speaks_and_a_noise_changes_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(delays=Delays(thinking_ms=1000))
    async with calling(server) as caller:
        await caller.start()
        await speaks(server, ends="What is this?")
        await server.hear(SpeechOnset())
        await trio.sleep(3)
        assert not caller.of("reply.audio")
        await server.hear(TurnEnded(""))
        await caller.until("reply.done")
    assert caller.of("transcript.agent")[0]["text"] == "You said: What is this?"


async def test_a_split_turn_can_be_made_to_cut_the_reply_that_nobody_has_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(delays=Delays(thinking_ms=4000), interruption=but(split_turns="cut"))
    async with calling(server) as caller:
        await caller.start()
        await speaks(server, ends="Examine me.")
        await speaks(server, ends="On attention, please.")
        await caller.until("reply.done", 2)
    assert [done["status"] for done in caller.of("reply.done")] == ["interrupted", "completed"]
    assert caller.of("transcript.agent")[-1]["text"] == "You said: On attention, please."


@pytest.mark.parametrize(("gain", "status"), [(1.3, "completed"), (2.8, "interrupted")])
async def test_only_a_voice_near_full_scale_interrupts_if_the_level_counts(
    autojump_clock: trio.testing.MockClock, gain: float, status: str
) -> None:
    import numpy as np

    voice = (np.frombuffer(hum(1500), "<i2") * gain).astype("<i2").tobytes()
    async with calling(a_server(interruption=but(from_peak=0.66))) as caller:
        await caller.start(greeting=" ".join([A_LONG_GREETING] * 2))
        await trio.sleep(1)
        await caller.say(voice + bytes(bytes_of_ms(2500)))
        await caller.until("reply.done")
    assert caller.of("reply.done")[0]["status"] == status
    assert len(caller.of("input.speech.started")) == 1, "told in any case"


async def test_any_voice_interrupts_by_default(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server()) as caller:
        await caller.start(greeting=" ".join([A_LONG_GREETING] * 2))
        await trio.sleep(1)
        await caller.take_a_turn(700, 2500)
        await caller.until("reply.done")
    assert caller.of("reply.done")[0]["status"] == "interrupted"
