"""Opens a page in the person's browser, without waiting for it.

The person's `BROWSER` or desktop chooses the browser, and some (`w3m`, `lynx`) run until they are closed. So
a separate process starts it, without our terminal and keyboard, and Ctrl-C reaches only us. That process ends
with the block; a browser that it has opened stays.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.child import start_child, stop_child

__all__ = ["has_desktop", "shown_in_browser"]

_STOPPING = ((signal.SIGTERM, 0.5), (signal.SIGKILL, 0.5))


@asynccontextmanager
async def shown_in_browser(url: str) -> AsyncIterator[None]:
    """Has a page shown, and goes on at once."""
    environ = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_SECRET"))}
    opener = start_child(
        [sys.executable, "-I", "-m", "webbrowser", url],
        environ=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        await stop_child(opener, _STOPPING)


def has_desktop() -> bool:
    """Whether there is a desktop where a browser could be shown."""
    return sys.platform in ("darwin", "win32") or any(
        name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
