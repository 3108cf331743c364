"""Waiting: while there is no session, whoever is in the call hears a soft tone now and then.

In: happenings. Out: `Fill`, to the controller, which plays it only while neither the agent nor the person
says anything. A service that is full, or away, is asked again for up to a minute; a line that is dead for so
long is one that people hang up. A drop that is mended at once is over before the first tone. It is a tap: if
it is slow or crashes, there is no tone, and nothing else changes.
"""

from __future__ import annotations

import math

from attrs import define, field

from actors.filler.filling import fill
from channels.bounded import Receiver, Sender
from channels.happenings import CallEnded, Happening, SessionLost, SessionStarted
from channels.messages import Fill

__all__ = ["Waiting"]

AFTER_S = 3.0
"""A fresh session takes over within 0.9 to 1.8 s of a drop."""

EVERY_S = 5.0
"""As often as a telephone rings."""


@define
class _Line:
    """When a dead line is to be heard of. Times are in seconds."""

    next_at: float = math.inf

    def take(self, happening: Happening, now: float) -> None:
        """As `Waits.take`."""
        match happening:
            case SessionLost() if self.next_at == math.inf:
                self.next_at = now + AFTER_S
            case SessionStarted() | CallEnded():
                self.next_at = math.inf
            case _:
                pass

    def asked(self, now: float) -> None:
        """As `Waits.asked`."""
        self.next_at = now + EVERY_S


@define
class Waiting:
    """Lets a waiting person hear that the line is alive.

    Args:
        happenings: a tap.
        fills: sounds while the agent has nothing to say.
        tone: PCM16 mono 24 kHz.
    """

    happenings: Receiver[Happening]
    fills: Sender[Fill]
    tone: bytes = field(repr=False)

    async def run(self) -> None:
        """Watches until the happenings end."""
        async with self.happenings, self.fills:
            await fill(self.happenings, self.fills, _Line(), self.tone)
