"""Filler: asks for a quiet sound when a tool takes long and nobody says anything.

In: happenings. Out: `Fill`, to the controller. The controller plays it only while the agent has nothing to
say and the person is silent, and cuts it for either, so nothing here needs to be quick. `Patience` decides
when to ask. It is a tap: if it is slow or crashes, there is no filler, and nothing else changes.
"""

from __future__ import annotations

import math

from attrs import define, field

from actors.filler.filling import fill
from channels.bounded import Receiver, Sender
from channels.happenings import (
    FloorHolder,
    FloorPassed,
    Happening,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
)
from channels.messages import Fill
from channels.settings import FillerSound
from sound.pcm import ms_of_bytes

__all__ = ["Filler", "Patience"]

ANSWER_WITHIN_S = 4.0
"""How long to expect a reply after the last tool returned; 0.7 to 2.3 s was seen."""


@define
class Patience:
    """When a waiting person should hear that they are not forgotten. Times are in seconds.

    Args:
        sound: what they hear.
        after_s: how long a silence must be.
    """

    sound: FillerSound
    after_s: float
    _running: set[str] = field(factory=set, init=False)
    _until: float = field(default=-math.inf, init=False)
    """Until when the person is waiting for something; infinity while a tool runs."""
    _silent: bool = field(default=True, init=False)
    """Neither the person nor the agent has the floor."""
    _next: float = field(default=math.inf, init=False)

    @property
    def next_at(self) -> float:
        """When to ask for the sound; infinity: not at the moment."""
        return self._next if self._silent and self._next <= self._until else math.inf

    def take(self, happening: Happening, now: float) -> None:
        """Something happened that may begin or end a wait."""
        match happening:
            case ToolCalled(call_id=call_id):
                if not self._running:
                    self._next = now + self.after_s
                self._running.add(call_id)
                self._until = math.inf
            case ToolAnswered(call_id=call_id) if call_id in self._running:
                self._running.discard(call_id)
                self._until = math.inf if self._running else now + ANSWER_WITHIN_S
            case ToolDropped(call_id=call_id):
                self._running.discard(call_id)
                self._until = math.inf if self._running else -math.inf
            case FloorPassed(holder=holder):
                self._silent = holder in (FloorHolder.NOBODY, FloorHolder.ANSWER)
                if holder is FloorHolder.AGENT:
                    self._until = math.inf if self._running else -math.inf
                elif self._silent:
                    self._wait_again(now)
            case _:
                pass

    def asked(self, now: float) -> None:
        """The sound was asked for."""
        every_s = self.sound.every_s
        length_s = ms_of_bytes(len(self.sound.pcm)) / 1000
        self._next = math.inf if every_s is None else now + max(every_s, length_s)

    def _wait_again(self, now: float) -> None:
        if self._next < math.inf:
            self._next = max(self._next, now + self.after_s)


@define
class Filler:
    """Fills the silence while a tool runs."""

    happenings: Receiver[Happening]
    fills: Sender[Fill]
    sound: FillerSound | None
    after_ms: int

    async def run(self) -> None:
        """Watches until the happenings end."""
        async with self.happenings, self.fills:
            if self.sound is None:
                return
            patience = Patience(self.sound, self.after_ms / 1000)
            await fill(self.happenings, self.fills, patience, self.sound.pcm)
