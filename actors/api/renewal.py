"""When a session is renewed before it expires: at a quiet moment near its end. Pure: time is passed in."""

from __future__ import annotations

import math

import attrs

from channels.happenings import Happening, ReplyEnded, TurnStarted, TurnStopped
from channels.wire.events import ReplyStarted, ServerEvent, ToolCall
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

    _person_speaks: bool = attrs.field(default=False, init=False)
    _open: set[str] = attrs.field(factory=set, init=False)
    """Replies that are not over."""
    _since: float = attrs.field(default=-math.inf, init=False)
    """When the latest of all that ended, or will be given up."""

    def take(self, event: ServerEvent | ClientMessage | Happening, now: float) -> None:
        """Something went through."""
        match event:
            case TurnStarted():
                self._person_speaks = True
            case TurnStopped():
                self._person_speaks = False
                self._since = now + ANSWER_WITHIN_S - QUIET_S
            case ToolCall():
                self._since = now + TOOL_WITHIN_S - QUIET_S
            case ToolResult():
                self._since = now + ANSWER_WITHIN_S - QUIET_S
            case ReplyStarted(reply_id=reply_id):
                self._open.add(reply_id)
                self._since = now  # what was waited for
            case ReplyEnded(reply_id=reply_id):
                self._open.discard(reply_id)
                self._since = max(self._since, now)
            case _:
                pass

    def at(self) -> float:
        """When the moment is quiet, as far as is known now (s); infinity while something is going on."""
        return math.inf if self._person_speaks or self._open else self._since + QUIET_S

    def forget(self) -> None:
        """The connection broke: whatever was going on is over."""
        self._open.clear()
        self._person_speaks = False
