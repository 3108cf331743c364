"""A person spoke as soon as they had pressed the button, and the agent was not there yet.

LiveKit's clients record that, and send it when the agent has come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np
import pytest
import soxr
import trio
import trio_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.mic.beginning import WAITS_S, overlap_bytes
from actors.room.actor import AGENT_IDENTITY
from actors.room.livekit_edge.recorded import RECORDED_TOPIC
from bench.speech import noise, silence, spoken, word_errors
from channels.ports import SoundRecorded
from playground.livekit_server import LiveKitServer
from sound.loudness import QUIET_DB, level_db
from sound.pcm import bytes_of_ms, ms_of_bytes
from sound.recordings import LONGEST_S, Recording, RecordingUnreadable
from tests.actors.mic_support import Pump, Track, pump
from tests.conversation.test_listening import Gathering, Visitor, gathering

FRAME_BYTES = bytes_of_ms(50)
BEFORE = "I would like to order a large pizza with mushrooms."
AFTER = "And please bring it to the house at the corner."


def of_alice(*, recorded_before: bool = True) -> Track:
    return Track("TR_alice", "alice", recorded_before=recorded_before)


def recorded(pcm: bytes, *, sid: str = "TR_alice", identity: str = "alice") -> SoundRecorded:
    return SoundRecorded(sid, identity, pcm)


async def speak(track: Track, pcm: bytes) -> None:
    for offset in range(0, len(pcm), FRAME_BYTES):
        await trio.sleep(0.05)
        track.sound(pcm[offset : offset + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))


async def heard(mic: Pump) -> bytes:
    await trio.testing.wait_all_tasks_blocked()
    return b"".join(mic.sounds())


async def test_it_is_heard_before_what_they_say_now_and_nothing_is_heard_twice(
    autojump_clock: MockClock,
) -> None:
    said = spoken(BEFORE + " " + AFTER)
    cut = bytes_of_ms(2_000)
    both = bytes_of_ms(240)  # the client learns so late that it is heard
    alice = of_alice()
    async with pump() as mic, trio.open_nursery() as nursery:
        await mic.come(alice)
        nursery.start_soon(speak, alice, said[cut:])
        await trio.sleep(0.4)
        mic.tracks.send_nowait(recorded(said[: cut + both]))
        await trio.sleep(8)
        sound = (await heard(mic)).rstrip(b"\0")
        whole = said.rstrip(b"\0")
        assert len(whole) - len(sound) < FRAME_BYTES, "whole frames are sent"
        assert whole.endswith(sound), "all of it, in order, once"


async def test_who_recorded_nothing_is_heard_at_once(autojump_clock: MockClock) -> None:
    alice = of_alice(recorded_before=False)
    async with pump() as mic:
        await mic.come(alice)
        alice.sound(noise(50))
        assert await heard(mic) == noise(50)


async def test_a_recording_that_does_not_come_is_not_waited_for_for_long(autojump_clock: MockClock) -> None:
    said = spoken(AFTER) * 2
    alice = of_alice()
    async with pump() as mic:
        await mic.come(alice)
        await speak(alice, said[: bytes_of_ms(WAITS_S * 1000 + 100)])
        mic.tracks.send_nowait(recorded(spoken(BEFORE)))
        await speak(alice, silence(500))
        assert len(await heard(mic)) == bytes_of_ms(WAITS_S * 1000 + 100 + 500), (
            "what was said now, and all of it"
        )


@pytest.mark.parametrize("sid_and_identity", [("TR_alice", "mallory"), ("TR_mallory", "mallory")])
async def test_nobody_else_can_say_something_in_their_name(
    autojump_clock: MockClock, sid_and_identity: tuple[str, str]
) -> None:
    sid, identity = sid_and_identity
    alice = of_alice()
    async with pump() as mic:
        mic.tracks.send_nowait(recorded(noise(2000), sid=sid, identity=identity))
        await mic.come(alice)
        mic.tracks.send_nowait(recorded(noise(2000), sid=sid, identity=identity))
        await speak(alice, silence(2000))
        assert not any(await heard(mic))


async def test_it_is_heard_at_the_beginning_and_never_later(autojump_clock: MockClock) -> None:
    alice = of_alice()
    async with pump() as mic:
        await mic.come(alice)
        mic.tracks.send_nowait(recorded(noise(1000)))
        await speak(alice, silence(1000))
        assert any(await heard(mic))
        mic.tracks.send_nowait(recorded(noise(1000)))
        await speak(alice, silence(1000))
        assert not any(await heard(mic))


def test_what_both_have_is_known_by_its_sound_and_not_where_all_is_silent() -> None:
    said = spoken(BEFORE)
    live = said[bytes_of_ms(1500) :]
    hissing = np.frombuffer(live, "<i2") * 0.7 + np.frombuffer(
        noise(ms_of_bytes(len(live)), level=0.01), "<i2"
    )
    for again in (live, hissing.astype("<i2").tobytes()):
        assert ms_of_bytes(overlap_bytes(said[: bytes_of_ms(1800)], again)) == pytest.approx(300, abs=2)
    assert overlap_bytes(said[: bytes_of_ms(1500)], spoken(AFTER, "reid")) == 0
    assert overlap_bytes(said, silence(500)) == 0
    assert overlap_bytes(b"", live) == 0


def as_phones_write(pcm: bytes, rate_hz: int, channels: int) -> bytes:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) / 32768
    there = (soxr.resample(samples, 24_000, rate_hz) * 32767).astype("<i2")
    return np.repeat(there, channels).tobytes()


@pytest.mark.parametrize(("rate_hz", "channels"), [(24_000, 1), (48_000, 1), (44_100, 2), (16_000, 1)])
def test_it_is_read_however_a_phone_writes_it(rate_hz: int, channels: int) -> None:
    said = spoken(BEFORE)
    recording = Recording.of(
        "application/octet-stream",
        {"trackId": "TR_alice", "sampleRate": str(rate_hz), "channels": str(channels)},
    )
    read = recording.read(as_phones_write(said, rate_hz, channels))
    assert ms_of_bytes(len(read)) == pytest.approx(ms_of_bytes(len(said)), abs=1)
    assert level_db(read) == pytest.approx(level_db(said), abs=0.5)


GOOD = {"trackId": "TR_alice", "sampleRate": "24000", "channels": "1"}


@pytest.mark.parametrize(
    "change",
    [
        {"sampleRate": "0"},
        {"sampleRate": "-24000"},
        {"sampleRate": "1e9"},
        {"sampleRate": "9" * 10_000},
        {"sampleRate": "٢٤٠٠٠"},
        {"sampleRate": ""},
        {"channels": "0"},
        {"channels": "255"},
        {"channels": "1.0"},
        {"trackId": ""},
        {"trackId": "x" * 10_000},
    ],
)
def test_attributes_that_make_no_sense_are_refused_in_a_short_line(change: Mapping[str, str]) -> None:
    with pytest.raises(RecordingUnreadable) as refused:
        Recording.of("", {**GOOD, **change})
    assert len(str(refused.value)) < 200
    for name in GOOD:
        with pytest.raises(RecordingUnreadable):
            Recording.of("", {key: value for key, value in GOOD.items() if key != name})


@given(st.binary(max_size=2000), st.sampled_from(["8000", "44100", "96000"]), st.sampled_from(["1", "2"]))
@settings(max_examples=30, deadline=None)
def test_whatever_is_in_it_it_is_sound_of_no_more_than_ten_seconds(
    written: bytes, rate_hz: str, channels: str
) -> None:
    recording = Recording.of("", {"trackId": "T", "sampleRate": rate_hz, "channels": channels})
    assert len(recording.read(written * 50)) <= bytes_of_ms(LONGEST_S * 1000)


def block(packet: bytes, *, flags: int = 0x80) -> bytes:
    """A SimpleBlock of WebM."""
    content = bytes([0x81, 0, 0, flags]) + packet
    return b"\xa3" + (len(content) | 1 << 28).to_bytes(4, "big") + content


WEBM = b"\x1aE\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7


@given(
    st.binary(max_size=300)
    | st.builds(lambda packets: WEBM + b"".join(map(block, packets)), st.lists(st.binary(max_size=60)))
    | st.builds(lambda rest: WEBM + rest, st.binary(max_size=300))
    | st.builds(lambda flags: WEBM + block(b"\xfc" * 20, flags=flags), st.integers(0, 255))
)
@settings(max_examples=60, deadline=None)
def test_whatever_a_browser_says_it_recorded_is_read_or_refused(written: bytes) -> None:
    recording = Recording.of("audio/webm;codecs=opus", GOOD)
    with contextlib.suppress(RecordingUnreadable):
        assert len(recording.read(written)) <= bytes_of_ms(LONGEST_S * 1000)


def test_a_recording_of_many_packets_that_last_for_ever_is_refused_or_cut() -> None:
    recording = Recording.of("audio/webm;codecs=opus", GOOD)
    two_minutes = WEBM + block(bytes([0xFF, 48]) + bytes(48)) * 1000  # 48 frames of 2.5 ms say nothing
    with pytest.raises(RecordingUnreadable):
        recording.read(two_minutes + block(b"") + WEBM)
    with pytest.raises(RecordingUnreadable):
        recording.read(WEBM + block(b"\xfc") * 20_000)


@pytest.mark.parametrize("mime_type", ["video/mp4", "audio/mp4;codecs=mp4a.40.2", "x" * 10_000])
def test_what_cannot_be_read_is_said_to_be_that(mime_type: str) -> None:
    with pytest.raises(RecordingUnreadable) as refused:
        Recording.of(mime_type, GOOD)
    assert len(str(refused.value)) < 300


async def send(visitor: Visitor, pcm: bytes, attributes: Mapping[str, str]) -> None:
    writer = await trio_asyncio.aio_as_trio(visitor.room.local_participant.stream_bytes)(
        "preconnect-buffer",
        topic=RECORDED_TOPIC,
        destination_identities=[AGENT_IDENTITY],
        attributes=dict(attributes),
    )
    await trio_asyncio.aio_as_trio(writer.write)(pcm)
    await trio_asyncio.aio_as_trio(writer.aclose)()


async def until_the_agent_is_there(here: Gathering, visitor: Visitor) -> None:
    here.let_the_agent_come()
    with trio.fail_after(60):
        while AGENT_IDENTITY not in visitor.room.remote_participants:
            await trio.sleep(0.02)


def loud_ms(pcm: bytes | bytearray) -> int:
    """How much of it is louder than a quiet room."""
    frames = (bytes(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES))
    return sum(50 for frame in frames if level_db(frame) > QUIET_DB)


@pytest.mark.server
@pytest.mark.slow
async def test_what_they_recorded_and_what_they_say_then_are_understood_in_order(
    livekit: LiveKitServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with gathering(livekit, "recorded-before", "first", agent_comes=False) as here:
        alice = await here.join("alice", recorded_before=True)
        said = spoken(BEFORE) + silence(100) + spoken(AFTER)
        before = len(spoken(BEFORE))
        await until_the_agent_is_there(here, alice)
        alice.to_say += said[before - bytes_of_ms(200) :]  # the end of the recording is heard live, too
        await send(alice, b"\1" * 1000, GOOD | {"sampleRate": "rubbish"})
        await send(alice, said[:before], GOOD | {"trackId": alice.published[0][2]})
        with trio.fail_after(60):
            while loud_ms(here.sent) < loud_ms(said) * 0.7 or loud_ms(here.sent[-bytes_of_ms(1000) :]):
                await trio.sleep(0.1)
        loud_sent_ms = loud_ms(here.sent)
        words = await here.words()
        print(words)
        assert word_errors(f"{BEFORE} {AFTER}", words) < 0.2
        refusals = [record.getMessage() for record in caplog.records if "is refused" in record.getMessage()]
        assert refusals == [
            "a recording from alice is refused: "
            "sampleRate is 'rubbish'; give a whole number from 8000 to 96000"
        ]
        assert loud_sent_ms < ms_of_bytes(len(said)) + 100, "and nothing is heard twice"
        await alice.leave()
