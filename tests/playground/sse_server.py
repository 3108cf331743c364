"""An OpenAI-compatible endpoint for tests: real HTTP on a real socket, answering what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from channels.net.serving import Request, Upgrade, serve_http

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

    answers: list[Sequence[bytes] | Callable[[], Iterable[bytes]]]
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
        await serve_http(stream, self._answer)

    async def _answer(self, request: Request) -> Upgrade:
        body = json.loads(request.body) if request.body else None
        self.asked.append(Asked(request.method, request.target, request.headers, body))
        return self._stream

    async def _stream(self, stream: trio.abc.Stream, _: bytes) -> None:
        if self.hangs:
            await trio.sleep_forever()
        if self.raw is not None:
            await stream.send_all(self.raw)
            return
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        pieces = answer() if callable(answer) else answer
        head = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        try:
            await stream.send_all(f"HTTP/1.1 {self.status} Said\r\n{head}".encode())
            for piece in pieces:
                await trio.sleep(self.pause_s)
                await stream.send_all(b"%x\r\n%b\r\n" % (len(piece), piece))
            await stream.send_all(b"0\r\n\r\n")
        except trio.BrokenResourceError:
            self.closed.set()


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
