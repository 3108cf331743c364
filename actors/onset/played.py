"""What the room's queue played while the microphone heard a frame: two streams on one clock.
No I/O, no clock.

An echo canceller needs both streams side by side, sample by sample, at a constant offset. The speaker says
when each of its frames is due, so its stream has its own clock; the microphone's stream has the steady clock
that `ArrivalClock` reads off its frames.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from channels.messages import Sounding
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["PlayedSound"]


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
