"""Into a room and out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from livekit import rtc

from actors.room.livekit_edge.board import LiveKitBoard
from actors.room.livekit_edge.connecting import Connecting
from actors.room.livekit_edge.listener import RoomListener
from actors.room.livekit_edge.loop import LEAVE_WITHIN_S, politely, room_of_its_own
from actors.room.livekit_edge.own_track import OwnTrack
from channels.ports import RoomEvent
from channels.secret import Secret

__all__ = ["LiveKitRoom"]

_LARGEST_STREAM = 2_000_000
"""Bytes of a text or byte stream, unpacked: ten seconds of sound, and much more than anybody types."""


class LiveKitRoom:
    """`Room` over `rtc.Room`; a fresh one for each join, since a left room cannot be joined again."""

    def __init__(
        self,
        source: rtc.AudioSource,
        loop: asyncio.AbstractEventLoop,
        board: LiveKitBoard,
        connecting: Connecting,
    ) -> None:
        self._connecting = connecting
        self._source = source
        self._loop = loop
        self._board = board

    @asynccontextmanager
    async def join(self, url: str, token: Secret) -> AsyncIterator[AsyncIterator[RoomEvent]]:
        """As `Room.join`."""
        room = room_of_its_own(self._loop)
        listener = RoomListener(room, self._loop, self._board)
        voice = OwnTrack(room, self._source, self._loop, self._board.speak_with, listener.tell)
        try:
            await self._connecting.connect(room, url, token, _options())
            listener.greet_those_present()
            listener.take_calls()
            await self._board.hang_up_in(room, await voice.publish())
            yield listener.events()
        finally:
            voice.stop()
            self._board.take_down()
            listener.stop()
            await politely(room.disconnect, within_s=LEAVE_WITHIN_S)


def _options() -> rtc.RoomOptions:
    # What is not subscribed costs nothing: sound is asked for by those who listen to it.
    return rtc.RoomOptions(
        auto_subscribe=False, data_stream=rtc.DataStreamOptions(max_payload_byte_length=_LARGEST_STREAM)
    )
