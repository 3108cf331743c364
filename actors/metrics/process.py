"""The metrics of a process: its rooms, its loop, its load, and what every room counts into.

One `Metrics` for all rooms. A room's actor enters the room and counts what happens in it; `run` samples,
every few seconds, what costs too much to count message by message.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import trio
from attrs import define, field

from actors.metrics.labels import Declined
from actors.metrics.series import Series
from channels.bounded import ChannelStatistics
from channels.happenings import LoopHeld
from channels.work import Work

__all__ = ["Metrics", "RoomCounts"]

SAMPLED_EVERY_S = 5.0
"""A third of the shortest time at which servers usually scrape."""

LAG_ASKED_EVERY_S = 0.1
"""Ten times a second costs nothing, and a stall of 100 ms, which people hear, meets one of them."""

Statistics = Callable[[], Sequence[ChannelStatistics]]


@define(eq=False)
class RoomCounts:
    """What is known of one room while it runs."""

    statistics: Statistics
    """Of its channels and taps."""
    connected: bool = False
    _passed: dict[str, tuple[int, int]] = field(factory=dict, init=False)
    """By channel: how many messages of it have been counted, and how many drops."""

    def sample(self, series: Series) -> Sequence[ChannelStatistics]:
        """Counts what its channels have carried since the last time; gives their state."""
        carried = self.statistics()
        for each in carried:
            passed, dropped = self._passed.get(each.name, (0, 0))
            # One that was made anew under the same name counts from 0 again.
            series.channel_passed.labels(each.name).inc(_more(each.passed, passed))
            series.channel_dropped.labels(each.name).inc(_more(each.dropped, dropped))
            self._passed[each.name] = (each.passed, each.dropped)
        return carried


@define(eq=False)
class Metrics:
    """The metrics of this process; made once, before its rooms."""

    series: Series = field(factory=Series)
    _rooms: list[RoomCounts] = field(factory=list, init=False)
    _channels: set[str] = field(factory=set, init=False)
    """The names of those that were ever seen: one that is gone is empty."""
    _with_age: set[str] = field(factory=set, init=False)
    """Those of them whose messages have a time."""
    _cpu_s: float = field(default=0.0, init=False)

    @property
    def rooms_connected(self) -> int:
        """How many of the rooms are connected."""
        return sum(room.connected for room in self._rooms)

    @contextmanager
    def room(self, statistics: Statistics) -> Iterator[RoomCounts]:
        """A room that runs for the time of the block.

        Args:
            statistics: what its channels have carried so far.
        """
        room = RoomCounts(statistics)
        self._rooms.append(room)
        self.series.rooms_begun.inc()
        room.sample(self.series)  # what begins at 0 can be seen to rise
        self._tell_rooms()
        try:
            yield room
        finally:
            room.sample(self.series)
            self._rooms.remove(room)
            self._tell_rooms()

    def connected(self, room: RoomCounts, stands: bool) -> None:
        """The room's connection stands, or broke."""
        room.connected = stands
        self._tell_rooms()

    def job_accepted(self) -> None:
        """A job was accepted."""
        self.series.jobs_accepted.inc()

    def job_declined(self, reason: Declined) -> None:
        """A job was declined."""
        self.series.jobs_declined.labels(reason).inc()

    def cpu_share(self, share: float) -> None:
        """How much of the CPU that it may use this process uses, 0 to 1, as the load meter sees it."""
        self.series.cpu_share.set(share)

    def load(self, load: float) -> None:
        """What this worker decides by whether to take one more room, 0 to 1."""
        self.series.load.set(load)

    def loop_held(self, held: LoopHeld) -> None:
        """A step of a task held the loop: for `LoopWatch.telling`, once a process."""
        self.series.loop_held.labels(Work.of(held.by) or "ours").observe(held.ms / 1000)

    async def run(self) -> None:
        """Samples until cancelled; one a process."""
        self.series.processes.set(1)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ask_for_lag)
                while True:
                    self.sample()
                    await trio.sleep(SAMPLED_EVERY_S)
        finally:
            self.series.processes.set(0)

    def sample(self) -> None:
        """Takes the state of the process and of all channels now."""
        series, cpu_s = self.series, time.process_time()
        series.cpu.inc(_more(cpu_s, self._cpu_s))
        self._cpu_s = cpu_s
        resident = _resident_bytes()
        if resident is not None:
            series.memory.set(resident)
        series.tasks.set(trio.lowlevel.current_statistics().tasks_living)
        fullest = {name: _Fullest() for name in self._channels}
        for room in self._rooms:
            for each in room.sample(series):
                fullest.setdefault(each.name, _Fullest()).add(each)
        self._channels.update(fullest)
        for name, channel in fullest.items():
            series.channel_depth.labels(name).set(channel.depth)
            series.channel_deepest.labels(name).set(channel.deepest)
            if channel.capacity:
                series.channel_capacity.labels(name).set(channel.capacity)
            if channel.age_ms is not None:
                self._with_age.add(name)
            if name in self._with_age:
                series.channel_age.labels(name).set((channel.age_ms or 0) / 1000)

    def _tell_rooms(self) -> None:
        self.series.rooms.set(len(self._rooms))
        self.series.rooms_connected.set(self.rooms_connected)

    async def _ask_for_lag(self) -> None:
        while True:
            due = trio.current_time() + LAG_ASKED_EVERY_S
            await trio.sleep_until(due)
            self.series.loop_lag.observe(max(0.0, trio.current_time() - due))


@define
class _Fullest:
    """The worst of the channels of one name, over all rooms."""

    depth: int = 0
    deepest: int = 0
    capacity: int = 0
    age_ms: int | None = None

    def add(self, one: ChannelStatistics) -> None:
        self.depth = max(self.depth, one.depth)
        self.deepest = max(self.deepest, one.deepest)
        self.capacity = max(self.capacity, one.capacity)
        if one.age_ms is not None:
            self.age_ms = max(self.age_ms or 0, one.age_ms)


def _more(now: float, before: float) -> float:
    return now - before if now >= before else now


def _resident_bytes() -> int | None:
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/self/statm", encoding="ascii") as told:
            return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
