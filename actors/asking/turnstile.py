"""When a `reply.create` may go out: a state that follows what happens. No I/O, no clock.

The live service loses a `reply.create` that comes while somebody speaks. During a reply it ends that reply or
lets the two collide, and while a tool is pending it gives no sound. So each waits until nobody has the floor,
no tool is pending, and the last request or tool result has had its answer. One that waits too long is given
up.
"""

from __future__ import annotations

import math

from attrs import define, field, frozen

from channels.happenings import (
    AskSent,
    CallEnded,
    FloorHolder,
    FloorPassed,
    Happening,
    Interrupted,
    ReplyBegan,
    ReplyEnded,
    SessionLost,
    SessionStarted,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
    TurnStarted,
)
from channels.instructions import is_second_try
from channels.wire.messages import ReplyCreate

__all__ = ["MOST_WAITING", "SETTLES_S", "WAITS_AT_MOST_S", "Turnstile", "Waiting"]

MOST_WAITING = 8
"""More than a conversation can bear: a flood drops its own oldest request and takes nobody else's turn."""

WAITS_AT_MOST_S = 30.0
"""A long answer of the agent may come first. After that, nobody remembers what they typed."""

BEGINS_WITHIN_S = 5.0
"""From a `reply.create` to `reply.started`; 0.24 s to the first sound was seen."""

SETTLES_S = 0.05
"""After an interruption the service begins its answer in the same breath, but it is read a little later."""

ANSWERED_WITHIN_S = 10.0
"""From a tool's result to the reply that uses it; 0.03 to 2.3 s was seen."""


@frozen
class Waiting:
    """A request and its times (s)."""

    request: ReplyCreate
    since: float

    @property
    def until(self) -> float:
        """When it is given up."""
        return self.since + WAITS_AT_MOST_S


@define
class Turnstile:
    """Lets one through at a time."""

    waiting: list[Waiting] = field(factory=list, init=False)
    """Oldest first."""
    _in_session: bool = field(default=False, init=False)
    _holder: FloorHolder = field(default=FloorHolder.NOBODY, init=False)
    _interrupted_at: float = field(default=-math.inf, init=False)
    _tools: set[str] = field(factory=set, init=False)
    _busy_until: float = field(default=-math.inf, init=False)
    """Until when the answer to what was sent last may still begin."""
    _asking: bool = field(default=False, init=False)
    """The reply that called a tool is not over; it does not count as the answer to the tool's result."""
    _owed_until: float = field(default=-math.inf, init=False)
    """Until when the answer to a tool's result may still begin."""

    def take(self, happening: Happening, now: float) -> list[tuple[ReplyCreate, str]]:
        """Handles a happening. Returns what is given up because of it, and why."""
        match happening:
            case SessionStarted(resumed=resumed):
                self._in_session = True
                if not resumed:
                    self._owed_until, self._asking = -math.inf, False
                    # A greeting, or whatever the session says first by itself, comes within this time.
                    self._tools.clear()
                    self._busy_until = now + BEGINS_WITHIN_S / 5
            case SessionLost():
                self._in_session = False
            case CallEnded():
                self._in_session, self._busy_until, self._owed_until = False, -math.inf, -math.inf
                self._tools.clear()
                self._asking = False
                lost = [one.request for one in self.waiting]
                self.waiting.clear()
                return [(request, "the session is over") for request in lost]
            case FloorPassed(holder=holder):
                self._holder = holder
                if holder in (FloorHolder.ANSWER, FloorHolder.AGENT):
                    self._busy_until = -math.inf
                    self._answer_begins()
            case Interrupted():
                self._interrupted_at = now
            case ReplyBegan():
                self._answer_begins()
                self._withdraw()
            case ReplyEnded() if self._asking:
                self._asking = False
                if self._owed_until > -math.inf:
                    self._owed_until = now + ANSWERED_WITHIN_S
            case TurnStarted():
                self._withdraw()
            case AskSent():
                self._busy_until = now + BEGINS_WITHIN_S
            case ToolCalled(call_id=call_id):
                self._tools.add(call_id)
                self._asking = True
                self._withdraw()
            case ToolAnswered(call_id=call_id):
                self._tools.discard(call_id)
                self._owed_until = now + ANSWERED_WITHIN_S
            case ToolDropped(call_id=call_id):
                self._tools.discard(call_id)
            case _:
                pass
        return []

    def add(self, request: ReplyCreate, now: float) -> list[tuple[ReplyCreate, str]]:
        """Takes a request. Returns what is given up for it."""
        self.waiting.append(Waiting(request, now))
        if len(self.waiting) <= MOST_WAITING:
            return []
        return [(self.waiting.pop(0).request, f"more than {MOST_WAITING} are waiting")]

    def expire(self, now: float) -> list[tuple[ReplyCreate, str]]:
        """The requests that have waited too long."""
        late = [one for one in self.waiting if now >= one.until]
        self.waiting = [one for one in self.waiting if now < one.until]
        return [(one.request, f"its turn did not come within {WAITS_AT_MOST_S:g} s") for one in late]

    def next(self, now: float) -> Waiting | None:
        """The request whose turn it is; it counts as sent."""
        if not self.waiting or not self._is_free() or now < self._free_at():
            return None
        self._busy_until = now + BEGINS_WITHIN_S
        return self.waiting.pop(0)

    def next_time(self) -> float:
        """When to look again even if nothing happens (s; infinity: never)."""
        if not self.waiting:
            return math.inf
        until = min(one.until for one in self.waiting)
        return min(until, self._free_at()) if self._is_free() else until

    def _free_at(self) -> float:
        return max(self._busy_until, self._owed_until, self._interrupted_at + SETTLES_S)

    def _answer_begins(self) -> None:
        if not self._asking:
            self._owed_until = -math.inf

    def _withdraw(self) -> None:
        """Drops requests that make up for an answer that came after all, or that nobody waits for."""
        self.waiting = [one for one in self.waiting if not is_second_try(one.request.instructions or "")]

    def _is_free(self) -> bool:
        return self._in_session and self._holder is FloorHolder.NOBODY and not self._tools
