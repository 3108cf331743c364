"""The set-up of a machine: everything at once, one progress, and what has been got is kept."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from channels.errors import VoiceAgentError
from playground.livekit_build.step import BuildFailed, Progress
from playground.set_up import Course, Part, playground

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [ROOT / "requirements.lock", ROOT / "playground/set_up/early.lock"]


def part(name: str, seconds: float = 0.0, *, fails: str = "", needed: bool = True, size_mb: int = 1) -> Part:
    """One that takes its time."""

    async def get(progress: Progress) -> None:
        progress(f"getting {name}")
        await trio.sleep(seconds)
        if fails:
            raise BuildFailed(fails)

    return Part(name, [(f"{name}'s files", size_mb)], get, needed)


async def test_first_it_is_told_what_is_fetched_and_how_big_it_is(autojump_clock: MockClock) -> None:
    told: list[str] = []
    await Course([part("a server", size_mb=90), part("a model", size_mb=12)], told.append).run()
    assert "once" in told[0]
    assert [line.split(maxsplit=2) for line in told[2:5]] == [
        ["90", "MB", "a server's files"],
        ["12", "MB", "a model's files"],
        ["102", "MB", "in all"],
    ]


async def test_all_parts_are_got_at_the_same_time(autojump_clock: MockClock) -> None:
    told: list[str] = []
    began = trio.current_time()
    assert await Course([part("packages", 60), part("a server", 100)], told.append).run() == []
    assert trio.current_time() - began == pytest.approx(100)
    assert told[-1] == "a server: done after 100 s"
    # In a log, a line now and then, of what is not there yet.
    assert "15 s: getting packages | getting a server" in told
    assert "75 s: getting a server" in told
    assert len(told) < 20


async def test_on_a_terminal_one_line_changes_each_second(autojump_clock: MockClock) -> None:
    told: list[str] = []
    shown: list[str] = []
    await Course([part("a server", 9.5)], told.append, shown.append).run()
    assert shown == [f"{second} s: getting a server" for second in range(1, 10)]
    assert told[-1] == "a server: done after 10 s"


async def test_what_fails_does_not_stop_the_others(autojump_clock: MockClock) -> None:
    told: list[str] = []
    failed = await Course(
        [
            part("packages", 60),
            part("a server", 1, fails="no network"),
            part("a model", 2, fails="no model", needed=False),
        ],
        told.append,
    ).run()
    assert "packages: done after 60 s" in told
    assert any("no model" in line for line in told)
    (why,) = failed
    assert isinstance(why, VoiceAgentError)
    assert "no network" in str(why)


async def test_a_machine_that_has_everything_is_told_nothing(autojump_clock: MockClock) -> None:
    told: list[str] = []
    assert await Course([], told.append).run() == []
    assert told == []


def machine(folder: Path, **environ: str) -> dict[str, str]:
    """The environment of a machine with an empty cache, no tools, and no way to any registry."""
    return {
        "PATH": str(folder / "bin"),
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        **environ,
    }


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "playground.set_up", *arguments],
        cwd=ROOT,
        env=machine(folder, **environ),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_what_is_there_is_not_announced(tmp_path: Path) -> None:
    assert [each.name for each in playground(machine(tmp_path))] == [
        *("LiveKit server", "livekit-client", "Smart Turn"),
    ]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/livekit-server").touch(mode=0o755)
    (tmp_path / "bin/npm").touch(mode=0o755)
    client, model = playground(machine(tmp_path))
    assert client.fetched == [("livekit-client, for the page", 7)]
    assert not model.needed


def test_without_a_network_each_part_says_what_to_do_and_the_packages_count_all_the_same(
    tmp_path: Path,
) -> None:
    (tmp_path / "unfinished").touch()
    stamp = tmp_path / "runtime.stamp"
    # All that this one names is here already.
    done = run(tmp_path, "--packages", str(LOCKS[1]), "--stamp", str(stamp), "--playground")
    assert done.returncode == 1
    assert "Python packages: done" in done.stderr
    for what in ("fetching Go", "fetching Node.js", "fetching Smart Turn"):
        assert re.search(rf"^{what}.* failed.*; get online and start again", done.stderr, re.MULTILINE), what
    assert "Traceback" not in done.stderr
    assert stamp.exists()
    assert not (tmp_path / "unfinished").exists()


def test_packages_that_cannot_be_fetched_leave_the_environment_unfinished(tmp_path: Path) -> None:
    (tmp_path / "unfinished").touch()
    lock = tmp_path / "some.lock"
    lock.write_text("no-such-package==1.0 \\\n    --hash=sha256:" + 64 * "0" + "\n")
    stamp = tmp_path / "runtime.stamp"
    done = run(tmp_path, "--packages", str(lock), "--stamp", str(stamp))
    assert done.returncode == 1
    assert "get online and start again" in done.stderr
    assert not stamp.exists()
    assert (tmp_path / "unfinished").exists()


def test_ctrl_c_ends_it_without_an_error_and_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    # A Go that never ends.
    go = tmp_path / "bin/go"
    go.write_text(f'#!/bin/sh\necho $$ >> "{tmp_path}/going"\nexec {shutil.which("sleep")} 600\n')
    go.chmod(0o755)
    running = subprocess.Popen(
        [sys.executable, "-m", "playground.set_up", "--playground"],
        cwd=ROOT,
        env=machine(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stderr is not None
        for line in running.stderr:
            if "in all" in line:
                break
        wait_until((tmp_path / "going").exists)
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 130
        assert "Traceback" not in running.stderr.read()
    processes = [Path("/proc", number) for number in (tmp_path / "going").read_text().split()]
    wait_until(lambda: not any(process.exists() for process in processes))


def wait_until(holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        with trio.fail_after(60):
            while not holds():
                await trio.sleep(0.02)

    trio.run(wait)


def test_what_it_needs_itself_is_what_will_be_installed() -> None:
    packages, early = (
        set(re.findall(r"^[\w.-]+==[^ ;]+", lock.read_text("utf-8"), re.MULTILINE)) for lock in LOCKS
    )
    assert early <= packages
    assert any(each.startswith("trio==") for each in early)
