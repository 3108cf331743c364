"""How busy this process and its machine are, between 0 (idle) and 1 (no more rooms).

A count of rooms says little: one that listens to a quiet person costs a fraction of one that speaks. What
people notice is sound that comes late, and it does when the loop is late or the processors are taken. So
three things are measured, and the worst of them is the load:

- the processors: of the control group, where it has a quota (a container's limit), else of the machine;
- the loop's own thread, which no second processor can help;
- the loop's lag: how much later than asked a task runs.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import trio
from attrs import define, field, frozen

__all__ = ["LATE_MS", "Load", "LoadMeter", "Processors", "usable_processors"]

LATE_MS = 20.0
"""A p99 of the loop's lag that is too much: one frame of the speaker, so that no queue runs dry of it."""

EVERY_S = 0.05
"""How often the lag is measured: often enough for a p99 of ten seconds, and a thousandth of a core."""

WINDOW_S = 10.0
"""What is measured counts for so long: a room that starts takes about two seconds to cost what it costs."""


@frozen
class Load:
    """What was measured in the last ten seconds."""

    processors: float = 0.0
    """The share of the processors that is taken, by anybody."""
    thread: float = 0.0
    """The share of the time in which the loop's thread computes."""
    lag_ms: float = 0.0
    """The p99 of the loop's lag."""

    @property
    def value(self) -> float:
        """Between 0 and 1."""
        return min(1.0, max(self.processors, self.thread, self.lag_ms / LATE_MS))


@define
class Processors:
    """The processors that this process may use, and how much of them is taken.

    Args:
        group: the folder of the control group (cgroup v2).
        machine: `/proc/stat`.
    """

    group: Path = Path("/sys/fs/cgroup")
    machine: Path = Path("/proc/stat")
    _before: tuple[float, float] | None = field(default=None, init=False)

    def share(self, now: float) -> float:
        """The share that was taken since the last call; `now` in seconds, on a clock that only rises."""
        taken = self._of_group(now) or self._of_machine()
        if taken is None:
            return 0.0  # a system without either, as macOS: the thread and the lag are left
        before, self._before = self._before, taken
        if before is None or taken[1] <= before[1]:
            return 0.0
        return max(0.0, min(1.0, (taken[0] - before[0]) / (taken[1] - before[1])))

    def _of_group(self, now: float) -> tuple[float, float] | None:
        """Seconds used, and seconds allowed, so far."""
        try:
            limit = _limit_of(self.group)
            if limit is None:
                return None
            used = dict(line.split() for line in (self.group / "cpu.stat").read_text().splitlines())
            return int(used["usage_usec"]) / 1e6, now * limit
        except (OSError, ValueError, KeyError):
            return None

    def _of_machine(self) -> tuple[float, float] | None:
        try:
            ticks = [int(each) for each in self.machine.read_text().split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        # user, nice, system, idle, iowait, irq, softirq, steal
        if len(ticks) < 5:
            return None
        return float(sum(ticks) - ticks[3] - ticks[4]), float(sum(ticks))


def usable_processors(group: Path = Path("/sys/fs/cgroup")) -> int:
    """How many whole processors this process may use, a container's limit included; at least one.

    Args:
        group: the folder of the control group (cgroup v2).
    """
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _limit_of(group)
    return there if limit is None else max(1, min(there, int(limit)))


def _limit_of(group: Path) -> float | None:
    """How many processors' time a control group may use; None: it has no limit, or is none."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max", too
        return None


@define
class LoadMeter:
    """Measures the load of the loop that it runs in.

    Args:
        processors: how much of them is taken.
        clock: a monotonic clock in seconds; the lag is measured by it.
        thread_clock: how long this thread has computed, in seconds.
    """

    processors: Processors = field(factory=Processors)
    clock: Callable[[], float] = time.perf_counter
    thread_clock: Callable[[], float] = time.thread_time
    _lags: deque[float] = field(factory=lambda: deque(maxlen=round(WINDOW_S / EVERY_S)), init=False)
    _shares: deque[tuple[float, float]] = field(factory=lambda: deque(maxlen=round(WINDOW_S)), init=False)
    """Of processors and thread, in each of the last seconds."""

    async def run(self) -> None:
        """Measures until it is cancelled."""
        self.processors.share(self.clock())
        second, computed = self.clock(), self.thread_clock()
        while True:
            asked = self.clock() + EVERY_S
            await trio.sleep(EVERY_S)
            now = self.clock()
            self._lags.append(max(0.0, now - asked))
            if now - second >= 1.0:
                computed_before, computed = computed, self.thread_clock()
                thread = (computed - computed_before) / (now - second)
                self._shares.append((self.processors.share(now), thread))
                second = now

    def load(self) -> Load:
        """That of the last ten seconds, or of as long as it has been measured."""
        if not self._shares:
            return Load(lag_ms=self._lag_ms())
        processors, thread = (sum(each) / len(self._shares) for each in zip(*self._shares, strict=True))
        return Load(processors, thread, self._lag_ms())

    def _lag_ms(self) -> float:
        if not self._lags:
            return 0.0
        return sorted(self._lags)[math.ceil(0.99 * len(self._lags)) - 1] * 1000
