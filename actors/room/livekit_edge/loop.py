"""The SDK's event loop inside Trio's, and how its things are left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import trio
import trio_asyncio

__all__ = ["LEAVE_WITHIN_S", "UntimedLoop", "politely"]

LEAVE_WITHIN_S = 1.5
"""Leaving is polite, not needed: the server notices by itself. Ctrl-C has 3 s in all."""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class UntimedLoop:
    """The event loop of an `AudioSource`: it sets no timer.

    The source would set one for each frame, for `wait_for_playout`, which nobody calls here; with a delay
    that may be negative, too, which asyncio forgives and trio-asyncio does not.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(
        self, delay: float, callback: Callable[..., object], *arguments: Any
    ) -> asyncio.TimerHandle:
        """Like asyncio's, of a call that is cancelled at once."""
        handle = asyncio.TimerHandle(0.0, callback, arguments, self._loop)
        handle.cancel()
        return handle


async def politely(farewell: Callable[[], Awaitable[T]], *, within_s: float) -> None:
    """Leaves something clean even when cancelled; gives up after `within_s`."""
    with trio.move_on_after(within_s, shield=True) as scope:
        await trio_asyncio.aio_as_trio(farewell)()
    if scope.cancelled_caught:
        _log.debug("gave up after %.1f s: %s", within_s, farewell)
