"""Speech for tests and benches: said by the playground's own voices, or by the people in a wheel.

There are no sound files in the repository. `spoken` gives what a voice says, `silence` nothing, and `people`
the recordings that moonshine-voice ships for its own tests. All sound is PCM16 mono 24 kHz.
"""

from __future__ import annotations

import functools
import re
import wave

import numpy as np
import soxr

from playground.voices import voice
from sound.models import wheel_file
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ, bytes_of_ms

__all__ = ["PEOPLE", "at_16_khz", "noise", "people", "silence", "spoken", "word_errors"]

PEOPLE = {
    "beckett": "Ever tried, ever failed, no matter. Try again, fail again, fail better.",
    "two_cities": "It was the best of times, it was the worst of times, it was the age of wisdom, it was the "
    "age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was "
    "the season of light, it was the season of darkness, it was the spring of hope, it was the "
    "winter of despair, we had everything before us, we had nothing before us, we were all "
    "going direct to heaven, we were all going direct the other way, in short, the period was "
    "so far like the present period, that some of its noisiest authorities insisted on its "
    "being received, for good or for evil, in the superlative degree of comparison only.",
}
"""What is said in moonshine-voice's recordings: 10 s (a man, with long pauses) and 44 s (a man, reading)."""


@functools.cache
def spoken(text: str, voice_name: str = "reid") -> bytes:
    """What a voice says, cached for the process."""
    return voice(voice_name).say(text).pcm


def silence(ms: float) -> bytes:
    """Digital silence."""
    return bytes(bytes_of_ms(ms))


def noise(ms: float, level: float = 0.05, seed: int = 0) -> bytes:
    """White noise of an RMS `level` (1: full scale)."""
    samples = np.random.default_rng(seed).normal(0, level * 32767, bytes_of_ms(ms) // SAMPLE_BYTES)
    return samples.clip(-32767, 32767).astype("<i2").tobytes()


@functools.cache
def people(name: str) -> bytes:
    """A recording of human speech: a key of `PEOPLE`."""
    with wave.open(str(wheel_file("moonshine_voice", f"assets/{name}.wav"))) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
        resampled: bytes = soxr.resample(samples, recording.getframerate(), SAMPLE_RATE_HZ).tobytes()
    return resampled


def at_16_khz(pcm: bytes) -> bytes:
    """The same sound at the rate that the recogniser takes."""
    resampled: bytes = soxr.resample(np.frombuffer(pcm, np.int16), SAMPLE_RATE_HZ, 16_000).tobytes()
    return resampled


def word_errors(said: str, heard: str) -> float:
    """Word error rate: words changed, left out or put in, for each word that was said."""
    expected, got = _words(said), _words(heard)
    costs = list(range(len(got) + 1))
    for row, word in enumerate(expected, 1):
        diagonal, costs[0] = costs[0], row
        for column, other in enumerate(got, 1):
            best = min(costs[column] + 1, costs[column - 1] + 1, diagonal + (word != other))
            diagonal, costs[column] = costs[column], best
    return costs[-1] / max(1, len(expected))


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower().replace("-", ""))
