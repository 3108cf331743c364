"""Serves the page and what it needs to join: a small HTTP server on loopback, while a `with` block runs.

In: requests of a browser. Out: the files of `page/`, livekit-client's module, and, at `POST /join`, where
the room is with a fresh token. A browser that sends a key of its own is given the same identity each time, so
that the agent knows who comes back; others in the room see the identity, never the key. Files are read when
asked for, so that an edited page needs a reload and nothing else.

Whoever can ask `/join` is let into the room; it is therefore answered to our own page only. The server
listens on 127.0.0.1; the `Host` must be one of its own names, so that no foreign name made to point here
is served (DNS rebinding); and `/join` must come from our own origin. No CORS header is ever sent. The
page's policy (CSP) lets it load from here and connect to here and to LiveKit, nothing else.

Cancelled, it closes its port and all connections at once.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import trio

from channels.errors import PlaygroundFault, VoiceAgentError
from channels.net.serving import Request, Response, json_response, plain_response, serve_few, serve_http
from channels.secret import Secret
from playground.page_build.client import find_or_install

__all__ = ["DEFAULT_PORT", "Joining", "PageUnavailable", "page_server"]

DEFAULT_PORT = 8080
_PORTS_TRIED = 20
_HOST = "127.0.0.1"
_MAX_CONNECTIONS = 64
_PAGE = Path(__file__).parent / "page"
_CLIENT = "/livekit-client.esm.mjs"
_BROWSER_KEY = re.compile(r"[0-9a-f]{32}")
# No dot but before the ending: nothing hidden, nothing outside of the folder.
_FILE = re.compile(r"/((?:[a-z0-9_-]+/)*[a-z0-9_-]+\.[a-z0-9]+)")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class PageUnavailable(PlaygroundFault):
    """No port is free for the page."""


@attrs.frozen
class Joining:
    """What a browser needs to join the room."""

    url: str
    """Of the LiveKit server, ws:// or wss://."""
    token: Secret
    """For one identity and one room."""


@asynccontextmanager
async def page_server(
    *,
    port: int | None = None,
    join: Callable[[str], Joining],
    progress: Callable[[str], None] = lambda line: None,
    client: Path | None = None,
) -> AsyncIterator[str]:
    """Serves the page for the time of the block, and yields its URL.

    Args:
        port: to listen on; None takes 8080, or the next free one. 0 has the system choose one.
        join: is given a fresh identity and tells how it joins. It is asked once at the start, too: the
            page may connect to the server that is named then, and to no other.
        progress: is given a line when something is fetched, or when the port is another than usual.
        client: livekit-client's module; None finds it in the user's cache or fetches it there.

    Raises:
        ClientMissing: livekit-client is not there and cannot be fetched.
        PageUnavailable: the port, or all that were tried, are not free.
    """
    if client is None:
        client = await find_or_install(progress=progress)
    listener = await _listen(port, progress)
    own_port = listener.socket.getsockname()[1]
    livekit_url = join(_fresh_identity()).url
    site = _Site(
        hosts=frozenset({f"{_HOST}:{own_port}", f"localhost:{own_port}"}),
        page=_PAGE,
        client=client,
        join=join,
        policy=_policy(livekit_url),
    )
    async with listener, trio.open_nursery() as nursery:
        serve = functools.partial(serve_http, handle=site.answer)
        nursery.start_soon(functools.partial(serve_few, listener, serve, most=_MAX_CONNECTIONS))
        yield f"http://{_HOST}:{own_port}"
        nursery.cancel_scope.cancel()


async def _listen(port: int | None, progress: Callable[[str], None]) -> trio.SocketListener:
    tried = range(DEFAULT_PORT, DEFAULT_PORT + _PORTS_TRIED) if port is None else (port,)
    for number in tried:
        try:
            (listener,) = await trio.open_tcp_listeners(number, host=_HOST)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise PageUnavailable(
                    f"the page cannot be served at {_HOST}:{number} ({error})", "choose another port"
                ) from error
            continue
        if number != tried[0]:
            progress(f"port {tried[0]} is taken by another program, so the page is at port {number}")
        return listener
    told = f"port {tried[0]} is" if len(tried) == 1 else f"ports {tried[0]} to {tried[-1]} are"
    raise PageUnavailable(
        f"the page has no port: {told} taken by other programs", "stop one of them, or choose another port"
    )


@attrs.frozen
class _Site:
    """What is answered to whom."""

    hosts: frozenset[str]
    page: Path
    client: Path
    join: Callable[[str], Joining]
    policy: str

    async def answer(self, request: Request) -> Response:
        host = request.headers.get("host", "").lower()
        if host not in self.hosts:
            return _plain(421, "This server only answers to 127.0.0.1 and localhost.")
        path = request.target.partition("?")[0]
        if path == "/join":
            return self._answer_join(request, host)
        if request.method not in {"GET", "HEAD"}:
            return _plain(405, "Only GET and HEAD.", Allow="GET, HEAD")
        return await self._answer_file(request, path)

    def _answer_join(self, request: Request, host: str) -> Response:
        if request.method != "POST":
            return _plain(405, "Only POST.", Allow="POST")
        if request.headers.get("origin", "").lower() != f"http://{host}":
            return _plain(403, "Only the page itself may join.")
        identity = _identity_of(request.body) or _fresh_identity()
        try:
            joining = self.join(identity)
        except VoiceAgentError as error:
            return _json(503, {"what": error.what, "fix": error.fix})
        return _json(200, {"url": joining.url, "token": joining.token.reveal(), "identity": identity})

    async def _answer_file(self, request: Request, path: str) -> Response:
        file = self._file("/index.html" if path == "/" else path)
        if file is None:
            return _plain(404, "There is nothing here.")
        try:
            body = await trio.Path(file).read_bytes()
        except OSError:
            return _plain(404, "There is nothing here.")
        # The policy is part of it: a page that is kept from another run must not keep that run's policy.
        tag = f'"{hashlib.sha256(self.policy.encode() + body).hexdigest()[:16]}"'
        headers = {
            **_ALWAYS,
            "Content-Type": _TYPES.get(file.suffix, "text/javascript; charset=utf-8"),
            "Content-Security-Policy": self.policy,
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
            # Kept, and asked about each time.
            "Cache-Control": "no-cache",
            "ETag": tag,
        }
        if request.headers.get("if-none-match") == tag:
            return Response(304, headers=headers)
        return Response(200, body, headers)

    def _file(self, path: str) -> Path | None:
        if path == _CLIENT:
            return self.client
        if path == f"{_CLIENT}.map":
            return self.client.with_name(f"{self.client.name}.map")
        named = _FILE.fullmatch(path)
        if named is None or Path(named[1]).suffix not in _TYPES:
            return None
        return self.page / named[1]


def _identity_of(asked: bytes) -> str | None:
    """That of the browser whose key this is; None: it is no key."""
    key = asked.decode("ascii", "replace")
    if _BROWSER_KEY.fullmatch(key) is None:
        return None
    return f"person-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _fresh_identity() -> str:
    return f"person-{secrets.token_hex(4)}"


def _policy(livekit_url: str) -> str:
    """The page's CSP: everything from here, and LiveKit."""
    livekit = urlsplit(livekit_url)
    places = [livekit.netloc]
    # LiveKit Cloud sends a client on to a server near it.
    if (livekit.hostname or "").endswith(".livekit.cloud"):
        places.append("*.livekit.cloud")
    websocket, http = ("wss", "https") if livekit.scheme in {"wss", "https"} else ("ws", "http")
    connect = " ".join(f"{scheme}://{place}" for place in places for scheme in (websocket, http))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self' {connect}; media-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _plain(status: int, text: str, **headers: str) -> Response:
    return plain_response(status, text, **_ALWAYS, **{"Cache-Control": "no-store"}, **headers)


def _json(status: int, content: dict[str, str]) -> Response:
    return json_response(status, content, **_ALWAYS, **{"Cache-Control": "no-store"})
