"""One Ctrl-C in ten ended with a page of Rust and an abort: native threads met a Python that went away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from channels.child import tied
from tests.agent_process import ROOT

# Each thread that waits for Python when it is taken apart is ended in the middle of Rust, which crashes.
# Nobody is asked to let go of Python, so that many wait: as it was, three in five such processes crashed.
SPEAKS_TO_THE_END = """
import asyncio, sys
from livekit import rtc
from channels.ending import end_with

async def capture(source):
    frame = rtc.AudioFrame(bytes(480), 24_000, 1, 240)
    while True:
        await source.capture_frame(frame)

async def speak():
    for _ in range(12):
        asyncio.ensure_future(capture(rtc.AudioSource(24_000, 1, 1000)))
    await asyncio.sleep(0.2)

def main():
    asyncio.new_event_loop().run_until_complete(speak())
    sys.setswitchinterval(10)
    return 7

end_with(main)
"""


def start(script: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        tied([sys.executable, "-c", script, *arguments]),
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_threads_of_the_sdk_may_be_at_work_when_the_process_ends() -> None:
    processes = [start(SPEAKS_TO_THE_END) for _ in range(3)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [7] * 3


LEAVES_MUCH_UNDONE = """
import atexit, sys, threading, time
from channels.ending import end_with

forgotten = open(sys.argv[1], "w")
atexit.register(lambda: print("said at the end", end=""))

def finish():
    time.sleep(0.2)
    forgotten.write("written by a thread that is waited for")

def main():
    threading.Thread(target=finish).start()
    print("said, not flushed, ", end="")
    %s

end_with(main)
"""


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("return 0", 0, ""),
        ("sys.exit('no such file')", 1, "no such file\n"),
        ("raise SystemExit", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
    ],
)
def test_all_that_was_left_for_the_end_is_done(tmp_path: Path, ending: str, code: int, said: str) -> None:
    process = start(LEAVES_MUCH_UNDONE % ending, str(tmp_path / "forgotten"))
    printed, complained = process.communicate(timeout=60)
    assert printed == "said, not flushed, said at the end"
    assert process.returncode == code
    assert complained.endswith(said)
    assert bool(complained) is bool(said)
    assert (tmp_path / "forgotten").read_text() == "written by a thread that is waited for"


A_FILE_TAKES_NOTHING = """
_, full = os.pipe()
pipe = os.fdopen(full, "wb", 2 ** 20)
pipe.write(bytes(2 ** 19))
"""
THE_SDK_WAITS_FOR_A_CONNECTION = """
atexit.register(time.sleep, 600)
"""
HANGS = """
import atexit, os, time
from channels.ending import end_with
%s
end_with(lambda: print("said") or 5)
"""


@pytest.mark.parametrize("hangs", [A_FILE_TAKES_NOTHING, THE_SDK_WAITS_FOR_A_CONNECTION])
def test_nothing_keeps_the_process_that_has_said_all(hangs: str) -> None:
    process = start(HANGS % hangs)
    said, _ = process.communicate(timeout=60)
    assert said == "said\n"
    assert process.returncode == 5


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_output_that_could_not_be_written_is_said() -> None:
    with open("/dev/full", "w") as full:
        script = "from channels.ending import end_with; end_with(lambda: print('x') or 0)"
        done = subprocess.run(
            [sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT)}, stdout=full, stderr=-1, check=False
        )
    assert done.returncode == 120
    assert b"No space left" in done.stderr
    assert len(done.stderr.splitlines()) == 1
