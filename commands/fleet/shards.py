"""Several processes that serve rooms, and the parent that keeps them: `python runner.py serve --processes N`.

Python computes in one thread at a time, so a process cannot use more than one processor for its own part.
Each process registers with LiveKit as a worker of its own: LiveKit spreads rooms over them as it does over
machines, and nothing is decided here. The parent starts them, restarts one that dies or hangs, and asks
LiveKit for another agent in each of the rooms that it had.

Signals: the first SIGTERM, SIGINT or SIGHUP is handed on, and lets conversations end; a second one ends them.
"""

from __future__ import annotations

import math
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random

import trio
from attrs import define, field
from structlog.typing import FilteringBoundLogger

from channels.backoff import Backoff
from channels.child import ended, start_child, stop_child, stream_of
from commands.fleet.reports import LONGEST, Report, RunningRoom, Standing, read_report

__all__ = ["Shards"]

SILENT_S = 20.0
"""A process that says nothing for so long hangs. Its rooms have been silent for as long, and nothing in it
can be trusted to say goodbye. A tool that blocks its loop for less is told in its own log."""

STARTS_WITHIN_S = 60.0
"""For its first report, which takes a second or two. On a machine that is so busy that it takes longer,
killing it would begin the work anew."""

LEAVES_WITHIN_S = 10.0
"""For leaving all rooms and ending all sessions."""

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_HEALTHY_S = 60.0
"""One that dies after so long a life is started again at once."""


@define
class Shards:
    """Keeps processes running.

    Args:
        count: how many.
        command: starts number N; it writes reports on its standard output.
        environ: their environment.
        log: is told who starts, dies and hangs.
        another_agent: asks LiveKit for one in a room whose process has died.
        random: for jitter.
        silent_s: after so long without a report, a process is killed.
        starts_s: the same until its first report.
        forget: is told the id of each process that has ended.
    """

    count: int
    command: Callable[[int], Sequence[str]]
    environ: Mapping[str, str]
    log: FilteringBoundLogger
    another_agent: Callable[[RunningRoom], Awaitable[None]]
    random: Random = field(factory=Random)
    silent_s: float = SILENT_S
    starts_s: float = STARTS_WITHIN_S
    forget: Callable[[int], None] = lambda pid: None
    _reports: dict[int, Report] = field(factory=dict, init=False)
    _processes: dict[int, subprocess.Popen[bytes]] = field(factory=dict, init=False)
    _stopping: trio.Event = field(factory=trio.Event, init=False)
    _told: int = field(default=0, init=False)

    def standing(self) -> Standing:
        """Of all of them together: ready if one is."""
        standings = {report.standing for report in self._reports.values()} or {Standing.STARTING}
        order = (Standing.READY, Standing.FULL, Standing.STARTING, Standing.DRAINING)
        return next(each for each in order if each in standings)

    @property
    def reports(self) -> Mapping[int, Report]:
        """The latest of each process that runs, by number."""
        return dict(self._reports)

    async def run(self) -> bool:
        """Keeps them until they were told to stop and have ended; gives whether all of them ended well."""
        well: list[bool] = []

        async def keep(number: int) -> None:
            well.append(await self._keep(number))

        async with trio.open_nursery() as nursery:
            for number in range(self.count):
                nursery.start_soon(keep, number, name=f"process {number}")
        return all(well)

    def stop(self, signum: int) -> None:
        """Hands a signal on to all of them, and starts none any more."""
        self._stopping.set()
        self._told = signum
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signum)

    async def _keep(self, number: int) -> bool:
        backoff = Backoff(self.random, math.inf, _FIRST_WAIT_S, _LONGEST_WAIT_S)
        while True:
            began = trio.current_time()
            code = await self._live(number)
            last = self._reports.pop(number, None)
            lost = () if last is None else last.rooms
            if self._stopping.is_set():
                # Told to leave before it could listen to signals, it had nothing to leave.
                return code == 0 or (last is None and code == -self._told)
            if trio.current_time() - began > _HEALTHY_S:
                backoff.well()
            wait_s = backoff.next_s(trio.current_time(), at_once=not backoff.failing) or 0.0
            self.log.error(
                "process_died", process=number, code=code, rooms=len(lost), again_in_s=round(wait_s, 1)
            )
            async with trio.open_nursery() as nursery:
                for room in lost:
                    nursery.start_soon(self._ask_again, room)
                with trio.move_on_after(wait_s):
                    await self._stopping.wait()
            if self._stopping.is_set():
                return False

    async def _live(self, number: int) -> int:
        process = start_child(self.command(number), environ=self.environ, stdout=subprocess.PIPE, stderr=None)
        self._processes[number] = process
        try:
            async with stream_of(process.stdout) as lines:
                with trio.CancelScope() as patience:
                    patience.deadline = trio.current_time() + self.starts_s
                    await self._read(number, lines, patience)
                if patience.cancelled_caught:
                    silent_s = self.silent_s if number in self._reports else self.starts_s
                    self.log.error("process_hangs", process=number, silent_s=silent_s)
                    process.kill()
                return await ended(process)
        finally:
            # The first one asks it to let conversations end, the second to leave at once.
            at_once = ((signal.SIGTERM, 0.2), (signal.SIGTERM, LEAVES_WITHIN_S), (signal.SIGKILL, 5.0))
            await stop_child(process, at_once)
            del self._processes[number]
            self.forget(process.pid)

    async def _read(self, number: int, lines: trio.lowlevel.FdStream, patience: trio.CancelScope) -> None:
        rest = b""
        async for chunk in lines:
            *whole, rest = (rest + chunk).split(b"\n")
            for line in filter(None, whole):
                try:
                    self._reports[number] = read_report(line)
                except ValueError:
                    # A tool that prints is not a reason to lose a room.
                    self.log.warning("not_a_report", process=number, bytes=len(line))
                    continue
                patience.deadline = trio.current_time() + self.silent_s
            if len(rest) > LONGEST:
                rest = b""

    async def _ask_again(self, room: RunningRoom) -> None:
        try:
            await self.another_agent(room)
        except Exception as error:
            self.log.error("room_lost", room=room.room, why=str(error))
        else:
            self.log.info("another_agent_asked_for", room=room.room)
