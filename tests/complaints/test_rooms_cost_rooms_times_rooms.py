"""Rooms of one process: what happens in one wakes no other, or each would cost more with each further one."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from livekit.rtc._utils import BroadcastQueue

from actors.room.actor import mint_agent_token
from actors.room.livekit_edge import livekit_edge
from channels.settings import LiveKitAccount
from playground.livekit_server import LiveKitServer
from sound.pcm import bytes_of_ms

pytestmark = pytest.mark.server


async def test_a_voice_and_a_guest_in_one_room_do_not_wake_the_others(
    livekit: LiveKitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken_by: list[tuple[int, Any]] = []
    put = BroadcastQueue.put_nowait

    def noted(queue: BroadcastQueue[Any], event: Any) -> None:
        # The SDK does this with each event that has woken a room.
        woken_by.append((id(queue), event))
        put(queue, event)

    monkeypatch.setattr(BroadcastQueue, "put_nowait", noted)
    account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)
    spoken, all_in = trio.Event(), trio.Event()
    joined = 0

    async def agent(room: str, *, speaks: bool) -> None:
        nonlocal joined
        token = mint_agent_token(account, room)
        async with livekit_edge(queue_size_ms=100) as edge, edge.room.join(account.url, token):
            joined += 1
            if joined == 2:
                all_in.set()
            await all_in.wait()
            if speaks:
                for number in range(50):
                    await edge.loudspeaker.capture(bytes(bytes_of_ms(20)))
                    await edge.board.set_attributes({"number": str(number // 10)})
                spoken.set()
            await spoken.wait()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: agent("speaking", speaks=True))
            nursery.start_soon(lambda: agent("quiet", speaks=False))

    kinds = [event.WhichOneof("message") for _, event in woken_by]
    assert "capture_audio_frame" not in kinds
    happened = [(queue, event.room_event) for queue, event in woken_by if event.HasField("room_event")]
    rooms = {(queue, event.room_handle) for queue, event in happened}
    assert len(rooms) == len({queue for queue, _ in rooms}) == 2
