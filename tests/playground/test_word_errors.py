"""How well the offline ears hear what nobody tuned them for: a part of `bench.word_errors`, with bounds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.speech import noise, people, silence, spoken, word_errors
from bench.word_errors import SENTENCES, measure_words, understood, with_noise
from sound.recogniser import Recogniser

pytestmark = pytest.mark.slow


async def test_people_and_voices_are_understood_in_silence_and_in_some_noise() -> None:
    rows = {(row.speakers, row.noise_db): row for row in await measure_words(sentences=12)}
    assert rows["people", None].rate < 12
    assert rows["voices", None].rate < 6
    assert rows["voices", 20.0].rate < 12
    assert rows["voices", 10.0].rate < 30
    assert all(row.silent == 0 for row in rows.values()), "nobody was overheard"


async def test_noise_alone_is_no_speech() -> None:
    for sound in (silence(3000), noise(3000, 0.02), with_noise(silence(500), None, seed=1)):
        assert await understood(sound, Recogniser()) == ""


@pytest.mark.parametrize("noise_db", [20.0, 10.0])
def test_the_noise_is_as_loud_as_it_says(noise_db: float) -> None:
    speech = spoken(SENTENCES[0])
    mixed = np.frombuffer(with_noise(speech, noise_db, seed=3), np.int16).astype(float)
    clean = np.frombuffer(with_noise(speech, None, seed=3), np.int16).astype(float)
    speaking = clean[np.abs(clean) > 200]
    ratio = np.mean(speaking**2) / np.mean((mixed - clean) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(noise_db, abs=0.5)


def test_words_are_counted_as_changed_left_out_and_put_in() -> None:
    assert word_errors("one two three four", "one too three") == 0.5
    assert word_errors("One, two!", "one two") == 0
    assert len(set(SENTENCES)) == len(SENTENCES) >= 40
    assert len(people("beckett")) > 48_000
