"""The SDK's event loop inside Trio's, and how its things are left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import trio
import trio_asyncio
from livekit import rtc

__all__ = ["LEAVE_WITHIN_S", "UntimedLoop", "politely", "room_of_its_own"]

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


class _RoomLoop:
    """The event loop of an `rtc.Room`: what does not concern the room does not wake it.

    The SDK hands each event of the process to each room in it, frames of tracks excepted, and each wakes its
    task. Most are none of the room's business: that a piece of some agent's voice was accepted, 50 times a
    second for each that speaks, and what happens in the other rooms. So rooms would cost rooms times rooms.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.room: rtc.Room | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_soon_threadsafe(self, callback: Callable[..., object], event: Any) -> None:
        """As asyncio's, which the SDK calls in a thread of its own with each event."""
        if self._concerns_room(event):
            self._loop.call_soon_threadsafe(callback, event)

    def _concerns_room(self, event: Any) -> bool:
        kind = event.WhichOneof("message")
        if kind == "capture_audio_frame":
            return False  # who captures has asked to be told
        if kind != "room_event":
            return True
        # Until a room says that it is ready, and knows its number by then, the SDK has no events of it.
        handle = None if self.room is None else self.room._ffi_handle
        return handle is not None and bool(event.room_event.room_handle == handle.handle)


def room_of_its_own(loop: asyncio.AbstractEventLoop) -> rtc.Room:
    """An SDK's room, not yet joined, that is only told what concerns it."""
    room_loop = _RoomLoop(loop)
    room_loop.room = rtc.Room(loop=cast(asyncio.AbstractEventLoop, room_loop))
    return room_loop.room


async def politely(farewell: Callable[[], Awaitable[T]], *, within_s: float) -> None:
    """Leaves something clean even when cancelled; gives up after `within_s`."""
    with trio.move_on_after(within_s, shield=True) as scope:
        await trio_asyncio.aio_as_trio(farewell)()
    if scope.cancelled_caught:
        _log.debug("gave up after %.1f s: %s", within_s, farewell)
