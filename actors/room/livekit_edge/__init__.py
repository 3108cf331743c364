"""The edge: LiveKit's asyncio SDK behind Trio-native ports. Nothing else imports asyncio or `livekit.rtc`.

`livekit_edge()` opens one trio-asyncio loop and offers a `Room` to join, a `Loudspeaker` to speak with and an
`EchoCanceller` (`channels.ports`). The SDK's traps end here:

- SDK callbacks run inside the asyncio loop: they put their data into a bounded channel and return.
- A cancelled `capture_frame` breaks the source for good, so a capture is shielded from cancellation.
- A cancelled `connect` ends the process, so it is never cancelled (`connecting`).
- `isconnected()` stays true and captures succeed while the server is gone, so only events are believed.
- An error text of the SDK may quote the URL with its token: such texts are never passed on.
- The queue is drained 10 ms at a time, at moments that stay the same as long as the source lives. They are
  measured once, so we know to the sample what an emptied queue had already given away.
- On a busy machine `AudioSource` computes a negative delay, which asyncio accepts and trio-asyncio does not.
- It logs three errors when a server closes a room normally: they are kept out of the log.
- It sends even loopback through a proxy and ignores NO_PROXY, so it is given the same route as everything
else.
- It calls event loops while it holds a lock that its own finalizers take, in whatever thread collects
  garbage. With Trio's lock, that stops the process for ever (`deliveries`).
- Ending the loop with a capture in flight prints from Rust: the queue is cleared before it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import attrs
import trio
import trio_asyncio
from livekit import rtc

from actors.room.livekit_edge.board import LiveKitBoard
from actors.room.livekit_edge.connecting import Connecting
from actors.room.livekit_edge.deliveries import deliver_without_lock
from actors.room.livekit_edge.line import line_to_agent
from actors.room.livekit_edge.loop import LEAVE_WITHIN_S, UntimedLoop, politely
from actors.room.livekit_edge.room import LiveKitRoom
from actors.room.livekit_edge.sound import LiveKitLoudspeaker, WebRtcEchoCanceller
from channels.ports import EchoCanceller, Loudspeaker, Room
from channels.texts import TextBoard
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["LiveKitEdge", "UntimedLoop", "WebRtcEchoCanceller", "line_to_agent", "livekit_edge"]

deliver_without_lock()


@attrs.frozen
class LiveKitEdge:
    """What the edge offers the actors of one room."""

    room: Room
    loudspeaker: Loudspeaker
    board: TextBoard
    echo_canceller: EchoCanceller | None = None


@asynccontextmanager
async def livekit_edge(*, queue_size_ms: int) -> AsyncIterator[LiveKitEdge]:
    """Opens the SDK for one room.

    Args:
        queue_size_ms: the size of the agent track's queue.
    """
    logging.getLogger("livekit").addFilter(_tells_something)
    async with trio_asyncio.open_loop() as loop:
        untimed = cast(asyncio.AbstractEventLoop, UntimedLoop(loop))
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms, loop=untimed)
        connecting = Connecting()
        try:
            board = LiveKitBoard()
            loudspeaker = LiveKitLoudspeaker(source, queue_size_ms)
            async with trio.open_nursery() as nursery:
                # A tenth of a second, in which the room can be joined.
                nursery.start_soon(loudspeaker.find_steps)
                room = LiveKitRoom(source, loop, board, connecting)
                yield LiveKitEdge(room, loudspeaker, board, WebRtcEchoCanceller())
                nursery.cancel_scope.cancel()
        finally:
            source.clear_queue()
            await connecting.end()
            await politely(source.aclose, within_s=LEAVE_WITHIN_S)


def _tells_something(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    return not (
        # That the room is gone comes as an event, with its reason.
        ("publisher data channel" in said and "closed unexpectedly" in said)
        # The SDK's Python part drops handles again that its native part has dropped with the room.
        or "Attempted to drop unknown FFI handle" in said
    )
