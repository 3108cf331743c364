"""Chance: everything random in a simulated call follows from one seed, trio's scheduler included.

Trio shuffles each batch of runnable tasks with a `Random` of its own, so that nobody relies on their
order, and offers no public way to seed it. `run_seeded` is the one place that reaches for it: it seeds
that `Random` and switches on the sorting of batches which trio's own plugin for hypothesis uses
(`trio._core._run._hypothesis_plugin_setup`), and puts both back afterwards. With that, the order of
tasks is as random as ever, and the same for the same seed, in every process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, TypeVar

import trio
from attrs import define, field, frozen
from trio.testing import MockClock

__all__ = ["Chance", "Standstill", "run_seeded"]

T = TypeVar("T")

_scheduler: Any = trio._core._run

STEPS_WITHOUT_TIME = 200_000
"""Rounds of the scheduler without any time passing, after which somebody is running in a circle. A burst of
a minute of sound in the smallest chunks takes some 20,000."""


@frozen
class Chance:
    """A source of independent randomness for each part, so that one part's draws do not move another's."""

    seed: str

    def of(self, part: str) -> Random:
        """The randomness of one part, from its beginning."""
        return Random(f"{self.seed}/{part}")


@define(eq=False)
class Standstill(trio.abc.Instrument):
    """Notices that tasks run and run while no time passes: in virtual time nothing else would end that."""

    on_standstill: Callable[[], None]
    _steps: int = field(default=0, init=False)
    _at: float = field(default=-1.0, init=False)

    def before_io_wait(self, timeout: float) -> None:
        """Once in each round of the scheduler."""
        now = trio.current_time()
        if now != self._at:
            self._at, self._steps = now, 0
        self._steps += 1
        if self._steps == STEPS_WITHOUT_TIME:
            self.on_standstill()


def run_seeded(
    seed: str, run: Callable[[], Awaitable[T]], instruments: Sequence[trio.abc.Instrument] = ()
) -> T:
    """Runs in virtual time that jumps when everybody waits; the same seed gives the same order of tasks."""
    before, sorted_before = _scheduler._r.getstate(), _scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    _scheduler._r.seed(seed)
    _scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    try:
        return trio.run(run, clock=MockClock(autojump_threshold=0), instruments=instruments)
    finally:
        _scheduler._r.setstate(before)
        _scheduler._ALLOW_DETERMINISTIC_SCHEDULING = sorted_before
