"""A reply's life: its pace, its sound and its words."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio

from channels.wire.events import AgentTranscript, ReplyDone
from channels.wire.session import SoundFormat
from playground.brain import EchoBrain
from playground.voice_agent.mouth import Mouth
from playground.voice_agent.pacing import Timeline
from playground.voice_agent.replies import Reply
from playground.voice_agent.sound_io import Downlink
from playground.voice_agent.tones import HummingVoice
from playground.voice_agent_api import (
    Burst,
    Faults,
    RealTime,
    Requests,
    ServerOptions,
    Times,
    ToneSpeech,
    VoiceAgentServer,
    hum,
)
from sound.pcm import bytes_of_ms
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


@pytest.mark.parametrize(
    ("pacing", "lasts_s"),
    [(RealTime(), 10.05), (RealTime(first_ms=0), 10.2), (Times(4), 2.55), (Burst(), 0.0)],
)
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
        spacing = caller.times("reply.audio")[-1] - caller.times("reply.audio")[-2]
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
    async with calling(a_server(deltas="timely", pacing=RealTime(first_ms=0))) as caller:
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


async def test_at_most_one_reply_is_active_at_a_time(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server(requests=Requests(during_reply="queued"))
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

    # Without a first burst, whose chunks have no gaps.
    async with calling(VoiceAgentServer(ServerOptions(speech=Slow, pacing=RealTime(first_ms=0)))) as caller:
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
        speech = HummingVoice(), Downlink(SoundFormat())
        options = ServerOptions(pacing=Burst(), final_transcript="with_done")
        reply = Reply("r", "i", "turn", say(), *speech, lambda: None, options, send)
        mouth.say(reply)
        await trio.sleep(1)
        assert await mouth.stop() is None
        assert trio.current_time() == 5
    assert [type(event) for event in sent[-2:]] == [AgentTranscript, ReplyDone]
    assert reply.cut(trio.current_time()) == ()
