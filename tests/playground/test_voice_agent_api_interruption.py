"""How a reply is cut: by somebody who speaks over it, by the client, and by nobody else.

Here the decision comes with the sound, as documented; `test_voice_agent_api_decision` has the live service's.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio

from playground.ears import SpeechOnset, TurnEnded
from playground.voice_agent.interruption import is_back_channel
from playground.voice_agent_api import (
    Burst,
    Faults,
    Interruption,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    hum,
)
from sound.pcm import bytes_of_ms
from tests.playground.caller import calling

TEN_SECONDS = hum(10_000)
BY_SOUND = Interruption(
    decision="at_once", speech_started="onset", back_channels="unheard", split_turns="cut"
)


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(speech=ToneSpeech, interruption=BY_SOUND, **options))


async def test_an_onset_during_a_reply_is_the_interruption_and_three_events_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(greeting="one two three four five six")
        await trio.sleep(0.18 + 0.2 + 3 * 0.25 + 0.01)  # the start, the silence, three words and their gaps
        await server.interrupt_now()
        await caller.until("reply.done")
        await trio.sleep(10)
    assert caller.types[-3:] == ["input.speech.started", "transcript.agent", "reply.done"]
    times = {caller.times(kind)[-1] for kind in caller.types[-3:]}
    assert max(times) - min(times) < 0.002
    cut = caller.of("transcript.agent")[0]
    assert cut["interrupted"] is True
    assert cut["text"] == "one two three"
    assert caller.of("reply.done")[0]["status"] == "interrupted"


async def test_a_person_who_speaks_over_the_agent_is_answered_afterwards(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        await caller.start(greeting=" ".join(["word"] * 40))
        await trio.sleep(2)
        await caller.take_a_turn(800, 2200)
        await caller.until("reply.done", 2)
    assert [done["status"] for done in caller.of("reply.done")] == ["interrupted", "completed"]
    assert caller.of("transcript.agent")[1]["text"] == "You said: 800 ms of sound"


async def test_sound_of_an_interrupted_reply_never_comes_after_its_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(canned_reply=TEN_SECONDS)
    async with calling(server) as caller:
        await caller.start(greeting="Hello.")
        for _ in range(5):
            await trio.sleep(1.003)
            await server.hear(SpeechOnset())
            await server.hear(TurnEnded("again"))
        await caller.until("reply.done", 6)
    over: set[str] = set()
    for arrived in caller.arrived:
        if arrived.event["type"] == "reply.done":
            over.add(arrived.event["reply_id"])
        if arrived.event["type"] == "reply.audio":
            assert arrived.event["reply_id"] not in over


async def test_late_sound_of_an_interrupted_reply_can_be_asked_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(canned_reply=TEN_SECONDS, faults=Faults(late_audio_ms=100))
    async with calling(server) as caller:
        await caller.start(greeting="Hello.")
        await trio.sleep(3)
        await server.interrupt_now()
        await caller.until("reply.done")
        await trio.sleep(1)
    assert caller.types[-2:] == ["reply.done", "reply.audio"]
    late = caller.arrived[-1].event
    assert late["reply_id"] == caller.of("reply.done")[0]["reply_id"]
    assert len(late["data"]) * 3 // 4 == bytes_of_ms(100)


async def test_a_burst_that_is_done_is_not_interrupted_a_second_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(canned_reply=TEN_SECONDS, pacing=Burst())
    async with calling(server) as caller:
        await caller.start(greeting="Hello.")
        await trio.sleep(3)  # all was sent long ago; it would play for seven seconds more
        await server.interrupt_now()
        await trio.sleep(1)
    assert caller.types[-2:] == ["reply.done", "input.speech.started"]
    assert caller.of("reply.done")[0]["status"] == "completed"


async def test_a_burst_that_is_done_when_played_can_be_cut_by_what_was_played(
    autojump_clock: trio.testing.MockClock,
) -> None:
    options: dict[str, Any] = {"pacing": Burst(), "done_after": "played", "leading_silence_ms": 0}
    options["final_transcript"] = "with_done"
    server = a_server(canned_reply=TEN_SECONDS, **options)
    async with calling(server) as caller:
        await caller.start(greeting="one two three four five six seven eight nine ten")
        await caller.until("reply.audio", 1000)
        await trio.sleep(4.5)
        await server.interrupt_now()
        await caller.until("reply.done")
    assert caller.types[-3:] == ["input.speech.started", "transcript.agent", "reply.done"]
    assert caller.of("transcript.agent")[0]["text"] == "one two three four"


async def test_with_interrupt_response_off_the_reply_goes_on_and_the_turn_is_answered_after_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(
            greeting=" ".join(["word"] * 20), input={"turn_detection": {"interrupt_response": False}}
        )
        await trio.sleep(1)
        await server.hear(SpeechOnset())
        await server.hear(TurnEnded("Excuse me"))
        await caller.until("reply.done", 2)
    assert [done["status"] for done in caller.of("reply.done")] == ["completed", "completed"]
    assert len(caller.of("input.speech.started")) == 1
    assert caller.of("transcript.agent")[1]["text"] == "You said: Excuse me"
    assert caller.times("reply.started")[1] >= caller.times("reply.done")[0]


async def test_speech_over_an_uninterruptible_greeting_is_discarded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        detection = {"uninterruptible_turns": ["greeting"]}
        await caller.start(greeting="one two three four", input={"turn_detection": detection})
        await caller.until("reply.audio")
        await server.hear(SpeechOnset())
        await server.hear(TurnEnded("Can I"))
        await trio.sleep(10)
    assert [done["status"] for done in caller.of("reply.done")] == ["completed"]
    assert not caller.of("input.speech.started") + caller.of("transcript.user")


@pytest.mark.parametrize(("words", "interrupted"), [("", False), ("Mm-hmm.", False), ("Stop!", True)])
async def test_something_short_interrupts_by_its_words_and_not_by_its_sound(
    autojump_clock: trio.testing.MockClock, words: str, interrupted: bool
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(greeting=" ".join(["word"] * 20))
        await trio.sleep(1)
        await server.hear(SpeechOnset(brief=True))
        await server.hear(TurnEnded(words))
        done = await caller.until("reply.done")
        await trio.sleep(5)
    assert (done["status"] == "interrupted") is interrupted
    assert len(caller.of("input.speech.started")) == interrupted
    assert [event["text"] for event in caller.of("transcript.user")] == ([words] if interrupted else [])


async def test_something_short_is_a_turn_like_any_other_while_the_agent_is_silent(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start()
        await server.hear(SpeechOnset(brief=True))
        await server.hear(TurnEnded("Yes."))
        await caller.until("reply.done")
    assert caller.of("transcript.user")[0]["text"] == "Yes."


@pytest.mark.parametrize(("words", "interrupted"), [("Mama.", False), ("No.", True)])
async def test_a_hum_interrupts_nobody_whatever_the_recogniser_makes_of_it_unless_it_is_a_no(
    autojump_clock: trio.testing.MockClock, words: str, interrupted: bool
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start(greeting=" ".join(["word"] * 20))
        await trio.sleep(1)
        await server.hear(SpeechOnset(brief=True))
        await server.hear(TurnEnded(words, hummed=True))
        done = await caller.until("reply.done")
    assert (done["status"] == "interrupted") is interrupted


@pytest.mark.parametrize("text", ["", "Uh-huh.", "mm-hmm", "Okay, yeah.", "I see.", "Sure."])
def test_a_back_channel_only_says_that_somebody_listens(text: str) -> None:
    assert is_back_channel(text)


@pytest.mark.parametrize("text", ["no", "stop", "okay but wait", "yes", "Of course."])
def test_words_with_a_meaning_of_their_own_are_no_back_channel(text: str) -> None:
    assert not is_back_channel(text)


async def test_a_reply_is_cancelled_by_its_id_and_by_no_other(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server()) as caller:
        await caller.start(greeting=" ".join(["word"] * 20))
        started = await caller.until("reply.started")
        await caller.send("reply.cancel", reply_id="resp_of_somebody_else")
        await trio.sleep(1)
        assert not caller.of("reply.done")
        await caller.send("reply.cancel", reply_id=started["reply_id"])
        assert (await caller.until("reply.done"))["status"] == "interrupted"


async def test_reply_cancel_can_be_made_an_unknown_type(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(reply_cancel=False)) as caller:
        await caller.start()
        await caller.send("reply.cancel", reply_id="any")
        assert (await caller.until("session.error"))["message"] == "Unknown message type: reply.cancel"


async def test_a_reply_that_was_stopped_before_it_started_is_known_to_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(preamble_ms=1000)
    async with calling(server) as caller:
        await caller.start(greeting="Hello.")
        await server.interrupt_now()
        await trio.sleep(5)
    assert caller.types[2:] == ["input.speech.started"]
