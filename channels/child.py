"""A child process that never outlives the process that started it.

It leads its own process session, so that Ctrl-C in a terminal reaches only its owner, which can then leave
its rooms and end its sessions before it stops the child. On Linux it dies with its owner, however that ends:
killed with -9, or by a crash in native code. Elsewhere (macOS) the kernel offers nothing like that: an owner
that ends normally ends it too (also after Ctrl-C, an error, or SIGTERM), but an owner that is killed leaves
it behind.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import trio

__all__ = ["ended", "start_child", "stop_child", "stream_of", "tied"]

_POLL_S = 0.02

# Python, because the kernel's "kill me when my parent dies" is asked for by the child itself. First of all,
# an interrupt is to end it without a traceback; `signal` itself takes too long to import for that.
_TIED_TO_ITS_OWNER = """
import _signal
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, _signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def tied(command: Sequence[str]) -> list[str]:
    """The command that runs `command` tied to this process, where the system can do it.

    The kernel takes the *thread* that starts it for its parent: that one must live as long as the child, as
    the main thread does, and Trio's. A worker thread (`trio.to_thread`, Trio's own `open_process`) does not.
    """
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", "-c", _TIED_TO_ITS_OWNER, str(os.getpid()), *command]


def start_child(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    stdout: int | IO[bytes] | None,
    stderr: int | IO[bytes] | None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a process that is tied to this one. To be called from the main thread, or from Trio's.

    Args:
        command: the program and its arguments.
        environ: its whole environment.
        stdout: as `subprocess.Popen` takes it.
        stderr: likewise.
        stdin: likewise; by default it has none.
        cwd: the folder it works in; by default ours.

    Raises:
        FileNotFoundError: there is no such program.
    """
    lasting = threading.current_thread() is threading.main_thread() or trio.lowlevel.in_trio_run()
    assert lasting, "a child dies with the thread that starts it: start it from Trio's"
    if shutil.which(command[0], path=environ.get("PATH", os.defpath)) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return subprocess.Popen(
        tied(command),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environ,
        cwd=cwd,
        start_new_session=True,
    )


def stream_of(pipe: IO[bytes] | None) -> trio.lowlevel.FdStream:
    """A pipe to a child or from it, as Trio writes and reads it; whoever asks has to close it."""
    assert pipe is not None, "the child was started without this pipe"
    with pipe:
        return trio.lowlevel.FdStream(os.dup(pipe.fileno()))


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
