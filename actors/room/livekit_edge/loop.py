"""The SDK's event loop inside Trio's, and how its things are left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
import trio_asyncio

__all__ = ["LEAVE_WITHIN_S", "TolerantLoop", "politely"]

LEAVE_WITHIN_S = 1.5
"""Leaving is polite, not needed: the server notices by itself. Ctrl-C has 3 s in all."""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class TolerantLoop:
    """The event loop, with asyncio's own leniency about delays."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: Any) -> object:
        """Like asyncio's: a negative delay (s) counts as zero."""
        return self._loop.call_later(max(0.0, delay), callback, *arguments)


async def politely(farewell: Callable[[], Awaitable[T]], *, within_s: float) -> None:
    """Leaves something clean even when cancelled; gives up after `within_s`."""
    with trio.move_on_after(within_s, shield=True) as scope:
        await trio_asyncio.aio_as_trio(farewell)()
    if scope.cancelled_caught:
        _log.debug("gave up after %.1f s: %s", within_s, farewell)
