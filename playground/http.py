"""A small HTTP/1.1 server's side of one connection: requests in, answers out, over any Trio stream.

In: a stream and a handler. Out: the handler's answers, one request after another for as long as the client
keeps the connection. h11 does the parsing. A client has 10 s for the head of a request (30 s between two),
5 s for its body, 30 s to take an answer; a head is at most 16 KiB and a body 16 KiB. Whoever exceeds that,
or sends what is not HTTP, is told so if it still listens and is let go; nothing of it reaches the caller.

Cancelled, the stream is closed at once, in the middle of an answer too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs
import h11
import trio

__all__ = ["Handler", "Request", "Response", "serve_http"]

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


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class _Refused(Exception):
    """The request cannot be taken; the connection ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def serve_http(stream: trio.abc.Stream, handle: Handler) -> None:
    """Answers requests until the client leaves or must go; closes the stream."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD_BYTES)
    async with stream:
        try:
            first = True
            while await _serve_one(http, stream, handle, _HEAD_S if first else _IDLE_S):
                first = False
        except _Refused as refused:
            await _refuse(http, stream, refused.status)
        except h11.RemoteProtocolError as error:
            await _refuse(http, stream, error.error_status_hint)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


async def _serve_one(http: h11.Connection, stream: trio.abc.Stream, handle: Handler, head_s: float) -> bool:
    """Answers one request; whether there may be another."""
    began = trio.current_time()
    event: object = None
    with trio.move_on_at(began + head_s):
        event = await _next_event(http, stream)
    if event is None:
        if http.trailing_data[0]:
            raise _Refused(408)
        return False
    if not isinstance(event, h11.Request):
        return False
    body = b""
    with trio.move_on_after(_BODY_S) as reading:
        body = await _read_body(http, stream)
    if reading.cancelled_caught:
        raise _Refused(408)
    request = Request(
        method=event.method.decode("ascii"),
        target=event.target.decode("latin-1"),
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in event.headers},
        body=body,
    )
    response = await handle(request)
    # The answer to HEAD has the length of the body, and no body.
    await _send(http, stream, response, with_body=request.method != "HEAD")
    if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
        return False
    http.start_next_cycle()
    return True


async def _next_event(http: h11.Connection, stream: trio.abc.Stream) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        if http.they_are_waiting_for_100_continue:
            await stream.send_all(_bytes(http, h11.InformationalResponse(status_code=100, headers=[])))
        http.receive_data(bytes(await stream.receive_some(16384)))
    return event


async def _read_body(http: h11.Connection, stream: trio.abc.Stream) -> bytes:
    body = bytearray()
    while isinstance(event := await _next_event(http, stream), h11.Data):
        body += event.data
        if len(body) > _MAX_BODY_BYTES:
            raise _Refused(413)
    return bytes(body)


async def _send(
    http: h11.Connection, stream: trio.abc.Stream, response: Response, *, with_body: bool = True
) -> None:
    headers = [(name, value) for name, value in response.headers.items()]
    if response.status != 304:
        headers.append(("Content-Length", str(len(response.body))))
    data = _bytes(http, h11.Response(status_code=response.status, headers=headers))
    if with_body and response.body:
        data += _bytes(http, h11.Data(data=response.body))
    data += _bytes(http, h11.EndOfMessage())
    with trio.move_on_after(_ANSWER_S) as sending:
        await stream.send_all(data)
    if sending.cancelled_caught:
        raise trio.BrokenResourceError("the client does not take its answer")


async def _refuse(http: h11.Connection, stream: trio.abc.Stream, status: int) -> None:
    if http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
        return
    try:
        await _send(http, stream, Response(status, headers={"Connection": "close"}))
    except (trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError):
        return


def _bytes(
    http: h11.Connection, event: h11.InformationalResponse | h11.Response | h11.Data | h11.EndOfMessage
) -> bytes:
    return http.send(event) or b""
