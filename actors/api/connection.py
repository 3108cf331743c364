"""One websocket to the Voice Agent API: messages out, events in, each failure a typed error.

Opens a byte stream by the `Dialer` port, speaks real websocket framing over it, writes and reads with
the sans-IO codec. A peer that falls silent is found out by pings. Nothing here logs or raises the key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import trio
from attrs import define, evolve, field
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection

from actors.api.dialling import Dialer, dial, peer_of, unreachable
from actors.api.in_flight import InFlight
from actors.api.token import fetch_temporary_token
from channels.net.websocket import WebSocketReader, part, shake_hands
from channels.secret import Secret
from channels.settings import ApiAccount
from channels.wire.codec import EventReader, write_message
from channels.wire.events import ServerEvent, SessionEnded, SessionFailed, SessionReady, Unrecognised
from channels.wire.failures import (
    FAULT_FIX,
    KEY_FIX,
    NORMAL_CLOSE,
    ConnectionLost,
    KeyRefused,
    ServiceError,
    ServiceFault,
    failure_of,
)
from channels.wire.messages import ClientMessage

__all__ = ["Dialer", "ServiceConnection", "dial", "open_connection"]

LARGEST_FRAME = 16 * 2**20
"""Bytes: four minutes of sound in one message. The service documents no limit."""

OPEN_WITHIN_S = 10.0
PING_EVERY_S = 5.0
PONG_WITHIN_S = 10.0
CLOSE_WITHIN_S = 1.0


@define
class ServiceConnection:
    """An open websocket."""

    _websocket: WebSocketConnection
    _secrets: tuple[Secret, ...]
    address: str | None = None
    """The IP address at its other end."""
    running: bool = False
    """Whether the service has taken the key, here or on a connection before."""
    reader: EventReader = field(factory=EventReader, init=False)
    complaint: SessionFailed | None = field(default=None, init=False)
    """The last `session.error`, if only an end has followed it."""
    given_up: bool = field(default=False, init=False)
    """Nothing waits for the other end any more, not even for its goodbye."""
    _ended: bool = field(default=False, init=False)

    async def send(self, message: ClientMessage) -> None:
        """Sends one message.

        Raises:
            ServiceError: the connection is closed. `receive` gives the better reason, after its waiting
            events.
        """
        try:
            await self._websocket.send_message(write_message(message))
        except ConnectionClosed as closed:
            raise self._failure(closed) from None

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
        match event:
            case SessionFailed(message=message):
                # If the service repeats the key, it must not end up in the log.
                for secret in self._secrets:
                    message = message.replace(secret.reveal(), str(secret))
                event = evolve(event, message=message)
                self.complaint = event
            case SessionEnded():
                self._ended = True
            case Unrecognised():
                pass
            case _:
                self.complaint = None
                self.running = self.running or isinstance(event, SessionReady)
        return event

    async def watch(self, in_flight: InFlight) -> None:
        """Sends pings for as long as the peer answers; each answer shows what has arrived.

        Raises:
            ConnectionLost: it does not.
        """
        while True:
            await trio.sleep(PING_EVERY_S)
            with trio.move_on_after(PONG_WITHIN_S):
                try:
                    mark = in_flight.mark()
                    await self._websocket.ping()
                    in_flight.arrived(mark)
                except ConnectionClosed:
                    await trio.sleep_forever()  # the reader finds out why, if it is not held up
                continue
            self.given_up = True
            raise ConnectionLost(
                f"the Voice Agent API has not answered for {PONG_WITHIN_S:.0f} s", "check the network"
            )

    def _failure(self, closed: ConnectionClosed) -> ServiceError:
        close = closed.reason.code if closed.reason else None
        if self.complaint is not None:
            said = self.complaint
            return failure_of(said.code, said.message, param=said.param, close=close, running=self.running)
        return failure_of(None, close=NORMAL_CLOSE if self._ended else close, running=self.running)


@asynccontextmanager
async def open_connection(
    account: ApiAccount,
    dialer: Dialer,
    nursery: trio.Nursery,
    *,
    temporary_token: bool = False,
    running: bool = False,
) -> AsyncIterator[ServiceConnection]:
    """Opens a websocket and closes it on the way out: within a second whatever happens, at once if given up.

    Until then it works even if its user is cancelled, so that the session can be ended properly.

    Args:
        account: the address and the key.
        dialer: opens the byte stream.
        nursery: where the websocket's reader runs.
        temporary_token: whether to open it with a token minted for it, instead of the key.
        running: whether this continues a call whose key the service has already accepted.

    Raises:
        ServiceUnreachable: nobody answers.
        NoWayToService: its certificate is not trusted, or the proxy lets nobody through.
        SettingsError: the proxy variable is not the address of a proxy.
        ServiceFault: what answers is not the Voice Agent API.
        KeyRefused: a gateway refuses the key, or it cannot be one.
    """
    key = account.api_key.reveal()
    secrets = [account.api_key]
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise KeyRefused(
            f"this is not an API key: it is empty, or has characters that no key has ({len(key)} characters)",
            KEY_FIX,
        )
    reader = WebSocketReader(nursery)
    stream: trio.abc.Stream | None = None
    websocket: WebSocketConnection | None = None
    connection: ServiceConnection | None = None
    try:
        with trio.move_on_after(OPEN_WITHIN_S), reader.opening:
            if temporary_token:
                secrets.append(await fetch_temporary_token(account.url, account.api_key, dialer))
            stream = await _dial(account.url, dialer)
            websocket = await _open(account.url, secrets[-1], temporary_token, stream, reader)
        if websocket is None:
            raise _refusal(account.url, reader.failure)
        address = None if stream is None else peer_of(stream)
        connection = ServiceConnection(websocket, tuple(secrets), address, running)
        yield connection
    finally:
        given_up = connection is not None and connection.given_up
        await part(stream, reader, None if given_up else websocket, within_s=CLOSE_WITHIN_S)


async def _dial(url: str, dialer: Dialer) -> trio.abc.Stream:
    try:
        return await dialer(url)
    except (OSError, UnicodeError, trio.BrokenResourceError) as error:
        raise unreachable(url, error) from error


async def _open(
    url: str, credential: Secret, temporary_token: bool, stream: trio.abc.Stream, reader: WebSocketReader
) -> WebSocketConnection:
    path = urlsplit(url).path or "/"
    by_key: list[tuple[bytes, bytes]] = []
    if temporary_token:
        path += f"?token={quote(credential.reveal(), safe='')}"
    else:
        by_key = [(b"Authorization", b"Bearer " + credential.reveal().encode())]
    return await shake_hands(stream, reader, url, path, by_key, largest=LARGEST_FRAME)


def _refusal(url: str, failure: Exception | None) -> ServiceError:
    if not isinstance(failure, ConnectionRejected):
        return unreachable(url)
    said = f"{url} answered HTTP {failure.status_code} instead of opening a websocket"
    if failure.status_code in (401, 403):
        return KeyRefused(said, KEY_FIX)
    if failure.status_code == 429 or failure.status_code >= 500:
        return ServiceFault(said, FAULT_FIX)
    return ServiceFault(said, "check VOICE_AGENT_URL: the path is /v1/ws")
