"""Finds what holds up the loop: Trio runs one task at a time, so a task that blocks silences the voice.

Nothing can take the processor from an `async` tool that calls `time.sleep`, or an actor that waits for a
disk. But Trio reports when a task starts and stops running, so a task that takes too long is logged, with the
name under which it was started.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import trio
from attrs import define, field

from channels.happenings import LoopHeld
from channels.work import Work

__all__ = ["LoopWatch"]

TOLD_FROM_MS = 100
"""The room's queue holds about this much sound; beyond it, people hear a pause."""

TOLD_AGAIN_AFTER_S = 10.0
"""A task that blocks usually does so again and again."""

MOST_NAMES = 64

_FIXES = {
    Work.TOOL: "make it a plain function, which runs in a thread, "
    "or run the blocking part in trio.to_thread.run_sync",
    Work.ACTOR: "run the blocking part in trio.to_thread.run_sync",
}
_OURS = "the machine is too slow or too busy, or this is a bug in the program"


@define(eq=False)
class LoopWatch(trio.abc.Instrument):
    """Reports tasks that held the loop for too long: one per thread's loop, for all rooms in it.

    Args:
        clock: in seconds.
    """

    clock: Callable[[], float] = time.perf_counter
    _since: float = field(default=math.inf, init=False)
    _told: dict[str, float] = field(factory=dict, init=False)
    _listeners: list[Callable[[LoopHeld], None]] = field(factory=list, init=False)

    @contextmanager
    def watching(self) -> Iterator[LoopWatch]:
        """Watches the loop that it is called in."""
        trio.lowlevel.add_instrument(self)
        try:
            yield self
        finally:
            with suppress(KeyError):  # Trio itself removes one that failed
                trio.lowlevel.remove_instrument(self)

    @contextmanager
    def telling(self, listener: Callable[[LoopHeld], None]) -> Iterator[None]:
        """Tells `listener`, too, which must not wait."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

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
        kind = Work.of(by)
        held = LoopHeld(by, ms, _OURS if kind is None else _FIXES[kind])
        for listener in self._listeners:
            listener(held)


def _name_of(task: trio.lowlevel.Task) -> str:
    """The task's own name, or that of the tool or actor that it works for."""
    above: trio.lowlevel.Task | None = task
    while above is not None:
        if Work.of(above.name) is not None:
            return above.name
        nursery = above.parent_nursery
        above = None if nursery is None else nursery.parent_task
    return task.name
