"""One request and its whole answer, over a stream that is open already."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

import attrs
import h11
import trio

from channels.net.proxies import is_secure

__all__ = ["Answer", "ask", "host_header"]

_LARGEST_ANSWER = 100_000
"""Bytes."""


@attrs.frozen
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    """By lower-case name; of several with one name, the last."""
    body: bytes = attrs.field(repr=False)


async def ask(
    stream: trio.abc.Stream,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    largest: int = _LARGEST_ANSWER,
) -> Answer:
    """Asks for a URL; with a body it is a POST. Answers are taken as they come: no redirect is followed.

    Args:
        stream: to the host of the URL, for this one request.
        url: of which the path and the query are asked for.
        headers: beside `Host`, `Connection` and `Content-Length`.
        body: to be posted.
        largest: bytes that the answer may have.

    Raises:
        OSError: what answers does not speak HTTP, hung up, or has no end.
    """
    parts = urlsplit(url)
    http = h11.Connection(h11.CLIENT)
    request = h11.Request(
        method="GET" if body is None else "POST",
        target=_target(parts),
        headers=[
            ("Host", host_header(url)),
            ("Connection", "close"),
            *headers.items(),
            *([] if body is None else [("Content-Length", str(len(body)))]),
        ],
    )
    events: list[h11.Request | h11.Data | h11.EndOfMessage] = [
        request,
        h11.Data(body or b""),
        h11.EndOfMessage(),
    ]
    status, got, answered = 0, bytearray(), dict[str, str]()
    try:
        await stream.send_all(b"".join(http.send(event) or b"" for event in events))
        while True:
            match http.next_event():
                case h11.NEED_DATA:
                    http.receive_data(bytes(await stream.receive_some(16 * 2**10)))
                case h11.Response(status_code=code, headers=given):
                    status = code
                    answered = {name.decode("ascii"): value.decode("latin-1") for name, value in given}
                case h11.Data(data=data):
                    got += data
                    if len(got) > largest:
                        raise OSError("its answer has no end")
                case h11.EndOfMessage():
                    return Answer(status, answered, bytes(got))
                case h11.ConnectionClosed():
                    raise OSError("it hung up")
                case _:
                    pass
    except trio.BrokenResourceError:
        raise OSError("it hung up") from None
    except h11.ProtocolError:
        raise OSError("what answers does not speak HTTP") from None


def host_header(url: str) -> str:
    """What a request calls the host of a URL."""
    parts = urlsplit(url)
    return parts.netloc.removesuffix(":443" if is_secure(parts) else ":80")


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
