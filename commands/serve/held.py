"""Who holds the loop up: one task at a time runs in Trio, so whoever blocks silences the voice.

A tool that is `async` and calls `time.sleep`, an actor that waits for a disk: nothing can take the processor
from them. But Trio tells when a task begins and ends to run, and what takes too long is told, with the name
under which it was started.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import trio
from attrs import define, field

from channels.happenings import LoopHeld

__all__ = ["LoopWatch"]

TOLD_FROM_MS = 100
"""The room has about that much sound in its queue: beyond it, a pause is heard."""

TOLD_AGAIN_AFTER_S = 10.0
"""Whoever blocks does so again and again."""

MOST_NAMES = 64

_FIXES = {
    "tool": "make it a plain function, which runs in a thread, or put what blocks in trio.to_thread.run_sync",
    "actor": "put what blocks in trio.to_thread.run_sync",
}
_OURS = "the machine is too slow or too busy, or this is a fault of the program"


@define(eq=False)
class LoopWatch(trio.abc.Instrument):
    """Tells who kept the loop for too long. To be added with `trio.lowlevel.add_instrument`.

    Args:
        tell: is told. It must not wait.
        clock: in seconds.
    """

    tell: Callable[[LoopHeld], None]
    clock: Callable[[], float] = time.perf_counter
    _since: float = field(default=math.inf, init=False)
    _told: dict[str, float] = field(factory=dict, init=False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio's: the task runs from now on."""
        self._since = self.clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Trio's: it has run."""
        now = self.clock()
        ms = (now - self._since) * 1000
        if ms >= TOLD_FROM_MS:
            self._hold(_name_of(task), round(ms), now)

    def _hold(self, by: str, ms: int, now: float) -> None:
        if now - self._told.get(by, -math.inf) < TOLD_AGAIN_AFTER_S:
            return
        self._told.pop(by, None)
        if len(self._told) == MOST_NAMES:
            del self._told[next(iter(self._told))]
        self._told[by] = now
        self.tell(LoopHeld(by, ms, _FIXES.get(by.partition(" ")[0], _OURS)))


def _name_of(task: trio.lowlevel.Task) -> str:
    """The task's own name, or that of the tool or actor that it works for."""
    above: trio.lowlevel.Task | None = task
    while above is not None:
        if above.name.partition(" ")[0] in _FIXES:
            return above.name
        nursery = above.parent_nursery
        above = None if nursery is None else nursery.parent_task
    return task.name
