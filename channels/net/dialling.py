"""Byte streams to servers: TCP, through a proxy where there is one, and TLS.

Python trusts the machine's certificates, or those of `SSL_CERT_FILE` if that is set; so does LiveKit's SDK.
`obstacle_to` explains why a stream could not be opened, naming the proxy (host and port only) or the
certificate.
"""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import attrs
import h11
import trio

from channels.net.proxies import Proxy, is_secure, port_of, proxy_for

__all__ = ["Dialer", "Obstacle", "ProxyRefused", "fix_for_certificates", "obstacle_to", "open_stream"]

Dialer: TypeAlias = Callable[[str], Awaitable[trio.abc.Stream]]
"""Opens a byte stream to the host of a URL, as `open_stream`."""

_LARGEST_HEAD = 16 * 2**10
"""Bytes of a proxy's answer."""


class ProxyRefused(OSError):
    """The proxy answered, and opened no tunnel."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it answered HTTP {status}")
        self.status = status


@attrs.frozen
class Obstacle:
    """Why a server cannot be reached."""

    what: str
    """As the end of a sentence about the server, e.g. `cannot be reached`."""
    fix: str | None
    """None: nothing better to suggest than checking the address."""
    lasting: bool = False
    """Whether trying again is of no use."""


async def open_stream(url: str, address: str | None = None) -> trio.abc.Stream:
    """Opens TCP, and TLS for wss:// and https://, to the host of a URL, through its proxy if it has one.

    Args:
        url: ws://, wss://, http:// or https://.
        address: the host's, if it is known; not asked where there is a proxy.

    Raises:
        OSError: nobody answers there; `ssl.SSLCertVerificationError`: the certificate is not to be trusted;
            `ProxyRefused`: the proxy opens no tunnel.
        SettingsError: the proxy variable is not the address of a proxy.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", port_of(parts)
    proxy = proxy_for(url)
    if proxy is None:
        stream: trio.abc.Stream = await trio.open_tcp_stream(address or host, port)
    else:
        stream = await trio.open_tcp_stream(proxy.host, proxy.port)
    try:
        if proxy is not None:
            await _tunnel(stream, proxy, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        if is_secure(parts):
            trusted = _trusted(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
            stream = trio.SSLStream(stream, trusted, server_hostname=host, https_compatible=True)
            await stream.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(stream)
        if isinstance(error, trio.BrokenResourceError):
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise error.__cause__ from None
            raise OSError("the TLS handshake failed" if is_secure(parts) else "it hung up") from error
        raise
    return stream


async def _tunnel(stream: trio.abc.Stream, proxy: Proxy, target: str) -> None:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
    headers = [("Host", target)]
    if proxy.authorization is not None:
        headers.append(("Proxy-Authorization", proxy.authorization.reveal()))
    asked = (http.send(h11.Request(method="CONNECT", target=target, headers=headers)) or b"") + (
        http.send(h11.EndOfMessage()) or b""
    )
    try:
        await stream.send_all(asked)
        while not isinstance(event := http.next_event(), h11.Response):
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(_LARGEST_HEAD)))
            elif isinstance(event, h11.ConnectionClosed):
                raise OSError("it hung up")
    except (h11.ProtocolError, trio.BrokenResourceError):
        raise OSError("it hung up, or is not an HTTP proxy") from None
    if not 200 <= event.status_code < 300:
        raise ProxyRefused(event.status_code)
    if http.trailing_data[0]:
        raise OSError("it sent data nobody asked for")


def obstacle_to(url: str, error: BaseException | None) -> Obstacle:
    """What to say of an error of `open_stream`, without secrets; None: nobody answered in time."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Obstacle(
            f"has a certificate that is not trusted ({error.verify_message})",
            fix_for_certificates(),
            lasting=True,
        )
    proxy = proxy_for(url)
    why = "" if not isinstance(error, OSError) else f" ({_reason(error)})"
    if proxy is None:
        return Obstacle(f"cannot be reached{why}", None)
    what = f"cannot be reached through the proxy {proxy} of {proxy.variable}{why}"
    if isinstance(error, ProxyRefused):
        fix = f"make sure the proxy lets this host through, or list {urlsplit(url).hostname} in NO_PROXY"
        if error.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            fix = f"put the user and password into {proxy.variable}, as http://USER:PASSWORD@HOST:PORT"
        return Obstacle(what, fix, lasting=400 <= error.status < 500)
    return Obstacle(what, f"check {proxy.variable}, or list {urlsplit(url).hostname} in NO_PROXY")


def _reason(error: OSError) -> str:
    # Trio's own error only says that all addresses were tried; its cause says why they failed.
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    if error.errno is None and isinstance(cause, OSError):
        error = cause
    by_number = bool(error.errno and error.errno > 0) and not isinstance(error, ssl.SSLError)
    return os.strerror(error.errno or 0) if by_number else error.strerror or str(error)


@functools.cache
def _trusted(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Made once: it reads all the certificates that the machine trusts, which takes some 17 ms.

    OpenSSL itself looks up the environment; it is made anew when that names another file or folder.
    """
    return ssl.create_default_context()


def fix_for_certificates() -> str:
    """What to do about a certificate that is not trusted."""
    file = os.environ.get("SSL_CERT_FILE", "")
    if not file:
        return "if it comes from your own CA, set SSL_CERT_FILE to the CA's certificate file (PEM)"
    if not Path(file).is_file():
        return f"SSL_CERT_FILE is {file}, which is not a file; set it to your CA's certificate file (PEM)"
    return f"SSL_CERT_FILE is {file}: it must contain the CA that signed this server's certificate"
