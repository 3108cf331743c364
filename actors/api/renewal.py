"""When a session is renewed before it expires: at a quiet moment near its end.

No I/O, no clock: time is passed in.
"""

from __future__ import annotations

import math

import attrs

from channels.happenings import FloorHolder, FloorPassed, Happening
from channels.wire.events import ServerEvent, ToolCall
from channels.wire.messages import ClientMessage, ToolResult

__all__ = ["Quiet", "look_from"]

WINDOW_S = 300.0
"""How long before its end a session may be renewed: five minutes of talk have a quiet moment."""

SHORTEST_LIFE_S = 30.0
"""A session that lasts no longer by our clock is not planned for: the clocks may differ, and its expiry is
met when it comes."""

QUIET_S = 3.0
"""So long nobody says anything: the person may be thinking, the agent is not."""

ANSWER_WITHIN_S = 10.0
"""A turn of the person, or a tool's result, that has no answer by then gets none."""

TOOL_WITHIN_S = 120.0
"""A tool that has not returned by then has failed: the protocol's default."""


def look_from(now: float, life_s: float) -> float:
    """From when on a quiet moment is looked for; infinity if nothing is planned.

    Args:
        now: when the session was ready, in s.
        life_s: how long it lasts from then on.
    """
    if life_s < SHORTEST_LIFE_S:
        return math.inf
    return now + life_s - min(WINDOW_S, life_s / 2)


@attrs.define
class Quiet:
    """Whether anything is going on."""

    _holder: FloorHolder = attrs.field(default=FloorHolder.NOBODY, init=False)
    _since: float = attrs.field(default=-math.inf, init=False)
    """When the latest of all that ended, or will be given up."""

    def take(self, event: ServerEvent | ClientMessage | Happening, now: float) -> None:
        """Something went through."""
        match event:
            case FloorPassed(holder=holder):
                self._holder = holder
                # A tool that is still awaited is not forgotten because somebody spoke meanwhile.
                self._since = now if holder is FloorHolder.AGENT else max(self._since, now)
            case ToolCall():
                self._since = now + TOOL_WITHIN_S - QUIET_S
            case ToolResult():
                self._since = now + ANSWER_WITHIN_S - QUIET_S
            case _:
                pass

    def at(self) -> float:
        """When the moment is quiet, as far as is known now (s); infinity while something is going on."""
        return self._since + QUIET_S if self._holder is FloorHolder.NOBODY else math.inf
