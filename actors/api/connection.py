"""One websocket to the Voice Agent API: messages out, events in, each failure a typed error.

Opens a byte stream by the `Dialer` port, speaks real websocket framing over it, writes and reads with
the sans-IO codec. A peer that falls silent is found out by pings. Nothing here logs or raises the key.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias, cast
from urllib.parse import urlsplit

import trio
from attrs import define, field
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from channels.settings import ApiSettings
from channels.wire.codec import EventReader, write_message
from channels.wire.events import ServerEvent, SessionFailed
from channels.wire.failures import ConnectionLost, ServiceError, ServiceFault, ServiceUnreachable, failure_of
from channels.wire.messages import ClientMessage

__all__ = ["Connection", "Dialer", "dial", "open_connection"]

Dialer: TypeAlias = Callable[[str], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the host of a ws:// or wss:// URL."""

LARGEST_FRAME = 16 * 2**20
"""Bytes. Four minutes of sound in one message; the service documents no limit."""

OPEN_WITHIN_S = 10.0
PING_EVERY_S = 5.0
PONG_WITHIN_S = 10.0


async def dial(url: str) -> trio.abc.Stream:
    """Opens TCP, and TLS for wss://, to the host of a URL.

    Raises:
        OSError: nobody answers there, or the certificate is not to be trusted.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "wss":
        stream = await trio.open_ssl_over_tcp_stream(
            host, parts.port or 443, https_compatible=True, ssl_context=ssl.create_default_context()
        )
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as error:
            raise OSError("the TLS handshake failed") from error
        return stream
    return await trio.open_tcp_stream(host, parts.port or 80)


@define
class Connection:
    """An open websocket."""

    _websocket: WebSocketConnection
    reader: EventReader
    last_error: SessionFailed | None = field(default=None, init=False)
    """The `session.error` that came last, as long as nothing but a close can follow it."""
    sending: bool = field(default=False, init=False)
    """True also after a send was cancelled: the stream may end in half a frame then."""

    async def send(self, message: ClientMessage) -> None:
        """Sends one message.

        Raises:
            ServiceError: the connection is closed; the error says why.
        """
        self.sending = True
        try:
            await self._websocket.send_message(write_message(message))
        except ConnectionClosed as closed:
            raise self._failure(closed) from None
        self.sending = False

    async def receive(self) -> ServerEvent:
        """The next event.

        Raises:
            ServiceError: the connection is closed; the error says why.
        """
        try:
            frame = await self._websocket.get_message()
        except ConnectionClosed as closed:
            raise self._failure(closed) from None
        event = self.reader.read(frame)
        self.last_error = event if isinstance(event, SessionFailed) else None
        return event

    async def watch(self) -> None:
        """Pings for as long as the peer answers.

        Raises:
            ConnectionLost: it does not.
        """
        while True:
            await trio.sleep(PING_EVERY_S)
            with trio.move_on_after(PONG_WITHIN_S) as scope:
                try:
                    await self._websocket.ping()
                except ConnectionClosed:
                    return  # the reader finds out why
            if scope.cancelled_caught:
                raise ConnectionLost(
                    f"the Voice Agent API has not answered for {PONG_WITHIN_S:.0f} s", "check the network"
                )

    def _failure(self, closed: ConnectionClosed) -> ServiceError:
        close = closed.reason.code if closed.reason else None
        error = self.last_error
        if error is None:
            return failure_of(None, close=close)
        return failure_of(error.code or "internal_error", error.message, param=error.param, close=close)


@asynccontextmanager
async def open_connection(
    settings: ApiSettings, dialer: Dialer, nursery: trio.Nursery
) -> AsyncIterator[Connection]:
    """Opens a websocket; closes it on the way out, within a second, whatever happened.

    Args:
        settings: the address and the key.
        dialer: opens the byte stream.
        nursery: where the websocket's reader runs; it must outlive the connection.

    Raises:
        ServiceUnreachable: nobody answers.
        ServiceFault: what answers is not the Voice Agent API, or refuses the websocket.
    """
    parts = urlsplit(settings.url)
    default_port = 443 if parts.scheme == "wss" else 80
    host = parts.netloc if parts.port != default_port else parts.hostname or ""
    unreachable = ServiceUnreachable(
        f"the Voice Agent API at {settings.url} cannot be reached", "check VOICE_AGENT_URL and the network"
    )
    websocket: WebSocketConnection | None = None
    stream: trio.abc.Stream | None = None
    try:
        with trio.move_on_after(OPEN_WITHIN_S):
            stream = await dialer(settings.url)
            websocket = await wrap_client_stream(
                nursery,
                # It takes any byte stream; its annotation is narrower than its documentation.
                cast(trio.SocketStream, stream),
                host,
                parts.path or "/",
                extra_headers=[(b"Authorization", b"Bearer " + settings.api_key.reveal().encode())],
                max_message_size=LARGEST_FRAME,
            )
    except (OSError, trio.BrokenResourceError) as error:
        raise unreachable from error
    except ConnectionRejected as rejected:
        raise ServiceFault(
            f"{settings.url} answered HTTP {rejected.status_code} instead of opening a websocket",
            "check VOICE_AGENT_URL: the path is /v1/ws",
        ) from None
    except (ConnectionClosed, HandshakeError):
        raise unreachable from None
    finally:
        if websocket is None and stream is not None:
            await trio.aclose_forcefully(stream)
    if websocket is None:
        raise unreachable
    try:
        yield Connection(websocket, EventReader())
    finally:
        with trio.move_on_after(1, shield=True):
            await websocket.aclose()
