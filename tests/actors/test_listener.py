"""What the SDK says on the way out of a room does not keep the agent from leaving it."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import MagicMock

from actors.room.livekit_edge.board import LiveKitBoard
from actors.room.livekit_edge.listener import RoomListener
from channels.texts import CONFIGURE_METHOD, OPERATE_METHOD


async def test_a_room_is_left_whose_participant_the_sdk_has_dropped_already() -> None:
    room: Any = MagicMock()
    unregister = room.local_participant.unregister_rpc_method
    unregister.side_effect = AssertionError  # as the SDK's, of a handle that is not valid any more
    listener = RoomListener(room, MagicMock(spec=asyncio.AbstractEventLoop), LiveKitBoard())
    listener.take_calls()
    listener.stop()
    assert [call.args for call in unregister.mock_calls] == [(CONFIGURE_METHOD,), (OPERATE_METHOD,)]
