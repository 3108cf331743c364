"""What comes before the WebSocket: who asks for what, and the answers that need none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import trio

from channels.net.serving import Request, Response, json_response
from channels.secret import Secret

__all__ = ["Caller", "ReplayStream", "answer", "read_caller"]


@attrs.frozen
class Caller:
    """What the head of a request says."""

    method: str
    path: str
    query: Mapping[str, str] = attrs.field(repr=False)
    credential: Secret | None
    """From `Authorization` (with or without `Bearer`), else from `?token=`; None if absent or blank."""
    authorization_sent: bool
    upgrade: bool
    """Whether it asks for a WebSocket in a way that the handshake will accept."""
    from_a_page: bool
    """Whether a browser sends it, for a page: only those tell an `Origin`."""


class ReplayStream(trio.abc.Stream):
    """A stream that first gives bytes that were read from it before.

    Args:
        first: these bytes.
        stream: the stream they came from.
    """

    def __init__(self, first: bytes, stream: trio.abc.Stream) -> None:
        self._first = first
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the stream under it, after the bytes to replay."""
        if self._first:
            await trio.lowlevel.checkpoint()
            count = len(self._first) if max_bytes is None else max_bytes
            first, self._first = self._first[:count], self._first[count:]
            return first
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream under it."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream under it."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream under it."""
        await self._stream.aclose()


def read_caller(request: Request) -> Caller:
    """Reads the head of a request.

    Raises:
        ValueError: its address is malformed.
    """
    target = urlsplit(request.target)
    query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
    authorization = request.headers.get("authorization")
    credential = query.get("token", "") if authorization is None else authorization.strip()
    if authorization is not None and credential[:7].lower() == "bearer ":
        credential = credential[7:]
    credential = credential.strip()
    return Caller(
        method=request.method,
        path=target.path,
        query=query,
        credential=Secret(credential) if credential and credential.lower() != "bearer" else None,
        authorization_sent=authorization is not None,
        upgrade=(
            request.method == "GET"
            and not request.body
            and request.headers.get("upgrade", "").lower() == "websocket"
            and "upgrade" in request.headers.get("connection", "").lower()
            and request.headers.get("sec-websocket-version") == "13"
            and "sec-websocket-key" in request.headers
        ),
        from_a_page="origin" in request.headers,
    )


def answer(status: int, content: Mapping[str, Any]) -> Response:
    """A plain HTTP answer, with which the connection ends."""
    return json_response(status, content, Connection="close")
