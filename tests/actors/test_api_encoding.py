"""G.711 stays at the edge: inside, sound is PCM16 mono 24 kHz and keeps its length to the millisecond."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.api.encoding import PCM, Encoding
from channels.happenings import SessionStarted
from channels.messages import MicrophoneFrame
from channels.settings import FormatSettings, InputSettings, OutputSettings, SessionSettings
from channels.wire.events import AgentTranscriptDelta, ReplyAudio, ReplyDone, SessionReady, UserTranscript
from channels.wire.failures import ConfigurationRefused
from channels.wire.messages import InputAudio
from playground.voice_agent_api import Expect, Send, ServerOptions, ToneSpeech, hum
from sound.resampling import ToEightKilohertz, ToTwentyFourKilohertz
from tests.actors.test_api_support import START, conversation

OUT = ("output", "audio/pcmu")
G711 = ["audio/pcmu", "audio/pcma"]
SERVER = ServerOptions(speech=ToneSpeech, ping_s=None, record=100_000)


def asking(input: str | None, output: str | None, **more: Any) -> SessionSettings:
    return SessionSettings(
        input=InputSettings(format=FormatSettings(input)),
        output=OutputSettings(format=FormatSettings(output)),
        **more,
    )


def tone(hz: float, rate: int, ms: int = 1000) -> np.ndarray[Any, np.dtype[np.int16]]:
    return (np.sin(2 * math.pi * hz * np.arange(rate * ms // 1000) / rate) * 8000).astype(np.int16)


def loudness(samples: np.ndarray[Any, Any]) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


@pytest.mark.parametrize("input", [*G711, PCM])
@pytest.mark.parametrize("output", [*G711, PCM])
async def test_a_conversation_is_the_same_in_every_encoding(
    autojump_clock: MockClock, input: str, output: str
) -> None:
    config = asking(input, output, greeting="Hello there.")
    async with conversation(options=SERVER, config=config) as talk:
        await talk.until(ReplyDone)
        sound = b"".join(event.data for event in talk.heard(ReplyAudio))
        last = talk.heard(AgentTranscriptDelta)[-1]
        assert last.end_ms is not None
        assert len(sound) / 48 == pytest.approx(last.end_ms, abs=400)  # ms, whatever was on the wire
        wire = [entry.what.data for entry in talk.server.sent if isinstance(entry.what, ReplyAudio)]
        assert len(b"".join(wire)) * (1 if output == PCM else 6) == len(sound)
        voice = np.frombuffer(sound, "<i2")
        assert loudness(voice) > 100
        said = hum(700) + bytes(2800 * 48)
        for start in range(0, len(said), 2400):
            frame = said[start : start + 2400]
            talk.microphone.send_nowait(MicrophoneFrame(frame, at=trio.current_time()))
            await trio.sleep(0.05)
        heard = await talk.until(UserTranscript)
        assert heard.text
        assert {len(entry.what.audio) for entry in talk.sent(InputAudio)} == {2400 if input == PCM else 400}
    assert talk.server.crashes == 0


async def test_what_the_service_says_counts_more_than_what_was_asked(autojump_clock: MockClock) -> None:
    config = {
        "input": {"format": {"encoding": "audio/pcma"}},
        "output": {"format": {"encoding": "audio/pcmu"}},
    }
    stored = [
        Expect("session.update"),
        Send(SessionReady("sess_1", config)),
        Send(ReplyAudio(b"\xff" * 80, "r")),
    ]
    async with conversation(stored, config=SessionSettings(agent_id="agent_1")) as talk:
        sound = await talk.until(ReplyAudio)
        assert sound.data == bytes(480)
        talk.speak(ms=50)
        await trio.sleep(1)
        assert talk.sent(InputAudio)[0].what.audio == b"\xd5" * 400


async def test_an_encoding_of_another_age_is_one_line_and_the_session_is_ended(
    autojump_clock: MockClock,
) -> None:
    config = {"output": {"format": {"encoding": "audio/opus"}}}
    own = Send({"type": "session.ready", "session_id": "sess_1", "expires_at": 1, "config": config})
    start = [Expect("session.update"), own, Expect("session.end")]
    async with conversation(start) as talk:
        failure = await talk.over()
        assert isinstance(failure, ConfigurationRefused)
        assert "audio/opus" in str(failure)
        assert not talk.server.script or not talk.server.script.missed


async def test_pcm_passes_as_it_is(autojump_clock: MockClock) -> None:
    async with conversation([*START, Send(ReplyAudio(b"\x01\x02\x03", "r"))]) as talk:
        assert (await talk.until(ReplyAudio)).data == b"\x01\x02\x03"  # an odd end is for others to fix
        await talk.until(SessionStarted)


@pytest.mark.parametrize("encoding", G711)
@pytest.mark.parametrize("hz", [200, 1000, 3000])
def test_a_tone_comes_through_both_ways(encoding: str, hz: int) -> None:
    there, back = Encoding(encoding, encoding), Encoding(encoding, encoding)
    original = tone(hz, 24_000)
    wire = there.encode(original.astype("<i2").tobytes())
    assert len(wire) == 8000
    again = np.frombuffer(back.decode(ReplyAudio(wire, "r")).data, "<i2")
    assert len(again) == len(original)
    assert loudness(again[2400:]) == pytest.approx(loudness(original), rel=0.05)


@pytest.mark.parametrize(("encoding", "silence"), [("audio/pcmu", b"\xff"), ("audio/pcma", b"\xd5")])
def test_a_reply_does_not_begin_with_the_end_of_the_one_before(encoding: str, silence: bytes) -> None:
    edge = Encoding(PCM, encoding)
    edge.decode(ReplyAudio(b"\x00" * 80, "a"))
    assert max(edge.decode(ReplyAudio(silence * 80, "a")).data) > 100
    edge.decode(ReplyAudio(b"\x00" * 80, "a"))
    quiet = np.frombuffer(edge.decode(ReplyAudio(silence * 80, "b")).data, "<i2")
    assert np.abs(quiet.astype(int)).max() < 16  # A-law has no zero, and the filter rings a little


def test_sound_comes_through_no_more_than_three_ms_late() -> None:
    click = np.zeros(24_000, np.int16)
    click[9600:9648] = 20_000  # 2 ms
    wire = Encoding("audio/pcmu", "audio/pcmu").encode(click.astype("<i2").tobytes())
    again = Encoding("audio/pcmu", "audio/pcmu").decode(ReplyAudio(wire, "r")).data
    middle_ms = float(np.argmax(np.abs(np.frombuffer(again, "<i2").astype(int)))) / 24
    assert middle_ms == pytest.approx(401 + 3, abs=1)


@given(st.lists(st.integers(0, 700), max_size=20))
def test_chunks_of_any_length_give_what_the_whole_gives(lengths: list[int]) -> None:
    whole = tone(700, 24_000, 400)[: sum(lengths)]
    down, at_once = ToEightKilohertz(), ToEightKilohertz()
    pieces, start = [], 0
    for length in lengths:
        pieces.append(down.convert(whole[start : start + length]))
        start += length
    expected = at_once.convert(whole)
    assert len(expected) == math.ceil(len(whole) / 3)
    together = np.concatenate([*pieces, np.zeros(0, np.int16)])
    assert len(together) == len(expected)
    assert not len(expected) or np.abs(together.astype(int) - expected).max() <= 1  # rounding
    up, up_at_once = ToTwentyFourKilohertz(), ToTwentyFourKilohertz()
    halves = [up.convert(expected[: len(expected) // 2]), up.convert(expected[len(expected) // 2 :])]
    raised = up_at_once.convert(expected)
    assert len(raised) == 3 * len(expected) == len(np.concatenate(halves))
    assert not len(raised) or np.abs(np.concatenate(halves).astype(int) - raised).max() <= 1


@pytest.mark.parametrize("hz", [4500, 6000, 9000, 11_000])
def test_what_telephones_cannot_carry_does_not_come_back_as_noise(hz: int) -> None:
    assert loudness(ToEightKilohertz().convert(tone(hz, 24_000))[100:]) < 0.01 * loudness(tone(hz, 24_000))


@pytest.mark.parametrize("hz", [300, 1000, 3000])
def test_what_telephones_carry_is_not_made_louder_or_quieter(hz: int) -> None:
    down = ToEightKilohertz().convert(tone(hz, 24_000))[100:]
    up = ToTwentyFourKilohertz().convert(tone(hz, 8_000))[100:]
    for samples in (down, up):
        assert loudness(samples) == pytest.approx(loudness(tone(hz, 24_000)), rel=0.03)
