"""When another session takes over: after a failure, or at a quiet moment before one expires.

No I/O, no clock: time is passed in.

If a session drops, we ask to resume it once, at once. Anything short of `session.ready` is final: the service
has never been seen to change a no into a yes, and the person is waiting. So a fresh session follows right
away. Only a service that cannot be reached, or that breaks off again and again, is given time.
"""

from __future__ import annotations

import math
from random import Random

import attrs
from attrs import Factory, define, field, frozen

from channels.backoff import Backoff, Turns
from channels.happenings import FloorHolder, FloorPassed, Happening
from channels.wire.events import ServerEvent, ToolCall
from channels.wire.failures import Retry, ServiceBusy, ServiceError
from channels.wire.messages import ClientMessage, ToolResult

__all__ = ["Next", "Quiet", "RetryPolicy", "look_from"]

WINDOW_S = 300.0
"""How long before its end a session may be renewed: five minutes of talk have a quiet moment."""

SHORTEST_LIFE_S = 30.0
"""For a session that is shorter than this by our clock, no renewal is planned: the clocks may differ, and its
expiry is handled when it comes."""

QUIET_S = 3.0
"""Nobody has said anything for this long: the person may be thinking, but the agent is not."""

ANSWER_WITHIN_S = 10.0
"""If a turn of the person or a tool's result has no answer by then, it gets none."""

TOOL_WITHIN_S = 120.0
"""A tool that has not returned by then has failed: the protocol's default."""


def look_from(now: float, life_s: float) -> float:
    """When to start looking for a quiet moment; infinity if nothing is planned.

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
                # Speech in the meantime does not make a running tool forgotten.
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


RESUME_WITHIN_S = 25.0
"""The service keeps a dropped session for 30 s; the rest is for connecting."""

GIVE_UP_AFTER_S = 60.0
"""If the conversation is not back by then, it is over for the person."""

START_WITHIN_S = 10.0
"""A first connection that does not succeed by then is more likely a wrong setting than bad luck; unless the
service says that it is full, which it says of a good key only."""

STEADY_AFTER_S = 10.0
"""A session that ran this long counts as healthy again: the next failure starts a new count."""


@frozen
class Next:
    """What to do now."""

    wait_s: float
    resume: bool


@define
class RetryPolicy:
    """Decides after each failure of one session actor.

    Args:
        random: for the waits.
        resume: whether to ask for a dropped session at all.
        turns: of all sessions of the process, which may be dropped in the same moment.
    """

    random: Random
    resume: bool = True
    turns: Turns = field(default=Factory(lambda self: Turns(self.random), takes_self=True))
    _backoff: Backoff = field(
        default=Factory(lambda self: Backoff(self.random, START_WITHIN_S), takes_self=True), init=False
    )
    _ready_at: float | None = field(default=None, init=False)
    _kept_until: float = field(default=-math.inf, init=False)
    """Until when the dropped session may be asked for."""
    _asked: bool = field(default=False, init=False)
    """The connection that is open, or was last, has asked for it."""

    def asks(self) -> None:
        """`session.resume` is being sent: once for each drop."""
        self._asked, self._kept_until = True, -math.inf

    def ready(self, now: float) -> None:
        """The service said `session.ready`."""
        self._ready_at = now
        self._backoff.patience_s = GIVE_UP_AFTER_S
        self._asked, self._kept_until = False, -math.inf

    def ended(self) -> None:
        """The session was ended on purpose; that the settings are right is known for the next one."""
        self._backoff.well()
        self._ready_at = None
        self._asked, self._kept_until = False, -math.inf

    def failed(self, failure: ServiceError, now: float) -> Next | None:
        """What to do after this failure; None: give up and raise it."""
        asked, self._asked = self._asked, False
        dropped = self._ready_at is not None
        if self._ready_at is not None:
            if now - self._ready_at >= STEADY_AFTER_S:
                self._backoff.well()
            self._ready_at = None
            if self.resume and failure.retry in (Retry.RESUME, Retry.LATER):
                self._kept_until = now + RESUME_WITHIN_S
        if failure.retry is Retry.FRESH:
            self._kept_until = -math.inf
        if failure.retry is Retry.NEVER and not asked:
            return None
        if isinstance(failure, ServiceBusy):
            self._backoff.patience_s = GIVE_UP_AFTER_S
        # If a refused resume was about the key, or the service is full, the fresh start is told so, too.
        at_once = asked or (not self._backoff.failing and (dropped or failure.retry is Retry.FRESH))
        wait_s = self._backoff.next_s(now, at_once=at_once)
        if wait_s is None:
            return None
        if dropped:
            wait_s = max(wait_s, self.turns.next_s(now))
        return Next(wait_s, resume=now + wait_s <= self._kept_until)
