"""The `.env` file, which may be a named pipe: password managers write into one whenever somebody reads it."""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path

from dotenv import dotenv_values

from channels.errors import SettingsError

__all__ = ["Silent", "read_dotenv", "unquoted"]

PATIENCE_S = 60.0
"""A password manager asks its person first."""
TOLD_AFTER_S = 2.0
LARGEST = 2**20
"""Bytes."""


class Silent(SettingsError):
    """Nobody writes into a named pipe."""


def read_dotenv(
    path: Path, tell: Callable[[str], None], *, patience_s: float = PATIENCE_S
) -> dict[str, str | None]:
    """What it says, by name; nothing if it is not there.

    Args:
        path: of the file.
        tell: is given a line when it is waited for.
        patience_s: how long a named pipe is waited for.

    Raises:
        SettingsError: it is there and cannot be read.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise SettingsError(f"{path} leads nowhere", "let it lead to a file, or remove it") from None
        return {}
    except OSError:
        raise SettingsError(f"{path} cannot be read", "let yourself read it") from None
    if stat.S_ISDIR(kind):
        return {}  # some call their virtual environment so
    try:
        content = _drained(path, patience_s, tell) if stat.S_ISFIFO(kind) else path.read_bytes()
        return dotenv_values(stream=io.StringIO(content.decode("utf-8-sig")), interpolate=False)
    except (OSError, UnicodeError):
        raise SettingsError(f"{path} cannot be read", "save it as plain text in UTF-8") from None


def _drained(pipe: Path, patience_s: float, tell: Callable[[str], None]) -> bytes:
    deadline = time.monotonic() + patience_s
    # To open one for reading waits for a writer, for ever, unless it is told not to.
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    content = bytearray()
    told = False
    try:
        while len(content) <= LARGEST:
            left = deadline - time.monotonic()
            ready, _, _ = select.select(
                [descriptor], [], [], max(0.0, left if told else min(left, TOLD_AFTER_S))
            )
            if ready:
                with contextlib.suppress(BlockingIOError):
                    part = os.read(descriptor, 65536)
                    if not part:
                        return bytes(content)
                    content += part
            elif told and time.monotonic() >= deadline:
                raise Silent(
                    f"{pipe} is a named pipe into which nobody writes",
                    "see that its writer runs, or use a file",
                )
            else:
                tell(f"{pipe} is a named pipe: waiting for what writes into it")
                told = True
    finally:
        os.close(descriptor)
    raise SettingsError(f"what is written into {pipe} has no end", "see what writes into it, or use a file")


def unquoted(value: str) -> str:
    """A value of the environment without the quotes around it, which `docker --env-file` leaves there."""
    text = value.strip()
    quote = text[:1]
    around = len(text) > 1 and quote in ("'", '"') and text.endswith(quote) and quote not in text[1:-1]
    return text[1:-1] if around else value
