"""What a reply waits for before its first sound: that nobody speaks."""

from __future__ import annotations

import trio

__all__ = ["Gate"]


class Gate:
    """Open at first. Whoever waits goes on when it is open, in whatever order."""

    def __init__(self) -> None:
        self._open = trio.Event()
        self._open.set()

    def close(self) -> None:
        """Lets nobody pass from now on."""
        if self._open.is_set():
            self._open = trio.Event()

    def open(self) -> None:
        """Lets everybody pass."""
        self._open.set()

    async def passed(self) -> None:
        """Comes back when it is open, which it may not be for long: a checkpoint in any case."""
        await trio.lowlevel.checkpoint()
        while not self._open.is_set():
            await self._open.wait()
