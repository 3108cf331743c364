"""How fast a reply's sound is sent, and how much of it a client can have played. No I/O, no clock.

The service sends in real time after a first burst of 100 to 200 ms (recorded). The protocol has no report of
what was played: `Timeline` is all that a server can know, and what an interruption cuts the text to.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

__all__ = ["Burst", "Pacing", "RealTime", "Timeline", "Times", "due_s"]


@attrs.frozen
class RealTime:
    """A reply's sound is sent as fast as it plays."""

    first_ms: float = attrs.field(default=150, validator=attrs.validators.ge(0))
    """Sent at once, ahead of the rest: 100 to 200 were recorded."""


@attrs.frozen
class Times:
    """A reply's sound is sent `k` times as fast as it plays."""

    k: float = attrs.field(validator=attrs.validators.gt(0))


@attrs.frozen
class Burst:
    """A reply's sound is sent as soon as it exists."""


Pacing: TypeAlias = RealTime | Times | Burst


def due_s(pacing: Pacing, at_ms: float) -> float:
    """When sound at `at_ms` of a reply is to be sent, in seconds from the reply's first chunk."""
    match pacing:
        case RealTime(first_ms=first_ms):
            return max(0.0, at_ms - first_ms) / 1000
        case Times(k=k):
            return at_ms / 1000 / k
        case Burst():
            return 0.0


@attrs.define
class Timeline:
    """How much of a reply was sent, and how much of that has been played if it plays on arrival."""

    sent_ms: float = 0.0
    _plays_until_s: float = 0.0

    def send(self, ms: float, now_s: float) -> None:
        """So much more was sent: it plays after what was sent before, or at once."""
        self.sent_ms += ms
        self._plays_until_s = max(self._plays_until_s, now_s) + ms / 1000

    def left_s(self, now_s: float) -> float:
        """How long the rest plays."""
        return max(0.0, self._plays_until_s - now_s)

    def heard_ms(self, now_s: float) -> float:
        """How much has been played."""
        return max(0.0, self.sent_ms - self.left_s(now_s) * 1000)
