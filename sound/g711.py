"""G.711 in tables: 8-bit sound on the wire, PCM16 inside.

A decoder has 256 levels. The encoder is a table of all 65,536 samples, each mapped to the level that is
nearest, so that the error is never more than half a step and the two signs are mirror images. (The
decision values of the recommendation's table differ from this by one at the borders of some segments,
which no ear and no decoder can tell.)
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["alaw_decode", "alaw_encode", "ulaw_decode", "ulaw_encode"]

Samples = npt.NDArray[np.int16]


def ulaw_decode(data: bytes) -> Samples:
    """PCM16 samples out of μ-law bytes."""
    return _ulaw_levels()[np.frombuffer(data, np.uint8)]


def ulaw_encode(samples: Samples) -> bytes:
    """Bytes of μ-law out of PCM16 samples; 0 gives 0xFF."""
    return _ulaw_codes()[samples.astype(np.int32) + 32768].tobytes()


def alaw_decode(data: bytes) -> Samples:
    """PCM16 samples out of A-law bytes."""
    return _alaw_levels()[np.frombuffer(data, np.uint8)]


def alaw_encode(samples: Samples) -> bytes:
    """Bytes of A-law out of PCM16 samples; 0 gives 0xD5."""
    return _alaw_codes()[samples.astype(np.int32) + 32768].tobytes()


@cache
def _ulaw_levels() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF  # all bits are inverted on the wire
    step, segment = code & 0xF, (code >> 4) & 7
    magnitude = (((step << 3) + 0x84) << segment) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


@cache
def _alaw_levels() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ 0x55  # every other bit is inverted on the wire
    step, segment = code & 0xF, (code >> 4) & 7
    first = (step << 4) + 8
    magnitude = np.where(segment == 0, first, (first + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


@cache
def _ulaw_codes() -> npt.NDArray[np.uint8]:
    return _nearest(_ulaw_levels(), positive=range(0xFF, 0x7F, -1), sign=0x80)


@cache
def _alaw_codes() -> npt.NDArray[np.uint8]:
    return _nearest(_alaw_levels(), positive=[code ^ 0x55 for code in range(0x80, 0x100)], sign=0x80)


def _nearest(levels: Samples, *, positive: range | list[int], sign: int) -> npt.NDArray[np.uint8]:
    codes = np.array(positive, dtype=np.uint8)  # in the order of their magnitudes
    magnitudes = levels[codes].astype(np.int64)
    borders = magnitudes[:-1] + magnitudes[1:]  # twice the midpoints: no halves
    samples = np.arange(-32768, 32768, dtype=np.int64)
    nearest = codes[np.searchsorted(borders, 2 * np.abs(samples), side="right")]
    return np.where(samples < 0, nearest ^ sign, nearest).astype(np.uint8)
