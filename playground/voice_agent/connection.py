"""One WebSocket: a reader, a writer and a pulse, joined to the rest by two bounded channels.

In: text frames, which the reader turns into messages (a malformed one is answered right here and goes
no further). Out: events, which the writer gives their timestamps and sends in order; `Goodbye` closes.
When either side ends, `run` ends: then `messages` ends and `send` raises `ConnectionGone`.

Bounds: a frame has at most `MAX_FRAME_BYTES`; 64 messages and 64 events may wait. A client that does
not read holds its own session up, and when one frame was not taken for `slow_client_s`, its socket is
reset. The reason is in the log only: half a frame is on the way, so no close frame can follow it.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Callable
from typing import TypeAlias

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto.utilities import LocalProtocolError

from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import ChannelOverflow
from channels.wire.codec import BadMessage, read_message, write_event
from channels.wire.events import ServerEvent, SessionFailed
from channels.wire.messages import ClientMessage
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.record import Record

__all__ = [
    "MAX_FRAME_BYTES",
    "ClientConnection",
    "ConnectionGone",
    "Goodbye",
    "Outgoing",
    "RawFrame",
    "Reset",
    "abort",
]

MAX_FRAME_BYTES = 2**20
"""1 MiB: the default of the server library that the service was seen to name. As base64 it holds 16 s of
PCM, 300 times what a client is advised to send at a time. A longer message closes with 1009."""

_CLOSE_S = 5.0
"""How long a client may take to answer a close frame before its socket is closed all the same."""

_log = logging.getLogger("playground.voice_agent_api")


class ConnectionGone(Exception):
    """The WebSocket is closed: nothing more can be sent on it."""


@attrs.frozen
class RawFrame:
    """A text frame that is no event: for scripts that send what no server should."""

    text: str


@attrs.frozen
class Goodbye:
    """Closes the WebSocket, after all that was sent before."""

    code: int
    reason: str = ""


@attrs.frozen
class Reset:
    """Ends the connection with no close frame, after all that was sent before."""


Outgoing: TypeAlias = ServerEvent | RawFrame | Goodbye | Reset


class ClientConnection:
    """One client, let in or about to be refused.

    Args:
        ws: the accepted WebSocket.
        stream: what it runs over, for an abrupt end.
        number: how it is called in the record and in the log.
        options: of the server.
        clock: gives seconds since the epoch, for the timestamps.
        received: where messages are kept for tests.
        sent: where events are kept for tests.
    """

    def __init__(
        self,
        ws: WebSocketConnection,
        stream: trio.abc.Stream,
        *,
        number: int,
        options: ServerOptions,
        clock: Callable[[], float],
        received: Record[ClientMessage],
        sent: Record[ServerEvent],
    ) -> None:
        self.number = number
        self._ws = ws
        self._stream = stream
        self._options = options
        self.clock = clock
        self._received = received
        self._sent = sent
        self._may_read = trio.Event()
        self._may_read.set()
        inward = Channel[ClientMessage](
            f"client {number}, messages",
            capacity=64,
            unit="messages",
            full=Full.WAIT,
            because="a busy session slows down its own client, over TCP",
        )
        outward = Channel[Outgoing](
            f"client {number}, events",
            capacity=64,
            unit="events",
            full=Full.WAIT,
            because="a reply that comes in a burst waits for the client that reads it",
        )
        self.messages: Receiver[ClientMessage] = inward.receiver()
        self._inward: Sender[ClientMessage] = inward.sender()
        self._outward: Sender[Outgoing] = outward.sender()
        self._outgoing: Receiver[Outgoing] = outward.receiver()

    async def run(self) -> None:
        """Reads and writes until the WebSocket is closed by either side."""
        async with trio.open_nursery() as pulse:
            if self._options.ping_s is not None:
                pulse.start_soon(self._ping, self._options.ping_s)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                nursery.start_soon(self._read)
            pulse.cancel_scope.cancel()

    async def send(self, *events: Outgoing) -> None:
        """Queues events in order; waits while the client is behind.

        Raises:
            ConnectionGone: the WebSocket is closed.
        """
        try:
            for event in events:
                await self._outward.send(event)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise ConnectionGone from None

    async def dismiss(self, goodbye: Goodbye) -> None:
        """Closes it without waiting: after what is queued, or abruptly if the client is far behind."""
        try:
            self._outward.send_nowait(goodbye)
        except ChannelOverflow:
            await self.abort()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # it is closed already

    def stop_reading(self) -> None:
        """Leaves what the client sends in the socket, until `read_on`."""
        self._may_read = trio.Event()

    def read_on(self) -> None:
        """Reads again."""
        self._may_read.set()

    async def abort(self) -> None:
        """Ends the connection with no close frame: the client sees 1006."""
        await abort(self._stream)

    async def _read(self) -> None:
        async with self._inward, self._outward:
            while True:
                try:
                    frame = await self._ws.get_message()
                except ConnectionClosed:
                    return
                await self._may_read.wait()
                try:
                    if not isinstance(frame, str):
                        raise BadMessage("invalid_format", "Invalid JSON format.")
                    message = read_message(frame)
                except BadMessage as error:
                    _log.info("client %d: %s (%d characters)", self.number, error.message, len(frame))
                    try:
                        await self.send(SessionFailed(error.code, error.message))
                    except ConnectionGone:
                        return
                    continue
                self._received.add(self.number, message)
                try:
                    await self._inward.send(message)
                except trio.BrokenResourceError:
                    continue  # Nobody listens any more; go on reading, so that the close is seen.

    async def _write(self) -> None:
        async with self._outgoing:
            try:
                async for event in self._outgoing:
                    if isinstance(event, Goodbye):
                        with trio.move_on_after(_CLOSE_S):
                            await self._ws.aclose(event.code, event.reason or None)
                        return
                    if isinstance(event, Reset):
                        await self.abort()
                        return
                    with trio.move_on_after(self._options.slow_client_s) as patience:
                        await self._send_frame(event)
                    if patience.cancelled_caught:
                        _log.warning(
                            "client %d: closed, it read nothing for %g s; a client has to keep reading",
                            self.number,
                            self._options.slow_client_s,
                        )
                        await self.abort()
                        return
            except ConnectionClosed:
                return

    async def _send_frame(self, event: ServerEvent | RawFrame) -> None:
        if isinstance(event, RawFrame):
            await self._ws.send_message(event.text)
            return
        frame = write_event(event, timestamp=self.clock())
        self._sent.add(self.number, event)
        await self._ws.send_message(frame)

    async def _ping(self, interval_s: float) -> None:
        try:
            while True:
                await trio.sleep(interval_s)
                with trio.move_on_after(interval_s) as patience:
                    await self._ws.ping()
                if patience.cancelled_caught:
                    _log.warning("client %d: closed, no answer to a ping for %g s", self.number, interval_s)
                    await self.abort()
                    return
        except (ConnectionClosed, LocalProtocolError):
            return  # the second: a ping that crossed our own close


async def abort(stream: trio.abc.Stream) -> None:
    """Ends a stream at once; over TCP by a reset, so that even what is on the way is lost."""
    if isinstance(stream, trio.SocketStream) and stream.socket.fileno() != -1:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream)
