"""How long to wait before trying again, and when to give up: one way for everything that is tried again.

Waits double up to a limit, with full jitter: each is random between zero and that, so that many clients that
lost the same server come back evenly, not in waves. No I/O, no clock: time is passed in.
"""

from __future__ import annotations

from random import Random

import attrs

__all__ = ["Backoff"]


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
