"""A steady time for frames that a network, or a busy machine, bunches and delays. No I/O, no clock.

The frames of a stream have no holes, so their samples measure the time. Their arrivals only show how far that
is from the clock, and shift it when the path really became longer or shorter.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["ArrivalClock"]

TOLERANCE_S = 0.06
"""A way that changes by less than this is left as it is: the canceller itself follows small changes, while
each step of ours costs it a second to find the echo again."""

_REMEMBERED_S = 1.0
"""What delays all frames of so long a time is no jitter."""

_FORGOTTEN_S = 1.0
"""A microphone that paused for longer than this begins anew."""


@define
class ArrivalClock:
    """When the sound of each frame would have arrived, had nothing delayed it."""

    _samples: int = field(default=0, init=False)
    _offset: float | None = field(default=None, init=False)
    _recent: deque[tuple[float, float]] = field(factory=deque, init=False)
    """The offsets of the last second that none after them goes below, each with the time of its frame."""

    def take(self, samples: int, now: float) -> float:
        """Takes a frame of so many samples that arrived at `now` (s); gives the steady time of its end."""
        self._samples += samples
        spoken_s = self._samples / SAMPLE_RATE_HZ
        offset = now - spoken_s
        if self._offset is not None and offset - self._offset > _FORGOTTEN_S:
            self._recent.clear()
        while self._recent and self._recent[-1][1] >= offset:
            self._recent.pop()
        self._recent.append((spoken_s, offset))
        while self._recent[0][0] <= spoken_s - _REMEMBERED_S:
            self._recent.popleft()
        # A frame can be late, never early: the soonest of the last second is nearest to the truth.
        soonest = self._recent[0][1]
        if self._offset is None or abs(soonest - self._offset) > TOLERANCE_S:
            self._offset = soonest
        return spoken_s + self._offset

    def heard(self, samples: int, now: float) -> float:
        """As `take`, but `now` where the frame is late by no more than jitter, and never later than that."""
        steady = self.take(samples, now)
        return steady if now - steady > TOLERANCE_S else now
