"""Websockets by trio-websocket, over byte streams that `dialling` opened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import cast

import trio
from attrs import define, field
from trio_websocket import WebSocketConnection, wrap_client_stream

from channels.net.http import host_header

__all__ = ["WebSocketReader", "part", "shake_hands"]


@define
class WebSocketReader:
    """A nursery for the one task of a websocket: its reader.

    The reader outlives the cancellation of its users, until `alive` is cancelled. If it ends before the
    websocket is open (the peer hung up, or refused), opening fails instead of waiting for ever.
    """

    _nursery: trio.Nursery
    opening: trio.CancelScope = field(factory=trio.CancelScope, init=False)
    alive: trio.CancelScope = field(factory=lambda: trio.CancelScope(shield=True), init=False)
    failure: Exception | None = field(default=None, init=False)

    def start_soon(self, task: Callable[[], Awaitable[None]]) -> None:
        """As `trio.Nursery.start_soon`."""
        self._nursery.start_soon(self._run, task)

    async def _run(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            with self.alive:
                await task()
        except Exception as failure:  # every use of the websocket raises the same again
            self.failure = failure
        finally:
            self.opening.cancel()


async def shake_hands(
    stream: trio.abc.Stream,
    reader: WebSocketReader,
    url: str,
    path: str,
    headers: Sequence[tuple[bytes, bytes]],
    *,
    largest: int,
) -> WebSocketConnection:
    """Opens a websocket.

    Args:
        stream: to the host of the URL.
        reader: runs its reader; cancels its scope `opening` if there will be no websocket.
        url: whose host is asked.
        path: with its query.
        headers: besides those of the protocol.
        largest: bytes that a message may have; a larger one closes the websocket.
    """
    return await wrap_client_stream(
        # It takes any byte stream, and whatever starts its reader; its annotations are narrower.
        cast(trio.Nursery, reader),
        cast(trio.SocketStream, stream),
        host_header(url),
        path,
        extra_headers=list(headers),
        max_message_size=largest,
    )


async def part(
    stream: trio.abc.Stream | None,
    reader: WebSocketReader,
    websocket: WebSocketConnection | None,
    *,
    within_s: float,
) -> None:
    """Closes what was opened, cancelled or not; when the peer closes a websocket, the stream stays open.

    Args:
        stream: to the host, if there is one.
        reader: is ended.
        websocket: over the stream; None: there is none, or nobody waits for the peer's goodbye.
        within_s: how long the goodbye may take.
    """
    if websocket is not None:
        with trio.move_on_after(within_s, shield=True):
            await websocket.aclose()
    reader.alive.cancel()
    if stream is not None:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
