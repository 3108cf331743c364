"""The folder of the user where set-up keeps what it made once, and the lock that lets one process make it.

The kernel frees the lock when its holder dies, so that a killed set-up never blocks the next.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio

__all__ = ["alone", "user_cache"]

_POLL_S = 0.5


def user_cache(environ: Mapping[str, str]) -> Path:
    """Where this project keeps things for the user; it need not exist yet."""
    folder = Path(environ.get("XDG_CACHE_HOME", ""))
    # The XDG specification has relative paths ignored.
    if not folder.is_absolute():
        folder = Path(environ.get("HOME") or Path.home()) / ".cache"
    return folder / "voice-agent"


@asynccontextmanager
async def alone(lock: Path, waiting_for: str, progress: Callable[[str], None]) -> AsyncIterator[None]:
    """Holds a lock for the time of the block; waits while another process holds it.

    Args:
        lock: a file that is made if it is not there.
        waiting_for: what the other process does, as in "another process is …: waiting for it".
        progress: is given that line.
    """
    held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        told = False
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    progress(f"another process is {waiting_for}: waiting for it")
                told = True
                await trio.sleep(_POLL_S)
        yield
    finally:
        os.close(held)
