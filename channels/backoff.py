"""How long to wait before trying again: doubling, capped, jittered so that many do not try at once."""

from __future__ import annotations

from random import Random

import attrs

__all__ = ["Backoff"]


@attrs.define
class Backoff:
    """Waits of 0.25 · 2ⁿ s up to 5 s, plus up to a quarter (as the service's own SDK waits).

    With `full_jitter` each is anything from nothing to that: many who lost the same service come back evenly.
    """

    random: Random
    first_s: float = 0.25
    longest_s: float = 5.0
    full_jitter: bool = False
    _tries: int = attrs.field(default=0, init=False)

    def next_s(self) -> float:
        """The next wait, in seconds."""
        wait_s: float = min(self.longest_s, self.first_s * 2.0 ** min(self._tries, 16))
        self._tries += 1
        if self.full_jitter:
            return self.random.uniform(0, wait_s)
        return wait_s * (1 + self.random.uniform(0, 0.25))
