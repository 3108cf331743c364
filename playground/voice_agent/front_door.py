"""What comes before the WebSocket: the head of the request, and the answers that need none.

The head (at most 16 KiB: a temporary token in the address has 2.5) is read within 10 s and parsed by
h11. An upgrade is handed on with all bytes that were read, as a stream that replays them; anything
else is answered here, over the same port, and the connection is closed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import h11
import trio

from channels.secret import Secret

__all__ = ["Answer", "Caller", "ReplayStream", "answer", "read_head"]

_MAX_HEAD_BYTES = 16 * 2**10
_HEAD_S = 10.0


@attrs.frozen
class Answer:
    """A plain HTTP answer with a JSON body."""

    status: int
    body: Mapping[str, Any]


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
    read: bytes = attrs.field(repr=False)
    """All bytes read so far, the head and what followed it."""


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


async def read_head(stream: trio.abc.Stream) -> Caller | Answer | None:
    """Reads one request's head; an `Answer` if it is not one, None if the client went away."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
    read = bytearray()
    with trio.move_on_after(_HEAD_S):
        while True:
            try:
                event = http.next_event()
            except h11.RemoteProtocolError as error:
                # Not the error's own text: it quotes the line, and the line may hold a key.
                status = error.error_status_hint
                return Answer(status, {"detail": HTTPStatus(status).phrase})
            if isinstance(event, h11.Request):
                try:
                    return _caller(event, bytes(read))
                except ValueError:
                    return Answer(400, {"detail": "The address is malformed"})
            try:
                data = await stream.receive_some(4096)
            except trio.BrokenResourceError:
                return None
            if not data:
                return None
            read += data
            http.receive_data(bytes(data))
    return Answer(408, {"detail": "The request did not come in time"})


def _caller(request: h11.Request, read: bytes) -> Caller:
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
    target = urlsplit(request.target.decode("ascii", "replace"))
    query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
    authorization = headers.get("authorization")
    credential = query.get("token", "") if authorization is None else authorization.strip()
    if authorization is not None and credential[:7].lower() == "bearer ":
        credential = credential[7:]
    credential = credential.strip()
    return Caller(
        method=request.method.decode("ascii"),
        path=target.path,
        query=query,
        credential=Secret(credential) if credential and credential.lower() != "bearer" else None,
        authorization_sent=authorization is not None,
        upgrade=(
            request.method == b"GET"
            and headers.get("upgrade", "").lower() == "websocket"
            and "upgrade" in headers.get("connection", "").lower()
            and headers.get("sec-websocket-version") == "13"
            and "sec-websocket-key" in headers
        ),
        from_a_page="origin" in headers,
        read=read,
    )


async def answer(stream: trio.abc.Stream, reply: Answer) -> None:
    """Sends a plain HTTP answer; a client that went away in the meantime is no fault."""
    body = json.dumps(reply.body).encode()
    http = h11.Connection(h11.SERVER)
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("connection", "close"),
    ]
    events = (
        h11.Response(status_code=reply.status, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    )
    data = b"".join(http.send(event) or b"" for event in events)
    with trio.move_on_after(_HEAD_S):
        try:
            await stream.send_all(data)
        except trio.BrokenResourceError:
            return
