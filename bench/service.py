"""The Voice Agent API of the bench: says what the bench tells it to, over a connection like a network's.

The server is the playground's with a script that ends at `session.ready`; what comes after is sent event
by event. Only its listening socket is the bench's own, for the sake of its segment size. Loopback has
segments of up to 64 kB, and a receiver that was sent many small ones ends up with a window below that.
Linux then holds a large segment back although the reader waits for it, until a timer sends a piece: of
50 bursts to this agent four stalled for 5 to 13 s so (`ss` shows the timer as `persist`), and every event
behind them. With the segments of an Ethernet, which is what a network has, none of 50 did.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from channels.wire.events import SessionReady
from playground.voice_agent_api import Expect, Script, Send, ServerOptions, VoiceAgentServer

__all__ = ["voice_agent_service"]

_SEGMENT_BYTES = 1448
"""What TCP over an Ethernet carries."""

_SLOW_CLIENT_S = 60.0
"""A client that reads only as fast as it plays must not be thrown out for that."""


@asynccontextmanager
async def voice_agent_service() -> AsyncIterator[VoiceAgentServer]:
    """Runs a service for one client while the block does."""
    start: list[Expect | Send] = [Expect("session.update"), Send(SessionReady("sess_bench"))]
    server = VoiceAgentServer(ServerOptions(script=Script(start), record=64, slow_client_s=_SLOW_CLIENT_S))
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    for listener in listeners:
        listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT_BYTES)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, listeners)
        yield server
        nursery.cancel_scope.cancel()
