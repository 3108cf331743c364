"""HTTP by httpcore, over byte streams that `dialling` opened.

So requests and websockets share one route: the same proxy, the same certificates, and the same error
messages; in tests they run over memory, in virtual time. httpcore reads no environment variables, follows no
redirects (which would take a key elsewhere), decompresses nothing (so small answers stay small), and logs no
addresses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import attrs
import httpcore
import trio

from channels.net.proxies import is_secure

__all__ = ["LARGEST_ANSWER", "HttpAnswer", "ask", "asking", "host_header"]

LARGEST_ANSWER = 100_000
"""Bytes."""


@attrs.frozen
class HttpAnswer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    """By lower-case name; of several with one name, the last."""
    body: bytes = attrs.field(repr=False)


@asynccontextmanager
async def asking(
    stream: trio.abc.Stream, url: str, headers: Mapping[str, str], body: bytes | None = None
) -> AsyncIterator[httpcore.Response]:
    """Asks for a URL; with a body it is a POST. Gives the answer, whose `aiter_stream` reads its body.

    The head of the answer has at most 100 KB; how long it may take, and its body, are the caller's to bound.

    Args:
        stream: to the host of the URL, for this one request. It is closed at the end.
        url: http://, https://, ws:// or wss://.
        headers: beside `Host`, `Connection` and `Content-Length`.
        body: to be posted.

    Raises:
        OSError: what answers does not speak HTTP, or hung up; also while the body is being read.
    """
    url = _in_ascii(url)
    given = [("Host", host_header(url)), ("Connection", "close"), *headers.items()]
    method = "GET" if body is None else "POST"
    try:
        async with (
            stream,
            httpcore.AsyncHTTP11Connection(httpcore.URL(url).origin, _Carried(stream)) as connection,
            connection.stream(method, url, headers=given, content=body) as answer,
        ):
            yield answer
    except httpcore.NetworkError:
        raise OSError("it hung up") from None
    except httpcore.ProtocolError:
        # Not in the library's words: they quote what was received.
        raise OSError("it hung up, or does not speak HTTP") from None


async def ask(
    stream: trio.abc.Stream,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    largest: int = LARGEST_ANSWER,
) -> HttpAnswer:
    """Asks for a URL, as `asking`; gives the whole answer.

    Args:
        stream: as there, and so are `url`, `headers` and `body`.
        url: see `stream`.
        headers: see `stream`.
        body: see `stream`.
        largest: bytes that the answer's body may have.

    Raises:
        OSError: as there, or the answer has no end.
    """
    async with asking(stream, url, headers, body) as answer:
        got = bytearray()
        async for data in answer.aiter_stream():
            got += data
            if len(got) > largest:
                raise OSError("its answer does not end")
    told = {name.decode("ascii").lower(): value.decode("latin-1") for name, value in answer.headers}
    return HttpAnswer(answer.status, told, bytes(got))


def host_header(url: str) -> str:
    """What a request calls the host of a URL."""
    parts = urlsplit(url)
    return parts.netloc.removesuffix(":443" if is_secure(parts) else ":80")


def _in_ascii(url: str) -> str:
    if url.isascii():
        return url
    parts = urlsplit(url)
    host = parts.netloc.encode("idna").decode("ascii")
    return parts._replace(netloc=host, path=quote(parts.path, safe="/%")).geturl()


class _Carried(httpcore.AsyncNetworkStream):
    """A stream of Trio's, as httpcore wants it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return bytes(await self._stream.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            raise httpcore.ReadError from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self._stream.send_all(buffer)
        except trio.BrokenResourceError as error:
            raise httpcore.WriteError from error

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return None
