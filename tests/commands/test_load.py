from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from commands.fleet.load import LATE_MS, Load, LoadMeter, Processors, usable_processors


def test_the_worst_of_the_three_is_the_load() -> None:
    assert Load().value == 0.0
    assert Load(processors=0.5, thread=0.2, lag_ms=LATE_MS / 10).value == 0.5
    assert Load(thread=0.9).value == 0.9
    assert Load(lag_ms=LATE_MS * 3).value == 1.0


def test_processors_of_a_machine_are_taken_by_whatever_is_not_idle(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    processors = Processors(tmp_path, stat)
    stat.write_text("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n")
    assert processors.share(0.0) == 0.0, "nothing is known yet"
    stat.write_text("cpu  130 0 70 840 60 0 0 0 0 0\n")
    assert processors.share(1.0) == pytest.approx(0.5)


def test_a_containers_quota_counts_before_the_machine(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  0 0 0 1000 0 0 0 0\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 1000000\nuser_usec 1\n")
    processors = Processors(tmp_path, tmp_path / "stat")
    processors.share(10.0)
    (tmp_path / "cpu.stat").write_text("usage_usec 1200000\nuser_usec 1\n")
    assert processors.share(11.0) == pytest.approx(0.4), "0.2 s of the half second that it may have"


@pytest.mark.parametrize("content", ["", "cpu", "cpu x y", "max 100000", "1 0", "\0"])
def test_odd_files_tell_nothing(tmp_path: Path, content: str) -> None:
    for name in ("stat", "cpu.max", "cpu.stat"):
        (tmp_path / name).write_text(content)
    processors = Processors(tmp_path, tmp_path / "stat")
    assert [processors.share(0.0), processors.share(1.0)] == [0.0, 0.0]


async def test_a_loop_that_is_held_is_late(mock_clock: MockClock, tmp_path: Path) -> None:
    held_s = 0.0
    meter = LoadMeter(
        Processors(tmp_path, tmp_path / "none"), lambda: trio.current_time() + held_s, lambda: 0.0
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        for _ in range(100):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(0.051)
            await trio.testing.wait_all_tasks_blocked()
        assert meter.load().lag_ms < 2
        for _ in range(5):
            held_s += 0.03
            mock_clock.jump(0.051)
            await trio.testing.wait_all_tasks_blocked()
        assert meter.load().lag_ms >= 30
        assert meter.load().value == 1.0
        nursery.cancel_scope.cancel()


async def test_a_thread_that_computes_half_of_the_time_is_half_loaded(
    mock_clock: MockClock, tmp_path: Path
) -> None:
    meter = LoadMeter(
        Processors(tmp_path, tmp_path / "none"), trio.current_time, lambda: trio.current_time() / 2
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        for _ in range(60):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(0.051)
        await trio.testing.wait_all_tasks_blocked()
        assert meter.load().thread == pytest.approx(0.5, abs=0.01)
        nursery.cancel_scope.cancel()


async def test_it_measures_this_machine_too(autojump_clock: MockClock) -> None:
    meter = LoadMeter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        await trio.sleep(3)
        nursery.cancel_scope.cancel()
    assert 0.0 <= meter.load().value <= 1.0


@pytest.mark.parametrize(
    ("limit", "usable"),
    [
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("199999 100000", 1),
        ("max 100000", None),
        ("nonsense", None),
    ],
)
def test_a_containers_limit_counts_where_there_is_one(tmp_path: Path, limit: str, usable: int | None) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    there = usable_processors(tmp_path / "no such folder")
    assert there >= 1
    assert usable_processors(tmp_path) == (usable or there)
