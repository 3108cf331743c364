"""One websocket to LiveKit's agent dispatch: messages out, messages in, each failure a typed error.

It is opened with a token that may do nothing but be a worker, and is made for it. A peer that falls silent is
found out by pings. Nothing here logs or raises the key or the token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import trio
from attrs import define, field
from livekit import api
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection

from actors.dispatch.protocol import LARGEST_MESSAGE
from channels.errors import NoDispatch, NoWayToRoom, RoomUnreachable, VoiceAgentError, WorkerRefused
from channels.net.dialling import Dialer, obstacle_to, open_stream
from channels.net.websocket import WebSocketReader, part, shake_hands
from channels.secret import Secret
from channels.settings import LiveKitAccount

__all__ = ["PING_EVERY_S", "WorkerConnection", "mint_worker_token", "open_connection"]

OPEN_WITHIN_S = 10.0
PING_EVERY_S = 5.0
PONG_WITHIN_S = 10.0
CLOSE_WITHIN_S = 1.0

_TOKEN_LIFE = timedelta(minutes=10)
"""It is looked at once, when the websocket is opened."""

LASTING = (WorkerRefused, NoDispatch, NoWayToRoom)
"""Errors after which the same answer would come."""


def mint_worker_token(account: LiveKitAccount) -> Secret:
    """A token that lets a worker register, and nothing else."""
    grants = api.VideoGrants(agent=True, can_publish=False, can_subscribe=False, can_publish_data=False)
    token = api.AccessToken(account.api_key, account.api_secret.reveal())
    return Secret(token.with_ttl(_TOKEN_LIFE).with_grants(grants).to_jwt())


@define
class WorkerConnection:
    """An open websocket."""

    url: str
    _websocket: WebSocketConnection
    given_up: bool = field(default=False, init=False)
    """Nothing waits for the other end any more, not even for its goodbye."""

    async def send(self, message: bytes) -> None:
        """Sends one message.

        Raises:
            RoomUnreachable: the connection is closed.
        """
        try:
            await self._websocket.send_message(message)
        except ConnectionClosed as closed:
            raise self._failure(closed) from None

    async def receive(self) -> bytes | str:
        """The next message.

        Raises:
            RoomUnreachable: the connection is closed.
        """
        try:
            return await self._websocket.get_message()
        except ConnectionClosed as closed:
            raise self._failure(closed) from None

    async def watch(self) -> None:
        """Sends pings for as long as the peer answers.

        Raises:
            RoomUnreachable: it does not.
        """
        while True:
            await trio.sleep(PING_EVERY_S)
            with trio.move_on_after(PONG_WITHIN_S):
                try:
                    await self._websocket.ping()
                except ConnectionClosed as closed:
                    raise self._failure(closed) from None
                continue
            self.given_up = True
            raise RoomUnreachable(
                f"LiveKit at {self.url} has not answered a ping for {PONG_WITHIN_S:.0f} s",
                "check the network",
            )

    def _failure(self, closed: ConnectionClosed) -> RoomUnreachable:
        # Not in the peer's words.
        code = "" if closed.reason is None else f" (websocket close {closed.reason.code})"
        return RoomUnreachable(f"LiveKit at {self.url} closed the worker's connection{code}", "see its log")


@asynccontextmanager
async def open_connection(
    account: LiveKitAccount, url: str, nursery: trio.Nursery, dialer: Dialer = open_stream
) -> AsyncIterator[WorkerConnection]:
    """Opens a websocket and closes it on the way out: within a second, at once if given up.

    Args:
        account: the key.
        url: of LiveKit, ws://, wss://, http:// or https://.
        nursery: where the websocket's reader runs.
        dialer: opens the byte stream.

    Raises:
        RoomUnreachable: nobody answers, or not now.
        NoWayToRoom: its certificate is not trusted, or the proxy lets nobody through.
        WorkerRefused: LiveKit refuses the key.
        NoDispatch: what answers has no agent dispatch.
        SettingsError: the proxy variable is not the address of a proxy.
    """
    reader = WebSocketReader(nursery)
    stream: trio.abc.Stream | None = None
    websocket: WebSocketConnection | None = None
    connection: WorkerConnection | None = None
    bearer = (b"Authorization", b"Bearer " + mint_worker_token(account).reveal().encode())
    try:
        with trio.move_on_after(OPEN_WITHIN_S), reader.opening:
            try:
                stream = await dialer(url)
            except (OSError, UnicodeError, trio.BrokenResourceError) as error:
                raise _unreachable(url, error) from error
            path = f"{urlsplit(url).path.rstrip('/')}/agent"
            websocket = await shake_hands(stream, reader, url, path, [bearer], largest=LARGEST_MESSAGE)
        if websocket is None:
            raise _unreachable(url) if stream is None else _refusal(account, url, reader.failure)
        connection = WorkerConnection(url, websocket)
        yield connection
    finally:
        given_up = connection is not None and connection.given_up
        await part(stream, reader, None if given_up else websocket, within_s=CLOSE_WITHIN_S)


def _unreachable(url: str, error: BaseException | None = None) -> VoiceAgentError:
    obstacle = obstacle_to(url, error)
    kind = NoWayToRoom if obstacle.lasting else RoomUnreachable
    fix = obstacle.fix or "check LIVEKIT_URL, and that the server is running"
    return kind(f"LiveKit at {url} {obstacle.what}", fix)


def _refusal(account: LiveKitAccount, url: str, failure: Exception | None) -> VoiceAgentError:
    if not isinstance(failure, ConnectionRejected):
        return RoomUnreachable(
            f"{url} answers, and opens no websocket for a worker",
            "check that LIVEKIT_URL is the address of a LiveKit server",
        )
    status = failure.status_code
    if status in (401, 403):
        return WorkerRefused(
            f"LiveKit at {url} does not let a worker register with the key {account.api_key} ({status})",
            "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must belong to this server, and the clocks must agree",
        )
    if status == 429 or status >= 500:
        return RoomUnreachable(f"LiveKit at {url} answered HTTP {status} to a worker", "try again later")
    return NoDispatch(
        f"{url} answered HTTP {status} to a worker: it has no agent dispatch",
        "check LIVEKIT_URL, and that a gateway before it lets the path /agent through",
    )
