"""How loud the person was, as far as the service goes by it: the peak since they began. No I/O, no clock."""

from __future__ import annotations

from collections import deque

import attrs
import numpy as np

__all__ = ["Loudness"]

_MOST = 1200
"""Pieces that are remembered: a minute in pieces of 50 ms. Longer speech is judged by its last minute."""
_FULL_SCALE = 32768


@attrs.define
class Loudness:
    """The peaks of the latest sound."""

    _peaks: deque[tuple[float, float]] = attrs.field(factory=lambda: deque(maxlen=_MOST), init=False)

    def take(self, pcm: bytes, now_s: float) -> None:
        """A piece of sound (PCM16, a few ms to a second) that arrived at `now_s`."""
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        if samples.size:
            self._peaks.append((now_s, float(np.abs(samples).max()) / _FULL_SCALE))

    def peak_since(self, since_s: float) -> float:
        """The loudest sample since then, as a fraction of full scale; 0 if there was no sound."""
        return max((peak for at_s, peak in self._peaks if at_s >= since_s), default=0.0)
