"""Libraries that write to standard error past Python: not on the screen of somebody who talks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from sound.native_output import silenced
from tests.agent_process import ROOT


def test_what_native_code_writes_meanwhile_is_not_seen_and_what_it_writes_later_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def other() -> None:
        with silenced():
            began.set()
            may_end.wait()

    thread = threading.Thread(target=other)
    with silenced():
        thread.start()
        began.wait()
        os.write(2, b"a warning\n")
    os.write(2, b"a warning\n")  # another thread still wants silence
    may_end.set()
    thread.join()
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


ENDS = """
import atexit, os, sys
from channels.ending import end_with

def leave():
    os.write(2, b"native\\n")
    print("python", file=sys.stderr)

atexit.register(leave)
end_with(lambda: os.write(2, b"before\\n") and 3)
"""


@pytest.mark.parametrize(("environ", "native"), [({}, ""), ({"RUST_LOG": "error"}, "native\n")])
def test_a_native_library_that_is_unloaded_says_nothing_on_the_screen(
    environ: dict[str, str], native: str
) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    done = subprocess.run(
        [sys.executable, "-c", ENDS], env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == f"before\n{native}python\n"
    assert done.returncode == 3
