"""Sound on the wire: G.711 tables, odd frames, and the limit of real time."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from channels.wire.session import SoundFormat
from playground.voice_agent.sound_io import BadAudio, Downlink, RateGate, Uplink
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer, hum
from sound.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from sound.pcm import bytes_of_ms
from tests.playground.caller import calling

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_CODE = bytes(range(256))
LAWS = [(ulaw_encode, ulaw_decode), (alaw_encode, alaw_decode)]


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_every_sample_becomes_the_nearest_level(encode: Any, decode: Any) -> None:
    levels = np.unique(decode(EVERY_CODE).astype(np.int64))
    there_and_back = decode(encode(EVERY_SAMPLE)).astype(np.int64)
    nearest = np.abs(EVERY_SAMPLE.astype(np.int64)[:, None] - levels[None, :]).min(axis=1)
    assert (np.abs(there_and_back - EVERY_SAMPLE) == nearest).all()


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_every_level_is_its_own_code(encode: Any, decode: Any) -> None:
    levels = decode(EVERY_CODE)
    assert (decode(encode(levels)) == levels).all()


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_both_signs_are_treated_alike(encode: Any, decode: Any) -> None:
    up = EVERY_SAMPLE[EVERY_SAMPLE > 0]
    assert (decode(encode(up)) == -decode(encode(-up))).all()


def test_silence_is_the_byte_that_the_protocol_names() -> None:
    assert ulaw_encode(np.zeros(3, np.int16)) == b"\xff\xff\xff"
    assert alaw_encode(np.zeros(3, np.int16)) == b"\xd5\xd5\xd5"


def test_the_levels_are_those_of_the_recommendation() -> None:
    # G.711 tables 2a and 1a: the ends of the scale, shifted to 16 bits (mu-law has 14, A-law 13).
    assert ulaw_decode(b"\x80\x00\xff\x7f").tolist() == [32124, -32124, 0, 0]
    assert alaw_decode(bytes([0xAA, 0x2A, 0xD5, 0x55])).tolist() == [32256, -32256, 8, -8]


@pytest.mark.parametrize("encoding", ["audio/pcmu", "audio/pcma"])
def test_g711_keeps_a_tone_a_tone_in_both_directions(encoding: Any) -> None:
    downlink, uplink = Downlink(SoundFormat(encoding)), Uplink(SoundFormat(encoding))
    tone = hum(500)
    wire = downlink.encode(downlink.convert(tone), None)
    assert len(wire) == 4000
    assert uplink.duration_ms(wire) == 500
    back = b"".join(uplink.decode(wire[start : start + 160]) for start in range(0, len(wire), 160))
    assert len(back) == bytes_of_ms(500)
    spectrum = np.abs(np.fft.rfft(np.frombuffer(back, "<i2")[4800:9600]))
    assert np.argmax(spectrum) * 24000 / 4800 == pytest.approx(440, abs=5)
    assert np.abs(np.frombuffer(back, "<i2")).max() == pytest.approx(8192, rel=0.1)


def test_half_a_sample_is_no_sound() -> None:
    with pytest.raises(BadAudio):
        Uplink(SoundFormat()).decode(b"\0\0\0")


def test_real_time_and_a_second_more_pass_the_gate() -> None:
    gate = RateGate()
    admitted = [gate.admits(50, now_s=index * 0.05) for index in range(100)]
    assert all(admitted)
    burst = [gate.admits(50, now_s=5.0) for _ in range(30)]
    assert sum(burst) == pytest.approx(20, abs=1)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(1, 2000)), max_size=60))
def test_never_more_than_the_time_that_passed_and_one_second(frames: list[tuple[float, float]]) -> None:
    gate, now_s, passed_ms = RateGate(), 0.0, 0.0
    for later_s, ms in frames:
        now_s += later_s
        if gate.admits(ms, now_s):
            passed_ms += ms
        assert passed_ms <= now_s * 1000 + 1000 + 1e-3


@pytest.mark.parametrize("audio", ["%%%", "AAAA=", "ü", "AAA"])
async def test_what_is_no_base64_is_invalid_audio_and_the_session_goes_on(
    autojump_clock: trio.testing.MockClock, audio: str
) -> None:
    async with calling(VoiceAgentServer(ServerOptions(speech=ToneSpeech))) as caller:
        await caller.start()
        await caller.send("input.audio", audio=audio)
        error = await caller.until("session.error")
        assert (error["code"], error["message"]) == ("invalid_audio", "Invalid audio data")
        await caller.take_a_turn()
        await caller.until("transcript.user")


async def test_frames_of_any_length_are_heard_and_odd_ones_are_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(VoiceAgentServer(ServerOptions(speech=ToneSpeech))) as caller:
        await caller.start()
        await caller.send("input.audio", audio="")
        await caller.send("input.audio", audio=base64.b64encode(b"\0\0\0").decode())
        assert (await caller.until("session.error"))["code"] == "invalid_audio"
        await caller.say(hum(1000), frame_ms=1000)
        await caller.say(bytes(48 * 3000), frame_ms=20)
        await caller.until("transcript.user")


async def test_g711_is_heard(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(VoiceAgentServer(ServerOptions(speech=ToneSpeech))) as caller:
        await caller.start(input={"format": {"encoding": "audio/pcmu"}})
        downlink = Downlink(SoundFormat("audio/pcmu"))
        wire = downlink.encode(downlink.convert(hum(1000) + bytes(bytes_of_ms(2500))), None)
        for start in range(0, len(wire), 400):
            await caller.send("input.audio", audio=base64.b64encode(wire[start : start + 400]).decode())
            await trio.sleep(0.05)
        text = (await caller.until("transcript.user"))["text"]
        assert int(text.split()[0]) == pytest.approx(1000, abs=60)


@pytest.mark.parametrize(("personality", "complaints"), [("live", 0), ("docs", 1)])
async def test_sound_faster_than_real_time_is_refused_only_by_the_documentation(
    autojump_clock: trio.testing.MockClock, personality: str, complaints: int
) -> None:
    server = VoiceAgentServer(ServerOptions(speech=ToneSpeech, personality=personality))
    async with calling(server) as caller:
        await caller.start()
        for _ in range(60):
            await caller.send("input.audio", audio=base64.b64encode(bytes(2400)).decode())
        await trio.sleep(1)
        errors = [error["code"] for error in caller.of("session.error")]
        assert errors == ["audio_rate_violation"] * complaints
