"""What the room's queue played while the microphone heard a frame: two streams on one clock. Pure.

An echo canceller wants both streams side by side, sample by sample, at a distance that stays the same. The
speaker tells when each of its frames is due, so its stream has a clock of its own. The microphone's frames
have only their times of arrival, which a network bunches and delays; `ArrivalClock` reads a steady time
off them, and moves only when the way really became longer or shorter.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from channels.messages import Sounding
from channels.sound import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["ArrivalClock", "PlayedSound"]

TOLERANCE_S = 0.06
"""A way that changes by less than this is left as it is: the canceller itself follows small changes, while
each step of ours costs it a second to find the echo again."""

_REMEMBERED_FRAMES = 20
"""One second of frames: what delays all of them that long is no jitter."""

_FORGOTTEN_S = 1.0
"""A microphone that paused for longer than this begins anew."""


@define
class ArrivalClock:
    """When the sound of each frame would have arrived, had nothing delayed it."""

    _samples: int = field(default=0, init=False)
    _offset: float | None = field(default=None, init=False)
    _recent: deque[float] = field(factory=lambda: deque(maxlen=_REMEMBERED_FRAMES), init=False)

    def take(self, samples: int, now: float) -> float:
        """Takes a frame of so many samples that arrived at `now` (s); gives the steady time of its end."""
        self._samples += samples
        spoken_s = self._samples / SAMPLE_RATE_HZ
        offset = now - spoken_s
        if self._offset is not None and offset - self._offset > _FORGOTTEN_S:
            self._recent.clear()
        self._recent.append(offset)
        # A frame can be late, never early: the soonest of the last second is nearest to the truth.
        soonest = min(self._recent)
        if self._offset is None or abs(soonest - self._offset) > TOLERANCE_S:
            self._offset = soonest
        return spoken_s + self._offset


@define
class PlayedSound:
    """The speaker's stream, silence where it said nothing."""

    _pieces: deque[tuple[int, bytes]] = field(factory=deque, init=False)
    """The place (samples since time 0) and the sound of each piece, in order, none over another."""

    def take(self, sounding: Sounding) -> None:
        """Takes what the speaker told."""
        begin = _place(sounding.at)
        while self._pieces and self._pieces[-1][0] >= begin:
            self._pieces.pop()
        if self._pieces:
            at, pcm = self._pieces[-1]
            self._pieces[-1] = (at, pcm[: (begin - at) * SAMPLE_BYTES])
        if sounding.pcm:
            self._pieces.append((begin, sounding.pcm))

    def before(self, ends_at: float, samples: int) -> bytes:
        """The last `samples` up to `ends_at` (s). What lies before them is forgotten."""
        begin = _place(ends_at) - samples
        sound = bytearray(samples * SAMPLE_BYTES)
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) // SAMPLE_BYTES <= begin:
            self._pieces.popleft()
        for at, pcm in self._pieces:
            place = (at - begin) * SAMPLE_BYTES
            if place >= len(sound):
                break
            piece = pcm[max(0, -place) :][: len(sound) - max(0, place)]
            sound[max(0, place) : max(0, place) + len(piece)] = piece
        return bytes(sound)


def _place(at: float) -> int:
    return round(at * SAMPLE_RATE_HZ)
