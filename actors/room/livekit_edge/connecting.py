"""How the SDK's `Room.connect` is waited for: it is never cancelled.

The SDK's native part tells that a room is connected, and waits for 15 s for an answer that only `connect`
gives. If that was cancelled, no answer comes, and the SDK ends the whole process by SIGTERM, with all its
rooms (measured with 1.2.1). So a try that takes too long, or whose room is left, goes on, and what comes of
it is left in good order. Tries follow one another: a late one would put out an agent that is already in the
room, since it has the same identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math

import trio
import trio_asyncio
from livekit import rtc

from actors.room.livekit_edge.loop import LEAVE_WITHIN_S, politely
from actors.room.livekit_edge.way import no_way, show_the_way
from channels.errors import RoomUnreachable
from channels.secret import Secret

__all__ = ["Connecting"]

JOIN_WITHIN_S = 10.0
ENDS_WITHIN_S = 30.0
"""So long a try may go on after a room that nobody cancelled has failed: the SDK tries four times, for 5 s
each."""

_log = logging.getLogger(__name__)


class Connecting:
    """Connects rooms, one after the other, with one event loop."""

    def __init__(self) -> None:
        self._late: set[asyncio.Task[None]] = set()
        """Tries that took too long, with what is left of them."""

    async def connect(
        self, room: rtc.Room, url: str, token: Secret, options: rtc.RoomOptions | None = None
    ) -> None:
        """Joins.

        Raises:
            RoomUnreachable: nobody answers at the URL.
            NoWayToRoom: its certificate is not trusted, or the proxy lets nobody through.
            NotAllowedInRoom: the server refused the token.
            SettingsError: the proxy variable is not the address of a proxy.
        """
        show_the_way(url)
        trying: asyncio.Task[None] | None = None

        async def attempt() -> None:
            nonlocal trying
            if self._late:
                await asyncio.wait(self._late)
            trying = asyncio.create_task(room.connect(url, token.reveal(), options or rtc.RoomOptions()))
            await asyncio.wait({trying})

        try:
            with trio.move_on_after(JOIN_WITHIN_S):
                await trio_asyncio.aio_as_trio(attempt)()
        finally:
            if trying is not None and not trying.done():
                await self._see_out(trying, room)
        if trying is None or not trying.done():
            raise RoomUnreachable(
                f"LiveKit at {url} did not let the agent in within {JOIN_WITHIN_S:.0f} s",
                "check that it can be reached over UDP or TCP for media",
            )
        refusal = trying.exception()
        # The SDK's own text may quote the token.
        if isinstance(refusal, rtc.ConnectError):
            raise no_way(url, refusal.message)
        if refusal is not None:
            raise refusal

    async def end(self) -> None:
        """Waits for late tries: briefly when cancelled, since whoever cancelled waits, too."""
        is_cancelled = trio.current_effective_deadline() == -math.inf
        if self._late:
            within_s = LEAVE_WITHIN_S if is_cancelled else ENDS_WITHIN_S
            await politely(self._all_ended, within_s=within_s)

    async def _all_ended(self) -> None:
        await asyncio.wait(self._late)

    async def _see_out(self, trying: asyncio.Task[None], room: rtc.Room) -> None:
        async def leave() -> None:
            with contextlib.suppress(Exception):  # it may fail as it likes: nobody waits for it
                await trying
                _log.debug("a room was joined after it was given up, and is left")
                await room.disconnect()

        async def begin() -> None:
            late = asyncio.create_task(leave())
            self._late.add(late)
            late.add_done_callback(self._late.discard)

        with trio.CancelScope(shield=True):
            await trio_asyncio.aio_as_trio(begin)()
