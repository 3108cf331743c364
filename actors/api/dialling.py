"""Connects to the Voice Agent API's host, and explains it when that fails."""

from __future__ import annotations

import contextlib

import trio

from channels.net.dialling import Dialer, obstacle_to, open_stream
from channels.net.proxies import proxy_for
from channels.wire.failures import NoWayToService, ServiceError, ServiceUnreachable

__all__ = ["Dialer", "dial", "dial_again", "peer_of", "unreachable"]

SAME_ADDRESS_WITHIN_S = 3.0
"""How long the previous address is tried: the session waits 30 s, and other hosts may know it as well."""


async def dial(url: str) -> trio.abc.Stream:
    """As `open_stream`: through the proxy that the environment names, if there is one on this way."""
    return await open_stream(url)


async def dial_again(url: str, address: str) -> trio.abc.Stream:
    """As `dial`, to the very address that was reached before.

    The service's default name resolves to the nearest region, and a region knows only its own sessions, so a
    session is resumed where it began. An address that is gone is looked up again. Behind a proxy, the proxy
    does the lookup, and the address is not known.
    """
    if proxy_for(url) is None:
        with trio.move_on_after(SAME_ADDRESS_WITHIN_S), contextlib.suppress(OSError):
            return await open_stream(url, address)
    return await dial(url)


def peer_of(stream: trio.abc.Stream) -> str | None:
    """The IP address at the other end; None if it has none."""
    if isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    if not isinstance(stream, trio.SocketStream):
        return None
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return None


def unreachable(url: str, error: BaseException | None = None) -> ServiceError:
    """The error for a service that cannot be reached; a bad certificate or a refusing proxy is final."""
    obstacle = obstacle_to(url, error)
    kind = NoWayToService if obstacle.lasting else ServiceUnreachable
    fix = obstacle.fix or "check VOICE_AGENT_URL and the network"
    return kind(f"the Voice Agent API at {url} {obstacle.what}", fix)
