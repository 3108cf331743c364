"""A client of the Voice Agent API server for tests: real WebSocket frames over a stream in memory.

It keeps every event with the time at which it came, so that a test reads as: do this, then look.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
import trio.testing
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from playground.voice_agent_api import VoiceAgentServer, hum

__all__ = ["Arrived", "Caller", "calling", "on_the_line"]


@attrs.frozen
class Arrived:
    """An event and when it came."""

    at_s: float
    event: dict[str, Any]


class Caller:
    """One client's side of a connection."""

    def __init__(self, ws: WebSocketConnection) -> None:
        self.ws = ws
        self.arrived: list[Arrived] = []
        self.close_code: int | None = None
        self._news = trio.lowlevel.ParkingLot()

    @property
    def types(self) -> list[str]:
        """The types of all events in order, each run of the same type once."""
        types = [arrived.event["type"] for arrived in self.arrived]
        return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All events of a type."""
        return [arrived.event for arrived in self.arrived if arrived.event["type"] == kind]

    def times(self, kind: str) -> list[float]:
        """When the events of a type came."""
        return [arrived.at_s for arrived in self.arrived if arrived.event["type"] == kind]

    def sound(self, reply_id: str | None = None) -> bytes:
        """All the sound that came."""
        events = self.of("reply.audio")
        return b"".join(base64.b64decode(e["data"]) for e in events if reply_id in (None, e["reply_id"]))

    async def send(self, kind: str, **fields: Any) -> None:
        """Sends a message."""
        await self.ws.send_message(json.dumps({"type": kind, **fields}))

    async def start(self, **session: Any) -> dict[str, Any]:
        """Starts a session; gives `session.ready`."""
        await self.send("session.update", session=session)
        return await self.until("session.ready")

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Waits until `count` events of a type have come; gives the last of these."""
        with trio.fail_after(60):
            while len(found := self.of(kind)) < count:
                assert self.close_code is None, f"closed with {self.close_code} before {kind}: {self.types}"
                await self._news.park()
        return found[count - 1]

    async def until_closed(self) -> int:
        """Waits for the close; gives its code."""
        with trio.fail_after(60):
            while self.close_code is None:
                await self._news.park()
        return self.close_code

    async def say(self, pcm: bytes, frame_ms: int = 50) -> None:
        """Sends sound in real time."""
        size = frame_ms * 48
        for start in range(0, len(pcm), size):
            await self.send("input.audio", audio=base64.b64encode(pcm[start : start + size]).decode())
            await trio.sleep(frame_ms / 1000)

    async def take_a_turn(self, ms: int = 700, silence_ms: int = 2000) -> None:
        """Hums and falls silent."""
        await self.say(hum(ms) + bytes(silence_ms * 48))

    async def listen(self) -> None:
        """Keeps what comes, until the close."""
        try:
            while True:
                event = json.loads(await self.ws.get_message())
                self.arrived.append(Arrived(trio.current_time(), event))
                self._news.unpark_all()
        except ConnectionClosed as closed:
            self.close_code = None if closed.reason is None else closed.reason.code
            self._news.unpark_all()


@asynccontextmanager
async def calling(
    server: VoiceAgentServer,
    *,
    key: str | None = "any key",
    path: str = "/v1/ws",
    authorization: bytes | None = None,
) -> AsyncIterator[Caller]:
    """A connected client; on the way out it is gone without a word, and the server is left alone."""
    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(server.serve_stream, theirs)
        async with on_the_line(ours, key=key, path=path, authorization=authorization) as caller:
            yield caller
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def on_the_line(
    stream: trio.abc.Stream,
    *,
    key: str | None = "any key",
    path: str = "/v1/ws",
    authorization: bytes | None = None,
) -> AsyncIterator[Caller]:
    """A client on a stream whose other end somebody serves."""
    if authorization is None and key is not None:
        authorization = b"Bearer " + key.encode()
    headers = [] if authorization is None else [(b"authorization", authorization)]
    async with trio.open_nursery() as nursery:
        ws = await wrap_client_stream(nursery, stream, "localhost", path, extra_headers=headers)  # type: ignore[arg-type]
        caller = Caller(ws)
        nursery.start_soon(caller.listen)
        yield caller
        await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()
