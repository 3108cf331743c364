"""An OpenAI-compatible endpoint for tests: real HTTP on a real socket, answering what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import h11
import trio

__all__ = ["Asked", "FakeEndpoint", "chunk", "fake_endpoint", "speaking", "sse"]


@attrs.frozen
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    """One event of a streamed completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return sse(json.dumps({"object": "chat.completion.chunk", "choices": [choice]}))


def sse(data: str) -> bytes:
    """A server-sent event."""
    return f"data: {data}\n\n".encode()


def speaking(text: str) -> list[bytes]:
    """A completion, word by word."""
    words = text.split(" ")
    pieces = [word if not at else f" {word}" for at, word in enumerate(words)]
    return [
        chunk(role="assistant"),
        *(chunk(content=piece) for piece in pieces),
        chunk("stop"),
        sse("[DONE]"),
    ]


@attrs.define
class FakeEndpoint:
    """Answers each request with the next of `answers`; the last one again and again."""

    answers: list[Sequence[bytes] | Callable[[], Sequence[bytes]]]
    status: int = 200
    pause_s: float = 0.0
    """Before each piece."""
    raw: bytes | None = None
    """Sent instead of HTTP."""
    hangs: bool = False
    asked: list[Asked] = attrs.field(factory=list)
    closed: trio.Event = attrs.field(factory=trio.Event)
    """A client left in the middle of an answer."""
    port: int = 0

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection."""
        async with stream:
            try:
                await self._answer(stream)
            except trio.BrokenResourceError:
                self.closed.set()

    async def _answer(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        request: h11.Request | None = None
        body = b""
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(bytes(await stream.receive_some()))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.ConnectionClosed):
                return
        assert request is not None
        headers = {name.decode(): value.decode() for name, value in request.headers}
        self.asked.append(
            Asked(
                request.method.decode(), request.target.decode(), headers, json.loads(body) if body else None
            )
        )
        if self.hangs:
            await trio.sleep_forever()
        if self.raw is not None:
            await stream.send_all(self.raw)
            return
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        pieces = answer() if callable(answer) else answer
        head = h11.Response(status_code=self.status, headers=[("content-type", "text/event-stream")])
        await stream.send_all(connection.send(head) or b"")
        for piece in pieces:
            await trio.sleep(self.pause_s)
            await stream.send_all(connection.send(h11.Data(piece)) or b"")
        await stream.send_all(connection.send(h11.EndOfMessage()) or b"")


@asynccontextmanager
async def fake_endpoint(*answers: Sequence[bytes], **settings: Any) -> AsyncIterator[FakeEndpoint]:
    """An endpoint on a free port, for the time of the block."""
    endpoint = FakeEndpoint(list(answers) or [speaking("Yes.")], **settings)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        endpoint.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, endpoint.serve, listeners)
        yield endpoint
        nursery.cancel_scope.cancel()
