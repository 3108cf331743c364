"""The edge: LiveKit's asyncio SDK behind Trio-native ports. Nothing else imports asyncio or `livekit.rtc`.

`livekit_edge()` opens one trio-asyncio loop and offers a `Room` to join, a `Loudspeaker` to speak with and an
`EchoCanceller` (`channels.ports`). The SDK's traps end here:

- SDK callbacks run inside the asyncio loop: they hand what they carry to a bounded channel and return.
- A cancelled `capture_frame` breaks the source for good, so a capture is shielded from cancellation.
- `isconnected()` stays true and captures succeed while the server is gone: only events are believed.
- An error text of the SDK may quote the URL with its token: such texts are never passed on.
- What lies in the queue is taken 10 ms at a time, at moments that stay the same as long as the source lives:
  they are found out once, so that it is known to the sample what an emptied queue had given away.
- On a busy machine `AudioSource` computes a negative delay, which asyncio takes and trio-asyncio does not.
- It logs three errors when a server closes a room in good order: they are left out of the log.
- It sends loopback through a proxy, too, and knows no NO_PROXY: it is shown the way that all else here goes.
- Ending the loop with a capture in flight prints from Rust: the queue is cleared before it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import attrs
import trio_asyncio
from livekit import rtc

from actors.room.livekit_edge.board import LiveKitBoard
from actors.room.livekit_edge.line import line_to_agent
from actors.room.livekit_edge.loop import LEAVE_WITHIN_S, TolerantLoop, politely
from actors.room.livekit_edge.room import LiveKitRoom
from actors.room.livekit_edge.sound import LiveKitLoudspeaker, WebRtcEchoCanceller
from channels.ports import EchoCanceller, Loudspeaker, Room
from channels.texts import TextBoard
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["LiveKitEdge", "TolerantLoop", "WebRtcEchoCanceller", "line_to_agent", "livekit_edge"]


@attrs.frozen
class LiveKitEdge:
    """What the edge offers to the actors of one room."""

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
        tolerant = cast(asyncio.AbstractEventLoop, TolerantLoop(loop))
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms, loop=tolerant)
        try:
            board = LiveKitBoard()
            loudspeaker = LiveKitLoudspeaker(source, queue_size_ms)
            await loudspeaker.find_steps()
            yield LiveKitEdge(LiveKitRoom(source, loop, board), loudspeaker, board, WebRtcEchoCanceller())
        finally:
            source.clear_queue()
            await politely(source.aclose, within_s=LEAVE_WITHIN_S)


def _tells_something(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    return not (
        # That the room is gone comes as an event, with its reason.
        ("publisher data channel" in said and "closed unexpectedly" in said)
        # What the SDK's native part has dropped with its room, its Python part drops once more.
        or "Attempted to drop unknown FFI handle" in said
    )
