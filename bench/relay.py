"""A TCP line to a server of this machine that somebody can cut, or lay to another server.

A client that connects here talks to the server behind it and notices nothing. `Relay.cut` resets one of the
connections, both ends, as a network does that forgets it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from urllib.parse import urlsplit

import attrs
import trio

__all__ = ["Relay", "relay_to"]

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away what was not sent, and resets."""
_CHUNK = 65_536


@attrs.define(eq=False)
class _Connection:
    path: str
    client: trio.SocketStream
    server: trio.SocketStream
    alive: trio.CancelScope = attrs.field(factory=trio.CancelScope)


@attrs.define
class Relay:
    """The line.

    Args:
        server: the URL behind it.
        url: where to connect instead.
        detours: for each of the next connections, the URL of another server.
    """

    server: str
    url: str
    detours: list[str] = attrs.field(factory=list)
    _open: list[_Connection] = attrs.field(factory=list, init=False)

    def cut(self, path: str, random: Random) -> bool:
        """Resets a connection whose request begins with a path; gives whether there was one."""
        found = [each for each in self._open if each.path.startswith(path)]
        if not found:
            return False
        cut = random.choice(found)
        for end in (cut.client, cut.server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        cut.alive.cancel()
        return True

    async def serve(self, client: trio.SocketStream) -> None:
        """Serves one client."""
        async with client:
            try:
                first = await client.receive_some(_CHUNK)
            except trio.BrokenResourceError:
                return
            to = urlsplit(self.detours.pop(0) if self.detours else self.server)
            try:
                server = await trio.open_tcp_stream(to.hostname or "", to.port or 80)
            except OSError:
                return
            connection = _Connection(first[:200].decode("latin-1").partition(" ")[2], client, server)
            self._open.append(connection)
            try:
                with connection.alive:
                    await _join(client, server, first)
            finally:
                self._open.remove(connection)
                with trio.CancelScope(shield=True):
                    await server.aclose()
                    await client.aclose()


async def _join(client: trio.SocketStream, server: trio.SocketStream, first: bytes) -> None:
    async def carry(source: trio.SocketStream, sink: trio.SocketStream, begin: bytes) -> None:
        try:
            await sink.send_all(begin)
            while data := await source.receive_some(_CHUNK):
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(carry, client, server, first)
        nursery.start_soon(carry, server, client, b"")


@asynccontextmanager
async def relay_to(server: str) -> AsyncIterator[Relay]:
    """A line for the time of the block."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    relay = Relay(server, urlsplit(server)._replace(netloc=f"127.0.0.1:{port}").geturl())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, relay.serve, [listener])
        yield relay
        nursery.cancel_scope.cancel()
