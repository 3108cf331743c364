"""A hum is told from a word by what a closed mouth lets through."""

from __future__ import annotations

import pytest

from bench.speech import at_16_khz, noise, spoken
from playground.voices import VOICES
from sound.humming import is_hummed


@pytest.mark.parametrize("name", ["alba", "george", "iris", "paul"])
def test_a_closed_mouth_is_heard(name: str) -> None:
    assert is_hummed(at_16_khz(spoken("Mm-hm.", name)))


@pytest.mark.parametrize("name", VOICES)
@pytest.mark.parametrize("text", ["No.", "Stop.", "Wait.", "Hold on."])
def test_no_word_that_stops_the_agent_is_taken_for_a_hum(name: str, text: str) -> None:
    assert not is_hummed(at_16_khz(spoken(text, name)))


def test_noise_and_silence_are_no_hum() -> None:
    assert not is_hummed(at_16_khz(noise(500)))
    assert not is_hummed(bytes(1024))
