"""Whether the Voice Agent API has a place for one more session, as far as its answers have told.

A pure decision. The service says that it is full (`concurrency_exceeded`, `at_capacity`) only when somebody
begins a session, and a person would wait for that. So after such an answer this worker takes no job for a
while, and LiveKit asks others, which may have another account: at most `FIRST_S` long the first time, twice
as long after each further answer, up to `LONGEST_S`. The waits have full jitter, so that the workers of one
account do not all try again at once. A session that begins shows that there is a place again.
"""

from __future__ import annotations

import math
from random import Random

from attrs import Factory, define, field

from channels.backoff import Backoff

__all__ = ["ServicePlaces"]

FIRST_S = 10.0
"""A room that is refused goes on trying, every few seconds: it will have found out by then."""

LONGEST_S = 60.0
"""An abandoned session counts for 30 s; a call that ends frees a place at any time."""


@define
class ServicePlaces:
    """What the service has answered to the rooms of one process.

    Args:
        random: for the waits.
    """

    random: Random = field(factory=Random)
    _backoff: Backoff = field(
        default=Factory(lambda self: Backoff(self.random, math.inf, FIRST_S, LONGEST_S), takes_self=True),
        init=False,
    )
    _full_until: float = field(default=-math.inf, init=False)

    def is_full(self, now: float) -> bool:
        """Whether to take no job at `now` (s)."""
        return now < self._full_until

    def refused(self, now: float) -> None:
        """It had no place for a session. Many rooms that hear so in one wait are one answer."""
        if not self.is_full(now):
            self._full_until = now + (self._backoff.next_s(now) or 0.0)

    def accepted(self) -> None:
        """A session began."""
        self._backoff.well()
        self._full_until = -math.inf
