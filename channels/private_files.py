"""Files with what people said: only the agent's user may read them, whatever the umask is. Blocking."""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path

__all__ = ["create", "folder"]


def create(path: Path) -> FileIO:
    """Begins a new file, unbuffered: what is written is out of the process.

    Raises:
        OSError: one is there already (not even one that came a moment ago is written over), or none can be.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    return FileIO(descriptor, "wb")


def folder(path: Path) -> None:
    """Makes a folder, and those above it; one that is there stays as open as its owner has made it.

    Raises:
        OSError: it cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)  # the mode is that of the last one
