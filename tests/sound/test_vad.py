"""The judge of speech, on the real model: what is speech, what is not, and that chunks do not matter."""

from __future__ import annotations

import hashlib
import re
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.speech import noise, people, silence, spoken
from playground.turns import ADAPTIVE, EndOfTurn, Lull, Onset, Pause, Stir, TurnDetector, TurnEvent
from sound.models import ModelMissing, own_file
from sound.vad import WINDOW_MS, Vad, Window
from tests.agent_process import ROOT

SENTENCE = silence(300) + spoken("Is there a bus to the museum?") + silence(2000)


def judged(pcm: bytes) -> list[float]:
    return [window.probability for window in Vad().feed(pcm)]


def events(pcm: bytes) -> list[TurnEvent]:
    detector = TurnDetector(ADAPTIVE)
    return [event for window in Vad().feed(pcm) for event in detector.hear(window)]


def samples(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    return (values.clip(-1, 1) * 32767).astype("<i2").tobytes()


def clicks() -> bytes:
    """Ten seconds of typing: short decaying bursts, about six a second."""
    rng = np.random.default_rng(3)
    sound = rng.normal(0, 0.001, 240_000)
    for start in np.cumsum(rng.uniform(0.08, 0.25, 55) * 24_000).astype(int):
        burst = rng.normal(0, 1, 600) * np.exp(-np.arange(600) / 80) * rng.uniform(0.1, 0.6)
        sound[start : start + 600] += burst[: len(sound[start : start + 600])]
    return samples(sound)


def beeps() -> bytes:
    time = np.arange(240_000) / 24_000
    return samples(0.3 * np.sin(2 * np.pi * 880 * time) * (time % 1 < 0.3))


def hum() -> bytes:
    time = np.arange(240_000) / 24_000
    return samples(np.sum([0.1 / n * np.sin(2 * np.pi * 50 * n * time) for n in range(1, 8)], axis=0))


def test_speech_is_judged_likely_and_silence_is_not() -> None:
    assert max(judged(spoken("Is there a bus to the museum?"))) > 0.9
    assert max(judged(silence(3000))) < 0.2


@pytest.mark.parametrize(
    "sound",
    [silence(10_000), noise(10_000, 0.01), noise(10_000, 0.2), clicks(), beeps(), hum()],
    ids=["silence", "faint noise", "loud noise", "keyboard", "beeps", "mains hum"],
)
def test_what_is_not_speech_begins_no_turn(sound: bytes) -> None:
    assert events(sound) == []


@pytest.mark.parametrize("voice", ["alba", "george", "lola", "paul"])
def test_speech_begins_and_ends_a_turn(voice: str) -> None:
    pcm = silence(500) + spoken("Is there a bus to the museum?", voice) + silence(3000)
    kinds = [type(event) for event in events(pcm)]
    assert kinds[:2] == [Stir, Onset]
    assert kinds[-3:] == [Lull, Pause, EndOfTurn]
    assert kinds.count(EndOfTurn) == 1


def test_a_person_is_heard_through_noise() -> None:
    voice = np.frombuffer(people("beckett"), np.int16).astype(np.int32)
    hiss = np.frombuffer(noise(len(voice) / 24, 0.01), np.int16)
    mixed = (voice[: len(hiss)] + hiss).clip(-32768, 32767).astype("<i2").tobytes()
    assert any(isinstance(event, Onset) for event in events(mixed))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=40))
def test_how_sound_is_cut_into_chunks_changes_nothing(sizes: list[int]) -> None:
    vad, windows, at = Vad(), list[Window](), 0
    while at < len(SENTENCE):
        for size in sizes:
            windows += vad.feed(SENTENCE[at : at + size])
            at += size
    assert windows == Vad().feed(SENTENCE)


@pytest.mark.parametrize("size", [1, 2, 3, 479, 480, 481, 960, 1535, 1536, 1537, 2399, 2400, 9600])
def test_every_kind_of_chunk_gives_the_same_windows(size: int) -> None:
    sound = SENTENCE[:48_000]
    vad = Vad()
    assert [w for i in range(0, len(sound), size) for w in vad.feed(sound[i : i + size])] == Vad().feed(sound)


def test_nothing_gives_nothing_and_all_but_the_last_windows_come_out() -> None:
    assert Vad().feed(b"") == []
    heard_ms = len(Vad().feed(silence(10_000))) * WINDOW_MS
    assert 10_000 - 100 <= heard_ms <= 10_000


def test_whoever_installs_the_dependencies_gets_no_gigabytes_of_pytorch() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert not [each for each in wanted if re.match(r"(silero|torch)", each)]
    locked = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"^(silero-vad|torch\w*|nvidia\S*)==", locked, re.MULTILINE)


def test_the_model_is_the_published_one_and_comes_with_its_licence() -> None:
    model = own_file("silero_vad/silero_vad_16k.onnx")
    # Of silero_vad_16k_sequence.onnx in the wheel of silero-vad 6.2.3.
    published = "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85"
    assert hashlib.sha256(model.read_bytes()).hexdigest() == published
    assert "Silero Team" in model.with_name("LICENSE").read_text("utf-8")


def test_a_model_that_is_missing_is_one_line_that_says_so() -> None:
    with pytest.raises(ModelMissing, match=r"silero_vad/nothing\.onnx is not there"):
        own_file("silero_vad/nothing.onnx")
