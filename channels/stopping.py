"""Ctrl-C, or a supervisor's SIGTERM, for a program that does one thing until it is told to stop."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from attrs import frozen

__all__ = ["Stopped", "until_told_to_stop"]

R = TypeVar("R")


@frozen
class Stopped:
    """It was told to stop."""

    number: int
    """The signal's."""

    @property
    def code(self) -> int:
        """The exit code that a shell expects of a program that a signal ended."""
        return 128 + self.number


async def until_told_to_stop(run: Callable[[], Awaitable[R]]) -> R | Stopped:
    """Runs it, cancels it when the process is told to stop, and gives what came of it. In the main thread.

    What `run` raises comes in a group.
    """
    stopped: Stopped | None = None
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                nonlocal stopped
                stopped = Stopped(await anext(aiter(signals)))
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            outcome = await run()
            nursery.cancel_scope.cancel()
    return outcome if stopped is None else stopped
