"""A small HTTP/1.1 server's side of one connection: requests in, answers out, over any Trio stream.

In: a stream and a handler. Out: the handler's answers, one request after another for as long as the client
keeps the connection, or the connection itself, handed on to what speaks another protocol. h11 does the
parsing. A client has 10 s for the head of a request (30 s between two), 5 s for its body, 30 s to take an
answer; a head is at most 16 KiB (a temporary token in the address has 2.5) and a body 16 KiB. Whoever exceeds
that, or sends what is not HTTP, is told so if it still listens and is let go; nothing of it reaches the
caller.

Cancelled, the stream is closed at once, in the middle of an answer too.

`serve_few` does that for each connection of a listener, up to a bound.

It is no ASGI server, for those that run on Trio take sockets only, so no virtual time; they bound neither a
body nor the time for an answer; what they send is shielded, so that a client that takes nothing keeps Ctrl-C
waiting; and they do not hand a WebSocket on to another library.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeAlias

import attrs
import h11
import trio

__all__ = [
    "Handler",
    "Request",
    "Response",
    "Upgrade",
    "json_response",
    "plain_response",
    "serve_few",
    "serve_http",
]

_MAX_HEAD_BYTES = 16 * 2**10
_MAX_BODY_BYTES = 16 * 2**10
_HEAD_S = 10.0
_IDLE_S = 30.0
_BODY_S = 5.0
_ANSWER_S = 30.0


@attrs.frozen
class Request:
    """One request, its body included."""

    method: str
    target: str
    """As sent: the path, and the query if there is one."""
    headers: Mapping[str, str]
    """By lower-case name; of several with one name, the last."""
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class Response:
    """One answer."""

    status: int
    body: bytes = attrs.field(default=b"", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    """`Content-Length` is added."""


Upgrade: TypeAlias = Callable[[trio.abc.Stream, bytes], Awaitable[None]]
"""Speaks another protocol from here on. It is given the connection, and what was read: the head, and what
came with it. (A body that came later is not among it.)"""

Handler: TypeAlias = Callable[[Request], Awaitable[Response | Upgrade]]


class _Refused(Exception):
    """The request cannot be taken; the connection ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def json_response(status: int, content: Mapping[str, Any], **headers: str) -> Response:
    """An answer in JSON."""
    return Response(status, json.dumps(content).encode(), {"Content-Type": "application/json", **headers})


def plain_response(status: int, text: str, **headers: str) -> Response:
    """An answer in one line of text."""
    kind = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return Response(status, f"{text}\n".encode(), {**kind, **headers})


async def serve_few(
    listener: trio.SocketListener, serve: Callable[[trio.SocketStream], Awaitable[None]], *, most: int
) -> None:
    """Serves each connection until cancelled.

    Args:
        listener: lets them in.
        serve: the life of one connection.
        most: so many at a time. One more takes the place of the oldest, which is closed without a word: who
            opens connections and leaves them open keeps nobody out.
    """
    living: dict[trio.SocketStream, trio.CancelScope] = {}

    async def serve_one(stream: trio.SocketStream) -> None:
        if len(living) == most:
            oldest = next(iter(living))
            living.pop(oldest).cancel()
        with trio.CancelScope() as scope:
            living[stream] = scope
            try:
                await serve(stream)
            finally:
                living.pop(stream, None)
                await trio.aclose_forcefully(stream)

    await trio.serve_listeners(serve_one, [listener])


async def serve_http(stream: trio.abc.Stream, handle: Handler) -> None:
    """Answers requests until the client leaves, must go, or is handed on and done; closes the stream."""
    connection = _Connection(stream, handle)
    async with stream:
        upgrade = await connection.serve()
        if upgrade is not None:
            await upgrade(stream, bytes(connection.read))


@attrs.define
class _Connection:
    stream: trio.abc.Stream
    handle: Handler
    http: h11.Connection = attrs.field(
        factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
    )
    read: bytearray = attrs.field(factory=bytearray)
    """The head of this request, and what came with it."""

    async def serve(self) -> Upgrade | None:
        """Answers requests, up to one for another protocol."""
        head_s = _HEAD_S
        try:
            while (request := await self._next_request(head_s)) is not None:
                response = await self.handle(request)
                if not isinstance(response, Response):
                    return response
                # The answer to HEAD has the length of the body, and no body.
                await self._send(response, with_body=request.method != "HEAD")
                if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
                    break
                self.http.start_next_cycle()
                self.read = bytearray(self.http.trailing_data[0])
                head_s = _IDLE_S
        except _Refused as refused:
            await self._refuse(refused.status)
        except h11.RemoteProtocolError as error:
            await self._refuse(error.error_status_hint)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        return None

    async def _next_request(self, head_s: float) -> Request | None:
        event: object = None
        with trio.move_on_after(head_s):
            event = await self._next_event()
        if event is None and self.read:
            raise _Refused(408)
        if not isinstance(event, h11.Request):
            return None
        body = b""
        with trio.move_on_after(_BODY_S) as reading:
            body = await self._read_body()
        if reading.cancelled_caught:
            raise _Refused(408)
        return Request(
            method=event.method.decode("ascii"),
            target=event.target.decode("latin-1"),
            headers={name.decode("ascii"): value.decode("latin-1") for name, value in event.headers},
            body=body,
        )

    async def _next_event(self) -> object:
        while (event := self.http.next_event()) is h11.NEED_DATA:
            if self.http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                await self.stream.send_all(self.http.send(go_on) or b"")
            data = bytes(await self.stream.receive_some(16384))
            if self.http.their_state is h11.IDLE:
                self.read += data
            self.http.receive_data(data)
        return event

    async def _read_body(self) -> bytes:
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > _MAX_BODY_BYTES:
                raise _Refused(413)
        return bytes(body)

    async def _send(self, response: Response, *, with_body: bool = True) -> None:
        headers = [*response.headers.items()]
        if response.status != 304:
            headers.append(("Content-Length", str(len(response.body))))
        events: list[h11.Response | h11.Data | h11.EndOfMessage] = [
            h11.Response(status_code=response.status, headers=headers)
        ]
        if with_body and response.body:
            events.append(h11.Data(data=response.body))
        events.append(h11.EndOfMessage())
        data = b"".join(self.http.send(event) or b"" for event in events)
        with trio.move_on_after(_ANSWER_S) as sending:
            await self.stream.send_all(data)
        if sending.cancelled_caught:
            raise trio.BrokenResourceError("the client does not take its answer")

    async def _refuse(self, status: int) -> None:
        if self.http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        # Not in h11's words: they quote the line, and the line may hold a key.
        told = json_response(status, {"detail": HTTPStatus(status).phrase}, Connection="close")
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError):
            await self._send(told)
