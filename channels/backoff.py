"""How long to wait before trying again, and when to give up: one way for everything that is tried again.

Waits double up to a limit, with full jitter: each is random between zero and that, so that many clients that
lost the same server come back evenly, not in waves. A first try that need not wait is still not made by all
of them in the same moment (`Turns`). No I/O, no clock: time is passed in.
"""

from __future__ import annotations

import math
from random import Random

import attrs

__all__ = ["Backoff", "Turns", "about"]

APART_S = 0.04
"""Between two that would begin at once. Each new session costs this process and the service some 10 ms of
computing each, besides TLS. Twenty of them in one moment hold up every voice of the process, and look like an
attack. So the last of twenty begins 0.8 s later; whoever is alone waits for nothing, and is back as soon as
ever."""


@attrs.define
class Backoff:
    """The waits of one thing that fails: up to 0.25 · 2ⁿ s, and never above `longest_s`."""

    random: Random
    patience_s: float
    """From the first failure on; `math.inf` tries for ever."""
    first_s: float = 0.25
    longest_s: float = 5.0
    _failing_since: float | None = attrs.field(default=None, init=False)
    _tries: int = attrs.field(default=0, init=False)

    @property
    def failing(self) -> bool:
        """Whether it has failed since it was last well."""
        return self._failing_since is not None

    def next_s(self, now: float, *, at_once: bool = False) -> float | None:
        """It failed at `now`: how many seconds to wait. None: its patience is over, so give up.

        Args:
            now: in seconds.
            at_once: there is a reason to try without waiting; it still counts as a failure.
        """
        if self._failing_since is None:
            self._failing_since = now
        wait_s = 0.0
        if not at_once:
            wait_s = self.random.uniform(0, min(self.longest_s, self.first_s * 2.0 ** min(self._tries, 16)))
            self._tries += 1
        return wait_s if now + wait_s - self._failing_since <= self.patience_s else None

    def well(self) -> None:
        """It works again: the next failure is a first one."""
        self._failing_since, self._tries = None, 0


@attrs.define
class Turns:
    """Spreads what many would begin in the same moment; one for all that would."""

    random: Random
    apart_s: float = APART_S
    """On average: half of it to one and a half."""
    _next_at: float = attrs.field(default=-math.inf, init=False)

    def next_s(self, now: float) -> float:
        """Takes a turn: how many seconds to wait for it from `now` on; 0 if nobody has just taken one."""
        at = max(now, self._next_at)
        self._next_at = at + about(self.random, self.apart_s)
        return at - now


def about(random: Random, every_s: float) -> float:
    """Half of it to one and a half: how long to wait before doing again what many do every so often."""
    return random.uniform(0.5, 1.5) * every_s
