"""Ends of turns by their sound: the real network, on voices and on what is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trio

from bench.speech import at_16_khz, spoken
from playground.turn_model.fetch import find_or_fetch
from sound.smart_turn import SECONDS, SmartTurn, features


@pytest.fixture(scope="module")
def smart_turn() -> SmartTurn:
    async def find() -> Path:
        return await find_or_fetch(progress=print)

    return SmartTurn(trio.run(find))


@pytest.mark.parametrize("text", ["What time is it?", "Thank you very much.", "Hello, can you hear me?"])
def test_a_sentence_that_is_over_sounds_so(smart_turn: SmartTurn, text: str) -> None:
    assert smart_turn.probability(at_16_khz(spoken(text, "alba"))) > 0.8


@pytest.mark.parametrize("text", ["Because,", "I went to the store and"])
def test_a_sentence_that_goes_on_sounds_so(smart_turn: SmartTurn, text: str) -> None:
    assert smart_turn.probability(at_16_khz(spoken(text, "alba"))) < 0.2


@pytest.mark.parametrize("pcm", [b"", b"\0", bytes(3), bytes(2 * 16_000 * 20), b"\xff\x7f" * 100])
def test_any_sound_can_be_judged(smart_turn: SmartTurn, pcm: bytes) -> None:
    assert 0 <= smart_turn.probability(pcm) <= 1


def test_only_the_last_seconds_count() -> None:
    sound = at_16_khz(spoken("What time is it?"))
    last = (bytes(2 * 16_000 * SECONDS) + sound)[-2 * 16_000 * SECONDS :]
    assert np.array_equal(features(last), features(b"\x11\x22" * 16_000 * 5 + last))


def test_the_features_are_those_of_whisper() -> None:
    # A tone of 1 kHz is mel 15 of 45.245 on Slaney's scale: of 80 bands, the one with the number 26.
    tone = (np.sin(np.arange(16_000 * SECONDS) * 2 * np.pi / 16) * 20_000).astype("<i2").tobytes()
    seen = features(tone)
    assert seen.shape == (80, 800)
    assert seen.dtype == np.float32
    assert set(np.argmax(seen[:, 5:-5], axis=0)) == {26}
    # 80 dB are a span of 2: eight powers of ten, by four.
    assert seen.max() - seen.min() == pytest.approx(2.0, abs=1e-6)
