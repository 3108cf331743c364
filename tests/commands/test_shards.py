"""The parent of several processes, with real processes that report as a worker's do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given

from channels.log import open_log
from commands.fleet.reports import Report, RunningRoom, Standing, read_report, write_report
from commands.fleet.shards import Shards

ROOM = RunningRoom("AJ_1", "a room", "helper", '{"voice": "anna"}')

CHILD = """
import pathlib, signal, sys, time
out = sys.stdout.buffer
lives = pathlib.Path(sys.argv[1])
lives.open("a").write(sys.argv[2] + "\\n")
def go(*_):
    sys.exit(0)
signal.signal(signal.SIGTERM, go)
{first}
while True:
    out.write(b"\\n" + sys.argv[3].encode() + b"\\n")
    out.flush()
    time.sleep(0.05)
    {then}
"""


@attrs.define
class Parent:
    """Shards under test."""

    shards: Shards
    lives: Path
    asked: list[RunningRoom]
    ended: list[bool] = attrs.field(factory=list)

    async def run(self) -> None:
        self.ended.append(await self.shards.run())

    def lived(self) -> int:
        """How many processes have been started."""
        return self.lives.read_text().count("\n") if self.lives.exists() else 0


async def until(what: Callable[[], bool], within_s: float = 60) -> None:
    with trio.fail_after(within_s):
        while not what():
            await trio.sleep(0.02)


@asynccontextmanager
async def parent(
    folder: Path,
    then: str = "pass",
    *,
    first: str = "pass",
    count: int = 1,
    silent_s: float = 20.0,
    starts_s: float = 60.0,
) -> AsyncIterator[Parent]:
    lives, asked = folder / "lives", list[RunningRoom]()
    report = write_report(Report(Standing.READY, 0.25, (ROOM,))).decode().strip()
    code = CHILD.replace("{then}", then).replace("{first}", first)

    async def another_agent(room: RunningRoom) -> None:
        asked.append(room)

    shards = Shards(
        count,
        lambda number: [sys.executable, "-I", "-c", code, str(lives), "x", report],
        dict(os.environ),
        open_log("text"),
        another_agent,
        silent_s=silent_s,
        starts_s=starts_s,
    )
    one = Parent(shards, lives, asked)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.run)
        yield one
        nursery.cancel_scope.cancel()


def pids_of(one: Parent) -> list[int]:
    return [process.pid for process in one.shards._processes.values()]


async def test_each_process_reports_and_a_signal_ends_all_well(tmp_path: Path) -> None:
    async with parent(tmp_path, count=2) as one:
        await until(lambda: len(one.shards.reports) == 2)
        assert one.shards.standing() is Standing.READY
        assert one.shards.reports[0].rooms == (ROOM,)
        one.shards.stop(signal.SIGTERM)
        await until(lambda: one.ended == [True])
    assert one.asked == [], "its rooms were left on purpose"
    assert one.lived() == 2


async def test_one_that_is_told_to_leave_while_it_still_starts_has_left_in_good_order(tmp_path: Path) -> None:
    async def nobody_is_asked(room: RunningRoom) -> None:
        raise AssertionError

    shards = Shards(
        2,
        lambda number: [sys.executable, "-I", "-c", "import time; time.sleep(1000)"],
        dict(os.environ),
        open_log("text"),
        nobody_is_asked,
    )
    async with trio.open_nursery() as nursery:
        one = Parent(shards, tmp_path / "lives", [])
        nursery.start_soon(one.run)
        await until(lambda: len(pids_of(one)) == 2)
        shards.stop(signal.SIGTERM)
        await until(lambda: one.ended == [True])


async def test_another_agent_is_asked_for_where_a_process_was_killed_and_it_is_started_again(
    tmp_path: Path,
) -> None:
    async with parent(tmp_path) as one:
        await until(lambda: bool(one.shards.reports))
        os.kill(pids_of(one)[0], signal.SIGKILL)
        await until(lambda: one.asked == [ROOM] and one.lived() == 2)
        await until(lambda: bool(one.shards.reports))


async def test_a_process_that_hangs_is_killed(tmp_path: Path) -> None:
    async with parent(tmp_path, "time.sleep(1000)", silent_s=1.0) as one:
        await until(lambda: one.asked[:1] == [ROOM] and one.lived() >= 2)


async def test_a_process_that_takes_long_to_start_is_let_start(tmp_path: Path) -> None:
    async with parent(tmp_path, first="time.sleep(2)", silent_s=1.0) as one:
        await until(lambda: bool(one.shards.reports))
        assert one.lived() == 1


async def test_a_process_that_never_says_anything_is_killed(tmp_path: Path) -> None:
    async with parent(tmp_path, first="time.sleep(1000)", starts_s=1.0) as one:
        await until(lambda: one.lived() >= 2)


@pytest.mark.parametrize(
    "noise", ["print('hello')", "out.write(b'{}' + bytes(range(256)))", "out.write(b'x' * 100_000)"]
)
async def test_a_process_may_print_what_it_likes(tmp_path: Path, noise: str) -> None:
    async with parent(tmp_path, noise) as one:
        read = list[Report]()

        def is_new() -> bool:
            read.extend(each for each in one.shards.reports.values() if all(each is not old for old in read))
            return len(read) >= 5

        # Each report counts, so none of them was taken for silence.
        await until(is_new)
        assert one.lived() == 1
        assert one.shards.standing() is Standing.READY


async def test_no_process_is_left_behind(tmp_path: Path) -> None:
    async with parent(tmp_path, count=2) as one:
        await until(lambda: len(one.shards.reports) == 2)
        pids = pids_of(one)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@given(st.binary(max_size=200) | st.just(b'{"standing": "ready", "load": 0, "rooms": [{}]}'))
def test_whatever_a_line_says_it_is_a_report_or_none(line: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(read_report(line), Report)


def test_a_report_is_read_as_it_was_written() -> None:
    report = Report(Standing.FULL, 0.5, (ROOM, ROOM))
    assert read_report(write_report(report)) == report
