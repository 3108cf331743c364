"""Who may stand between a client and its server: a proxy that opens tunnels, and a CA that nobody knows."""

from __future__ import annotations

import functools
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from channels.net.serving import Request, Response, Upgrade, serve_http

__all__ = ["ConnectProxy", "PrivateCA", "connect_proxy", "private_ca", "relay", "serving_tls"]


@attrs.define
class ConnectProxy:
    """An HTTP proxy on loopback that knows every name: it takes all of them to this machine."""

    status: int = 200
    asked: list[tuple[str, str | None]] = attrs.field(factory=list)
    """The targets of the tunnels, each with its `Proxy-Authorization`."""
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        await serve_http(stream, self._answer)

    async def _answer(self, request: Request) -> Response | Upgrade:
        if request.method != "CONNECT":
            return Response(407)
        self.asked.append((request.target, request.headers.get("proxy-authorization")))
        if self.status != 200:
            return Response(self.status)
        return functools.partial(self._tunnel, int(request.target.rpartition(":")[2]))

    async def _tunnel(self, port: int, stream: trio.abc.Stream, _: bytes) -> None:
        await stream.send_all(b"HTTP/1.1 200 Said\r\n\r\n")
        await relay(stream, port)


async def relay(stream: trio.abc.Stream, port: int) -> None:
    """All bytes to a port of this machine, and back, until one of the two has enough."""

    async def carry(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
        try:
            while data := await source.receive_some(65536):
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()

    server = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, server, trio.open_nursery() as nursery:
        nursery.start_soon(carry, stream, server)
        nursery.start_soon(carry, server, stream)


@asynccontextmanager
async def connect_proxy(status: int = 200) -> AsyncIterator[ConnectProxy]:
    """A proxy for the time of the block."""
    proxy = ConnectProxy(status)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, proxy.serve, [listener])
        yield proxy
        nursery.cancel_scope.cancel()


@attrs.frozen
class PrivateCA:
    """A CA, and a certificate of it for agents.test and this machine."""

    file: Path
    server: Path
    key: Path


def private_ca(folder: Path) -> PrivateCA:
    """Makes one; skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is needed to make certificates")
    ca = PrivateCA(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=DNS:agents.test,DNS:localhost,IP:127.0.0.1\n")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    ca_key, request = folder / "ca.key", folder / "server.csr"
    signed_by = ("-CA", ca.file, "-CAkey", ca_key, "-CAcreateserial", "-extfile", extensions)
    for arguments in (
        ("req", "-x509", *curve, "-keyout", ca_key, "-out", ca.file, "-subj", "/CN=Private", "-days", "2"),
        ("req", *curve, "-keyout", ca.key, "-out", request, "-subj", "/CN=agents.test"),
        ("x509", "-req", "-in", request, *signed_by, "-days", "2", "-out", ca.server),
    ):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
    return ca


@asynccontextmanager
async def serving_tls(
    ca: PrivateCA, serve: Callable[[trio.abc.Stream], Awaitable[None]]
) -> AsyncIterator[tuple[int, list[str]]]:
    """Serves behind the CA's certificate; gives the port, and what became of each connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca.server, ca.key)
    met: list[str] = []

    async def shake_hands(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await secure.do_handshake()
        except trio.BrokenResourceError:
            met.append("refused")
            return
        met.append("trusted")
        await serve(secure)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, shake_hands, [listener])
        yield listener.socket.getsockname()[1], met
        nursery.cancel_scope.cancel()
