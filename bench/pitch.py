"""Sounds that can be told apart at the listener: one pitch for a reply, another for its late sound.

Each pitch has a whole number of periods in the listener's 10 ms frame, so within one frame the pitches
do not leak into one another. What Opus and the jitter buffer smear over a cut keeps its pitch.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["LATE_HZ", "REPLY_HZ", "loudness_at", "tone"]

REPLY_HZ: Final = 400
LATE_HZ: Final = 1000
"""No multiple of `REPLY_HZ`: an overtone of the reply must not count as late sound."""

_AMPLITUDE = 8000.0
"""Of 32767: loud speech. Its RMS is some 57 times that of the quietest frame that counts as audible."""


def tone(hz: int, ms: float) -> bytes:
    """A steady tone, PCM16 mono 24 kHz."""
    return (_AMPLITUDE * np.sin(_phases(hz, round(ms * SAMPLE_RATE_HZ / 1000)))).astype("<i2").tobytes()


def loudness_at(pcm: bytes, hz: int) -> float:
    """The RMS of the part of a sound that has this pitch, 0 to 32767."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    if not len(samples):
        return 0.0
    return float(abs(np.exp(-1j * _phases(hz, len(samples))) @ samples) / len(samples) * np.sqrt(2))


def _phases(hz: int, count: int) -> npt.NDArray[np.float64]:
    return np.asarray(2 * np.pi * hz / SAMPLE_RATE_HZ * np.arange(count), np.float64)
