"""A test run died of a segmentation fault, and two LiveKit processes stayed on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.chromium import executable
from channels.child import start_child
from tests.agent_process import ROOT

OWNER = """
import os, sys
from pathlib import Path
import trio
from channels.child import start_child
from playground.voice_agent_process import voice_agent_process
from bench.chromium import chromium

async def main():
    # As the fixture that all tests share starts it: a program, which starts the server itself.
    program = start_child(
        [sys.executable, "-m", "playground.livekit_server", "--port", "0"],
        environ=os.environ, stdout=-1, stderr=None,
    )
    async with voice_agent_process("--tones") as service:
        if sys.argv[1:]:
            async with chromium(Path(sys.argv[1])):
                await tell(program, service)
        await tell(program, service)

async def tell(program, service):
    program.stdout.readline()
    await service.url()
    print("all are there", flush=True)
    await trio.sleep_forever()

trio.run(main)
"""


def there(mark: str) -> dict[int, str]:
    """Who runs with this mark in the environment."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")[:200]
        except OSError:
            continue  # it has just ended, or waits to be asked for its code
    return found


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Chromium has a socket in it, whose whole path may have 107 characters."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.server
@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel ties a child to its owner")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV])
def test_nobody_outlives_an_owner_that_was_killed_or_crashed(short_folder: Path, end: signal.Signals) -> None:
    browser = [str(short_folder)] if executable() and end is signal.SIGKILL else []
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, *browser],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(short_folder)},
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == b"all are there\n"
        # The owner, the service, the program that runs LiveKit's server, and that one; a browser is many.
        assert len(there(str(short_folder))) >= (5 if browser else 4)
        owner.send_signal(end)
        owner.wait()
    give_up_at = time.monotonic() + 60
    while (left := there(str(short_folder))) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def test_a_child_is_not_started_from_a_thread_that_ends_before_it() -> None:
    # Its end would kill the child: the kernel takes the thread for the parent.
    refused: list[BaseException] = []

    def start() -> None:
        try:
            start_child(["true"], environ=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        except AssertionError as error:
            refused.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "Trio" in str(refused[0])


def test_a_child_whose_program_is_missing_is_an_error_at_once() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        start_child(
            ["no-such-program"], environ=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
