"""Sound between 24,000 Hz and the 8,000 Hz of telephones, or the 16,000 Hz of speech models, chunk by chunk;
and a whole piece from any rate.

Each chunk gives its whole duration at once, so that a conversation is not held up: a stream of soxr's, made
for files, was measured to hold back up to 75 ms here. What comes out is late by 1 ms upward and by 2 ms
downward; all in all its length is that of what went in.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import soxr

from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["ToEightKilohertz", "ToSixteenKilohertz", "ToTwentyFourKilohertz", "to_twenty_four_kilohertz"]

Samples = npt.NDArray[np.int16]

_TWO_THIRDS_TAPS = 48
"""Samples at 24 kHz that make one at 16 kHz."""

_THREE_BYTES = 3 * SAMPLE_BYTES

_UP_TAPS = 16
"""Samples at 8 kHz that make one at 24 kHz."""

_DOWN_TAPS = 97
"""Samples at 24 kHz that make one at 8 kHz. Odd: then the delay is whole samples."""


def to_twenty_four_kilohertz(samples: Samples, rate_hz: int) -> Samples:
    """A whole piece of sound at `rate_hz`, at 24,000 Hz."""
    if rate_hz == SAMPLE_RATE_HZ or not len(samples):
        return samples
    return _whole(soxr.resample(samples.astype(np.float32), rate_hz, SAMPLE_RATE_HZ))


class ToTwentyFourKilohertz:
    """Three samples for each: a windowed sinc."""

    def __init__(self) -> None:
        self._tail = np.zeros(_UP_TAPS, np.float32)

    def convert(self, samples: Samples) -> Samples:
        """The next chunk."""
        known = np.concatenate([self._tail, samples.astype(np.float32)])
        self._tail = known[len(known) - _UP_TAPS :]
        spread = np.zeros(len(known) * 3, np.float32)
        spread[::3] = known
        return _whole(np.convolve(spread, _up_kernel(), "valid")[-3 * len(samples) :][: 3 * len(samples)])


class ToEightKilohertz:
    """One sample for three, without what 8 kHz cannot carry: a windowed sinc."""

    def __init__(self) -> None:
        self._tail = np.zeros(_DOWN_TAPS - 1, np.float32)
        self._passed = 0
        """Samples that came so far, counted by threes."""

    def convert(self, samples: Samples) -> Samples:
        """The next chunk, of any length."""
        if not len(samples):
            return samples
        known = np.concatenate([self._tail, samples.astype(np.float32)])
        self._tail = known[len(known) - (_DOWN_TAPS - 1) :]
        filtered = np.convolve(known, _down_kernel(), "valid")
        first = -self._passed % 3
        self._passed = (self._passed + len(samples)) % 3
        return _whole(filtered[first::3])


class ToSixteenKilohertz:
    """Two samples for three: late by 1 ms.

    The same sound gives the same samples, bit for bit, however it was cut into chunks.
    """

    def __init__(self) -> None:
        self._tail = np.zeros(_TWO_THIRDS_TAPS, np.float32)
        self._waiting = bytearray()

    def convert(self, pcm: bytes) -> bytes:
        """The next chunk: PCM16, any number of bytes. Up to two samples and a half wait for the next one."""
        self._waiting += pcm
        whole = len(self._waiting) // _THREE_BYTES * _THREE_BYTES
        if not whole:
            return b""
        samples = np.frombuffer(bytes(self._waiting[:whole]), "<i2").astype(np.float32)
        del self._waiting[:whole]
        known = np.concatenate([self._tail, samples])
        self._tail = known[len(samples) :]
        # Every third sample is the middle of two that come out: one at its place, one half-way to the next.
        # `correlate` takes each as a product of its own: its neighbours change nothing in its last bit.
        pairs = [np.correlate(known, kernel, "valid")[1::3] for kernel in _two_thirds_kernels()]
        return _whole(np.stack(pairs, axis=1).reshape(-1)).astype("<i2").tobytes()


@cache
def _up_kernel() -> npt.NDArray[np.float32]:
    # Odd and shorter than the tail, so that each chunk gives three samples for each of its own.
    at = np.arange(-3 * _UP_TAPS // 2 + 1, 3 * _UP_TAPS // 2)
    kernel = np.sinc(at / 3) * np.hamming(len(at))
    return kernel.astype(np.float32)


@cache
def _down_kernel() -> npt.NDArray[np.float32]:
    at = np.arange(_DOWN_TAPS) - _DOWN_TAPS // 2
    kernel = np.sinc(2 * _CUT_HZ / 24_000 * at) * np.hamming(_DOWN_TAPS)
    scaled: npt.NDArray[np.float32] = (kernel / kernel.sum()).astype(np.float32)
    return scaled


@cache
def _two_thirds_kernels() -> npt.NDArray[np.float32]:
    middle = _TWO_THIRDS_TAPS // 2 - 1
    at = np.arange(_TWO_THIRDS_TAPS) - middle - np.array([[0.0], [1.5]])
    window = 0.54 + 0.46 * np.cos(np.pi * (at / (middle + 1)).clip(-1, 1))
    kernel = np.sinc(2 * _SPEECH_CUT_HZ / SAMPLE_RATE_HZ * at) * window
    scaled: npt.NDArray[np.float32] = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


_SPEECH_CUT_HZ = 7_300
"""Half-way down: what is above 8,000 Hz would come back as something else."""

_CUT_HZ = 3_600
"""Half-way down: telephones carry up to 3,400 Hz, and from 4,000 on everything would come back as noise."""


def _whole(samples: npt.NDArray[np.float32]) -> Samples:
    return np.rint(samples).clip(-32768, 32767).astype(np.int16)
