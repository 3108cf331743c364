"""A room's queue in virtual time: what LiveKit's `AudioSource` does, as far as a speaker can tell.

It drains in real time of whatever clock is passed in, remembers every sample that it let out, and has
the two traps that were measured: a capture may land some time after it was called, and one that lands
after `clear()` is played.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from attrs import define, field

from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["RoomQueue"]


@define
class RoomQueue:
    """Plays what lies in it, sample by sample.

    Args:
        clock: seconds.
    """

    clock: Callable[[], float]
    _heard: Counter[int] = field(factory=Counter)
    _waiting: bytearray = field(factory=bytearray)
    _played_until: float | None = None

    def land(self, pcm: bytes) -> None:
        """A capture arrives in the queue."""
        self._drain()
        if not self._waiting:
            self._played_until = self.clock()
        self._waiting += pcm

    def clear(self) -> None:
        """Empties the queue."""
        self._drain()
        self._waiting.clear()

    def waiting_ms(self) -> float:
        """How much lies in the queue."""
        self._drain()
        return len(self._waiting) / (SAMPLE_RATE_HZ * 2) * 1000

    def hear(self) -> Counter[int]:
        """How many samples of each value were heard by now."""
        self._drain()
        return self._heard

    def _drain(self) -> None:
        now = self.clock()
        if self._waiting and self._played_until is not None:
            # A hair is added so that 20 ms of virtual time are 20 ms of sound whatever floats do.
            samples = int((now - self._played_until) * SAMPLE_RATE_HZ + 1e-4)
            out = self._waiting[: samples * 2]
            del self._waiting[: len(out)]
            self._heard.update(memoryview(out).cast("h").tolist())
            self._played_until += samples / SAMPLE_RATE_HZ
        else:
            self._played_until = now
