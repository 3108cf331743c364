"""Words out of sound: people and synthetic voices, noise, and speech of any length."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.speech import PEOPLE, at_16_khz, noise, people, silence, spoken, word_errors
from sound.recogniser import (
    LONGEST_PIECE_MS,
    SAMPLE_RATE_HZ,
    Recogniser,
    decode,
    most_tokens,
    pieces,
)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    made = Recogniser()
    made.warm()
    return made


@pytest.mark.parametrize("who", PEOPLE)
def test_people_are_understood(recogniser: Recogniser, who: str) -> None:
    assert word_errors(PEOPLE[who], recogniser.transcribe(at_16_khz(people(who)))) < 0.05


def test_nothing_is_heard_in_nothing(recogniser: Recogniser) -> None:
    assert recogniser.transcribe(b"") == ""
    assert recogniser.transcribe(bytes(99)) == ""
    assert recogniser.transcribe(at_16_khz(silence(50))) == ""


def test_noise_does_not_make_it_talk_on_and_on(recogniser: Recogniser) -> None:
    # What it makes of noise differs from processor to processor; how much it may write does not.
    for seed in range(3):
        heard = recogniser.transcribe(at_16_khz(noise(5000, 0.3, seed)))
        assert len(heard.split()) <= most_tokens(5 * SAMPLE_RATE_HZ)


NOTHING_HEARD = np.zeros((1, 1, 1), np.float32), np.zeros((1, 1), np.int64)


class StuckDecoder:
    """It writes the same tokens for ever, whatever it hears."""

    def __init__(self, *written: int, begins_with: tuple[int, ...] = ()) -> None:
        self.next = itertools.chain(begins_with, itertools.cycle(written))

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="logits")]

    def run(self, *_: Any) -> list[Any]:
        logits = np.zeros((1, 1, 100))
        logits[0, -1, next(self.next)] = 1
        return [logits]


@given(
    st.lists(st.integers(10, 99), max_size=12, unique=True), st.integers(1, 6), st.integers(1, 12),
)  # fmt: skip
def test_a_decoder_that_repeats_itself_for_ever_is_stopped_and_heard_once(
    begins_with: list[int], period: int, seconds: int
) -> None:
    phrase = list(range(3, 3 + period))
    most = most_tokens(seconds * SAMPLE_RATE_HZ)
    written = decode(StuckDecoder(*phrase, begins_with=tuple(begins_with)), *NOTHING_HEARD, most)
    repeated = most - len(begins_with) - period
    assert written == begins_with + phrase or repeated < max(2 * period, 6)
    assert len(written) <= most


@pytest.mark.parametrize("said", [[7] * 12, [7, 8] * 8, [7, 8, 9, 9] * 4])
def test_whoever_repeats_themselves_and_comes_to_an_end_is_heard_in_full(said: list[int]) -> None:
    end = 2
    assert decode(StuckDecoder(*said, end), *NOTHING_HEARD, len(said) + 1) == said


def test_an_odd_byte_at_the_end_does_no_harm(recogniser: Recogniser) -> None:
    sound = at_16_khz(spoken("Good morning, everybody."))
    assert recogniser.transcribe(sound + b"\x01") == recogniser.transcribe(sound)


def test_long_speech_is_split_at_pauses_and_nothing_is_lost() -> None:
    sound = at_16_khz(people("two_cities"))
    cut = pieces(sound)
    assert b"".join(cut) == sound
    assert all(len(piece) <= LONGEST_PIECE_MS * 32 for piece in cut)
    assert all(len(piece) >= LONGEST_PIECE_MS * 32 // 2 for piece in cut[:-1])


def test_a_growing_utterance_is_cut_in_the_same_places() -> None:
    sound = at_16_khz(people("two_cities"))
    whole = pieces(sound)
    for seconds in (20, 30, 40):
        part = pieces(sound[: seconds * 32_000])
        assert part[:-1] == whole[: len(part) - 1]


def test_many_may_ask_at_once(recogniser: Recogniser) -> None:
    texts = ["The library opens at nine.", "Where did you put the car keys?", "I forgot my umbrella again."]
    sounds = [at_16_khz(spoken(text)) for text in texts]
    alone = [recogniser.transcribe(sound) for sound in sounds]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(Recogniser().transcribe, sounds * 3)) == alone * 3
