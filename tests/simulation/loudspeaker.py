"""The loudspeaker of the simulation: the agent's track, and the ears of everybody in the room.

It has the traps that were measured on the real one: a capture lands a little after it was called, at times
much later; it waits while the queue is full; and one that lands after a clear is played. Each frame is
looked up in the ledger when it lands, and counted when it is heard, sample by sample, so the ledger knows
what the room heard and when, from nothing but the sound itself.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import ClassVar

import trio
from attrs import define, field

from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ
from tests.simulation.ledger import Ledger, Piece

__all__ = ["SimulatedLoudspeaker"]

GAP_S = 0.05
"""Sounds that are no farther apart are one."""


@define
class SimulatedLoudspeaker:
    """A queue that the room drains in real time.

    Args:
        ledger: knows the replies.
        random: for when captures land.
        queue_ms: how much the queue holds.
    """

    steps_from: ClassVar[float | None] = None

    ledger: Ledger
    random: Random
    queue_ms: int
    lands_within_s: float = 0.003
    takes_s: float = 0.0
    """What each capture takes beside that, while the room is slow."""
    audible: list[list[float]] = field(factory=list)
    """When something could be heard: beginnings and ends."""
    captures: int = 0
    clears: int = 0
    _queue: deque[tuple[Piece, int]] = field(factory=deque)
    """What lies there: pieces, and how many samples of each are left."""
    _heard_until: float = 0.0
    """Up to when the queue has been heard; all before it is over."""

    async def capture(self, pcm: bytes) -> None:
        """Appends sound; waits while there is no room for it."""
        clears = self.clears
        with trio.CancelScope(shield=True):
            await trio.sleep(self.takes_s + self.random.uniform(0, self.lands_within_s))
            while self.clears == clears and (excess_s := self._excess_s(pcm)) > 1e-6:
                await trio.sleep(min(excess_s, 0.01))
            self._land(pcm)
        await trio.lowlevel.checkpoint_if_cancelled()

    def clear(self) -> None:
        """Empties the queue at once."""
        self.hear()
        self.clears += 1
        self._queue.clear()
        self.ledger.cleared()

    def hear(self) -> None:
        """Plays what was to be played by now."""
        now = trio.current_time()
        # A hair is added so that 20 ms of virtual time are 20 ms of sound whatever floats do.
        samples = int((now - self._heard_until) * SAMPLE_RATE_HZ + 1e-4)
        while self._queue and samples > 0:
            piece, left = self._queue[0]
            count = min(left, samples)
            begins = self._heard_until
            self._heard_until += count / SAMPLE_RATE_HZ
            samples -= count
            if count == left:
                self._queue.popleft()
            else:
                self._queue[0] = piece, left - count
            if piece.loud:
                self._note_audible(begins, self._heard_until)
            self.ledger.heard(piece, piece.samples - left, count, begins)
        if not self._queue:
            self._heard_until = now

    def waiting_ms(self) -> float:
        """How much lies in the queue."""
        self.hear()
        return sum(left for _, left in self._queue) / SAMPLE_RATE_HZ * 1000

    def _excess_s(self, pcm: bytes) -> float:
        new_ms = len(pcm) / SAMPLE_BYTES / SAMPLE_RATE_HZ * 1000
        return (self.waiting_ms() + new_ms - self.queue_ms) / 1000 if self._queue else 0.0

    def _land(self, pcm: bytes) -> None:
        self.hear()
        self.captures += 1
        piece = self.ledger.landed(pcm)
        self._queue.append((piece, piece.samples))

    def _note_audible(self, begins: float, ends: float) -> None:
        if self.audible and begins - self.audible[-1][1] <= GAP_S:
            self.audible[-1][1] = ends
        else:
            self.audible.append([begins, ends])
