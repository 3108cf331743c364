"""After a failure: resume, start afresh, or give up. Pure: time is passed in."""

from __future__ import annotations

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
    """Decides after each failure of one session actor."""

    random: Random
    _backoff: Backoff = field(default=Factory(lambda self: Backoff(self.random), takes_self=True), init=False)
    _failing_since: float | None = field(default=None, init=False)
    _broke_at: float | None = field(default=None, init=False)
    _ready_at: float | None = field(default=None, init=False)
    _ever_ready: bool = field(default=False, init=False)

    def ready(self, now: float) -> None:
        """The service said `session.ready`."""
        self._ready_at = now
        self._ever_ready = True
        self._broke_at = None

    def ended(self) -> None:
        """The session was ended on purpose; that the settings are right is known for the next one."""
        self._failing_since, self._backoff = None, Backoff(self.random)
        self._broke_at = self._ready_at = None

    def failed(self, failure: ServiceError, now: float) -> Next | None:
        """What to do after this failure; None: give up and raise it."""
        if self._ready_at is not None:
            if now - self._ready_at >= STEADY_AFTER_S:
                self._failing_since, self._backoff = None, Backoff(self.random)
            self._broke_at, self._ready_at = now, None
        first = self._failing_since is None
        if self._failing_since is None:
            self._failing_since = now
        if failure.retry is Retry.NEVER:
            return None
        wait_s = 0.0 if failure.retry is Retry.FRESH and first else self._backoff.next_s()
        patience_s = GIVE_UP_AFTER_S if self._ever_ready else START_WITHIN_S
        if now + wait_s - self._failing_since > patience_s:
            return None
        # While the session may still be there, a service that cannot be reached is no reason to forget it.
        lost = failure.retry in (Retry.RESUME, Retry.LATER)
        resume = lost and self._broke_at is not None and now + wait_s - self._broke_at <= RESUME_WITHIN_S
        return Next(wait_s, resume)
