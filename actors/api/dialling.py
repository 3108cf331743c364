"""Byte streams to the Voice Agent API's host, and its names in requests and errors."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urlsplit

import trio

from channels.wire.failures import ServiceUnreachable

__all__ = ["Dialer", "dial", "dial_again", "host_header", "peer_of", "unreachable"]

Dialer: TypeAlias = Callable[[str], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the host of a ws:// or wss:// URL."""

SAME_ADDRESS_WITHIN_S = 3.0
"""How long the address of before is tried: the session waits 30 s, and any other may know it as well."""


async def dial(url: str) -> trio.abc.Stream:
    """Opens TCP, and TLS for wss://, to the host of a URL.

    Raises:
        OSError: nobody answers there, or the certificate is not to be trusted.
    """
    parts = urlsplit(url)
    return await _connect(url, parts.hostname or "")


async def dial_again(url: str, address: str) -> trio.abc.Stream:
    """As `dial`, to the very address that was reached before.

    The service's default name is resolved to the nearest region, and a region knows its own sessions only:
    whoever takes a session up asks where it was begun. An address that is gone is looked up anew.
    """
    with trio.move_on_after(SAME_ADDRESS_WITHIN_S), contextlib.suppress(OSError):
        return await _connect(url, address)
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


def host_header(url: str) -> str:
    """What a request calls the host of a URL."""
    parts = urlsplit(url)
    default_port = 443 if parts.scheme == "wss" else 80
    return parts.netloc.removesuffix(f":{default_port}")


def unreachable(url: str) -> ServiceUnreachable:
    """Nobody answers there."""
    return ServiceUnreachable(
        f"the Voice Agent API at {url} cannot be reached", "check VOICE_AGENT_URL and the network"
    )


async def _connect(url: str, address: str) -> trio.abc.Stream:
    parts = urlsplit(url)
    if parts.scheme != "wss":
        return await trio.open_tcp_stream(address, parts.port or 80)
    tcp = await trio.open_tcp_stream(address, parts.port or 443)
    stream = trio.SSLStream(
        tcp, ssl.create_default_context(), server_hostname=parts.hostname, https_compatible=True
    )
    try:
        await stream.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            raise OSError("the TLS handshake failed") from error
        raise
    return stream
