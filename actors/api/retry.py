"""After a failure: resume, start afresh, or give up. No I/O, no clock: time is passed in.

A session that drops is asked for once, at once. Whatever comes of that, short of `session.ready`, is final
for it: a service that said no has never been seen to say yes later, and the person waits. So a fresh session
follows in the same breath. Only a service that cannot be reached, and one that breaks off again and again,
is given time.
"""

from __future__ import annotations

import math
from random import Random

from attrs import Factory, define, field, frozen

from channels.backoff import Backoff
from channels.wire.failures import Retry, ServiceError

__all__ = ["Next", "RetryPolicy"]

RESUME_WITHIN_S = 25.0
"""The service keeps a dropped session for 30 s; the rest is for connecting."""

GIVE_UP_AFTER_S = 60.0
"""A conversation that has not come back by then is over for the person."""

START_WITHIN_S = 10.0
"""A first connection that does not succeed by then is more likely a wrong setting than bad luck."""

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
        resume: whether a dropped session is asked for at all.
    """

    random: Random
    resume: bool = True
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
        # If a refused resume was about the key, or the service is full, the fresh start is told so, too.
        at_once = asked or (not self._backoff.failing and (dropped or failure.retry is Retry.FRESH))
        wait_s = self._backoff.next_s(now, at_once=at_once)
        return None if wait_s is None else Next(wait_s, resume=now + wait_s <= self._kept_until)
