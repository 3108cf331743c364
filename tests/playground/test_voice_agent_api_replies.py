"""A reply's life: its pace, its words, and how it is cut when somebody speaks over it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio

from channels.sound import bytes_of_ms
from channels.wire.events import AgentTranscript, ReplyDone
from playground.brain import EchoBrain
from playground.ears import SpeechOnset, TurnEnded
from playground.voice_agent.conversation import is_back_channel
from playground.voice_agent.mouth import Mouth
from playground.voice_agent.replies import Reply, Timeline
from playground.voice_agent.session_config import AudioFormat
from playground.voice_agent.sound_io import Downlink
from playground.voice_agent.tones import HummingVoice
from playground.voice_agent_api import (
    Burst,
    Faults,
    RealTime,
    ServerOptions,
    Times,
    ToneSpeech,
    VoiceAgentServer,
    hum,
)
from tests.playground.caller import Caller, calling

TEN_SECONDS = hum(10_000)


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(speech=ToneSpeech, **options))


async def heard_to_the_end(caller: Caller) -> float:
    """Lets a reply be spoken; gives how long that took (s)."""
    await caller.start()
    await caller.send("reply.create", instructions="one two three four")
    await caller.until("reply.done")
    return caller.times("reply.done")[0] - caller.times("reply.started")[0]


@pytest.mark.parametrize(("pacing", "lasts_s"), [(RealTime(), 10.2), (Times(4), 2.55), (Burst(), 0.0)])
async def test_a_reply_takes_as_long_as_its_pacing_says(
    autojump_clock: trio.testing.MockClock, pacing: Any, lasts_s: float
) -> None:
    async with calling(a_server(canned_reply=TEN_SECONDS, pacing=pacing)) as caller:
        assert await heard_to_the_end(caller) == pytest.approx(lasts_s, abs=0.001)
        assert caller.sound() == bytes(bytes_of_ms(200)) + TEN_SECONDS


@pytest.mark.parametrize(("chunk_ms", "most_bytes"), [(10, 480), (37.5, 1800), (200, 9600)])
async def test_sound_comes_in_chunks_of_the_wanted_length(
    autojump_clock: trio.testing.MockClock, chunk_ms: float, most_bytes: int
) -> None:
    async with calling(a_server(canned_reply=TEN_SECONDS, chunk_ms=chunk_ms, leading_silence_ms=0)) as caller:
        await heard_to_the_end(caller)
        lengths = [len(event["data"]) * 3 // 4 for event in caller.of("reply.audio")]
        assert max(lengths) == pytest.approx(most_bytes, abs=2)
        spacing = caller.times("reply.audio")[1] - caller.times("reply.audio")[0]
        assert spacing == pytest.approx(chunk_ms / 1000)
        assert caller.sound() == TEN_SECONDS


async def test_a_reply_begins_with_silence_as_the_live_ones_do(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(leading_silence_ms=250)) as caller:
        await heard_to_the_end(caller)
        silence = bytes_of_ms(250)
        assert caller.sound()[:silence] == bytes(silence)
        assert any(caller.sound()[silence : silence + 480])


async def test_the_words_of_a_sentence_come_at_once_as_recorded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server()) as caller:
        await heard_to_the_end(caller)
        assert len(set(caller.times("transcript.agent.delta"))) == 1


async def test_words_can_be_made_to_come_with_their_sound(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(deltas="timely")) as caller:
        await heard_to_the_end(caller)
        began_s = caller.times("reply.started")[0]
        deltas = caller.of("transcript.agent.delta")
        for at_s, delta in zip(caller.times("transcript.agent.delta"), deltas, strict=True):
            assert at_s - began_s == pytest.approx(delta["start_ms"] / 1000, abs=0.011)


async def test_the_words_of_a_reply_make_its_text_and_lie_inside_its_sound(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(leading_silence_ms=240)) as caller:
        await heard_to_the_end(caller)
        deltas = caller.of("transcript.agent.delta")
        assert "".join(delta["delta"] for delta in deltas).strip() == caller.of("transcript.agent")[0]["text"]
        assert deltas[0]["start_ms"] == 240
        assert deltas[-1]["end_ms"] <= len(caller.sound()) / 48
        assert all(delta["delta"].endswith(" ") for delta in deltas)


async def test_the_words_of_a_greeting_have_no_trailing_blank(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server()) as caller:
        await caller.start(greeting="Hello there.")
        await caller.until("reply.done")
        assert [delta["delta"] for delta in caller.of("transcript.agent.delta")] == ["Hello", "there."]


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


async def test_at_most_one_reply_is_active_at_a_time(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server(reply_create_while_speaking="queue")
    async with calling(server) as caller:
        await caller.start(greeting="Hello there.")
        for _ in range(3):
            await caller.send("reply.create", instructions="Speak.")
        await caller.until("reply.done", 4)
    active: str | None = None
    for arrived in caller.arrived:
        match arrived.event:
            case {"type": "reply.started", "reply_id": reply_id}:
                assert active is None
                active = reply_id
            case {"type": "reply.done", "reply_id": reply_id}:
                assert active == reply_id
                active = None


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


@pytest.mark.parametrize("text", ["", "Uh-huh.", "mm-hmm", "Okay, yeah."])
def test_a_back_channel_only_says_that_somebody_listens(text: str) -> None:
    assert is_back_channel(text)


@pytest.mark.parametrize("text", ["no", "stop", "okay but wait", "yes"])
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


async def test_a_silent_reply_has_sound_and_no_words(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(faults=Faults(silent_replies=True))) as caller:
        await heard_to_the_end(caller)
        assert caller.types[2:] == ["reply.started", "reply.audio", "reply.done"]
        assert not any(caller.sound())


async def test_the_volume_can_be_turned_down_in_the_middle_of_a_reply(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(a_server(canned_reply=b"\x00\x20" * 24 * 4000, leading_silence_ms=0)) as caller:
        await caller.start(greeting="Hello.")
        await trio.sleep(2)
        await caller.send("session.update", session={"output": {"volume": 50}})
        await caller.until("reply.done")
        sound = caller.sound()
        assert sound[:2] == b"\x00\x20"
        assert sound[-2:] == b"\x00\x10"


async def test_replies_are_encoded_as_the_client_asked(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server(canned_reply=bytes(bytes_of_ms(1000)), chunk_ms=37.5)) as caller:
        await caller.start(greeting="Hello.", output={"format": {"encoding": "audio/pcmu"}})
        await caller.until("reply.done")
        assert len(caller.sound()) == 8 * 1200
        assert set(caller.sound()) == {0xFF}
        assert len(caller.of("reply.audio")[0]["data"]) * 3 // 4 == 300


async def test_a_voice_that_is_slower_than_speech_delays_a_reply_and_does_not_hurry_it_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Slow(ToneSpeech):
        def voice(self, name: str) -> Any:
            quick = super().voice(name)

            class Thinker:
                async def say(self, text: str) -> Any:
                    await trio.sleep(3)
                    return await quick.say(text)

            return Thinker()

    async with calling(VoiceAgentServer(ServerOptions(speech=Slow))) as caller:
        await caller.start()
        await caller.send("reply.create", instructions="One. Two.")
        await caller.until("reply.done")
        gaps = [
            b - a for a, b in zip(caller.times("reply.audio"), caller.times("reply.audio")[1:], strict=False)
        ]
        assert sum(gap > 1 for gap in gaps) == 2
        assert min(gaps) == pytest.approx(0.01)


def test_what_was_heard_is_what_was_sent_as_long_as_it_is_sent_in_real_time() -> None:
    timeline = Timeline()
    for index in range(100):
        timeline.send(10, now_s=index / 100)
    assert timeline.heard_ms(1.0) == pytest.approx(1000)
    assert timeline.heard_ms(0.995) == pytest.approx(995)


def test_what_came_in_a_burst_is_heard_in_real_time() -> None:
    timeline = Timeline()
    timeline.send(10_000, now_s=5.0)
    assert timeline.heard_ms(5.0) == 0
    assert timeline.heard_ms(7.5) == pytest.approx(2500)
    assert timeline.heard_ms(60.0) == pytest.approx(10_000)


def test_a_pause_in_sending_is_not_counted_as_heard() -> None:
    timeline = Timeline()
    timeline.send(1000, now_s=0.0)
    timeline.send(1000, now_s=10.0)
    assert timeline.heard_ms(10.5) == pytest.approx(1500)


async def test_a_reply_whose_last_events_wait_for_a_slow_client_is_ended_once_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        if isinstance(event, AgentTranscript):
            await trio.sleep(5)
        sent.append(event)

    async def say() -> AsyncGenerator[str, None]:
        yield "Hello."

    async def told(_: object) -> None:
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        mouth = Mouth(nursery, told, EchoBrain().heard_of_me)
        speech = HummingVoice(), Downlink(AudioFormat())
        reply = Reply("r", "i", "turn", say(), *speech, lambda: None, ServerOptions(pacing=Burst()), send)
        mouth.say(reply)
        await trio.sleep(1)
        assert await mouth.stop() is None
        assert trio.current_time() == 5
    assert [type(event) for event in sent[-2:]] == [AgentTranscript, ReplyDone]
    assert reply.cut(trio.current_time()) == ()


async def test_a_reply_that_was_stopped_before_it_started_is_known_to_nobody(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server(preamble_ms=1000)
    async with calling(server) as caller:
        await caller.start(greeting="Hello.")
        await server.interrupt_now()
        await trio.sleep(5)
    assert caller.types[2:] == ["input.speech.started"]
