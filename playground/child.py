"""A process of the playground's: it never outlives the one that started it.

It leads a session of its own, so that Ctrl-C in a terminal reaches the agent only, which can then leave its
room and end its session before the services stop. On Linux it dies with its owner, however that ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO

import trio

__all__ = ["ended", "start_child", "stop_child"]

_POLL_S = 0.02

# Python, because the kernel's "kill me when my parent dies" is asked for by the child itself. The parent
# in question is the *thread* that starts it: hence `subprocess` from Trio's thread and not Trio's own
# `open_process`, which starts it from a worker thread that ends when idle.
_TIED_TO_ITS_OWNER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def start_child(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """Starts a process that is tied to this one.

    Args:
        command: the program's path and its arguments.
        environ: its whole environment.
        stdout: as `subprocess.Popen` takes it.
        stderr: likewise.
    """
    tied = list(command)
    if sys.platform == "linux":
        tied = [sys.executable, "-I", "-S", "-c", _TIED_TO_ITS_OWNER, str(os.getpid()), *command]
    return subprocess.Popen(
        tied, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=environ, start_new_session=True
    )


async def stop_child(process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Ends a process, cancelled or not: each signal in turn, and how many seconds it is given."""
    with trio.CancelScope(shield=True):
        for number, patience_s in steps:
            if process.poll() is None:
                process.send_signal(number)
                with trio.move_on_after(patience_s):
                    await ended(process)


async def ended(process: subprocess.Popen[bytes]) -> int:
    """Waits until a process ends, by whatever cause, and gives its exit code."""
    while (code := process.poll()) is None:  # noqa: ASYNC110 - a process has no event to wait for
        await trio.sleep(_POLL_S)
    return code
