"""The health of a process over HTTP: `/livez`, `/readyz` and `/metrics`, for probes and for Prometheus.

In: requests of anybody who can reach the address. Out: a line of text, or the metrics. Nothing in it is
private: no name, no word, no key. `/livez` answers as long as the loop runs, which is all that a restart can
mend. `/readyz` answers 503 with the reason while no new call should come here.

The server is a bystander: bounded in everything (`channels.net.serving`), and nothing that goes wrong in it
reaches the calls.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from attrs import define, field
from structlog.typing import FilteringBoundLogger

from channels.errors import HealthUnavailable
from channels.net.proxies import is_loopback
from channels.net.serving import Request, Response, plain_response, serve_few, serve_http

__all__ = ["health_server"]

MOST_CONNECTIONS = 16
"""A server that scrapes keeps one, a probe opens one at a time, and a person looks in now and then. A client
that opens more pushes out its own, and no probe, which needs milliseconds."""

FRESH_S = 1.0
"""Whoever asks again within this time is told the same, which costs nothing."""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@asynccontextmanager
async def health_server(
    listen: str,
    log: FilteringBoundLogger,
    *,
    ready: Callable[[], str | None],
    exposition: Callable[[], bytes],
) -> AsyncIterator[str]:
    """Tells of the process for the time of the block, and yields the URL.

    Args:
        listen: ADDRESS:PORT, as the rule of `health.listen` reads it; port 0 has the system choose one.
        log: is told the address.
        ready: says why no new call should come here; None: it may come. It must not wait.
        exposition: gives the metrics; it is called in a thread.

    Raises:
        HealthUnavailable: the address cannot be listened at.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        (listener,) = await trio.open_tcp_listeners(int(port), host=host)
    except OSError as error:
        raise HealthUnavailable(
            f"health.listen: {listen} cannot be listened at ({error.strerror or error})",
            "choose another port or an address of this machine, or set it to off",
        ) from None
    own_port = listener.socket.getsockname()[1]
    url = f"http://{f'[{host}]' if ':' in host else host}:{own_port}"
    if is_loopback(host):
        log.info("health", url=url)
    else:
        log.warning("health", url=url, why="other machines that reach this address can read it, unencrypted")
    site = _Site(ready, exposition, log)
    async with listener, trio.open_nursery() as nursery:
        nursery.start_soon(site.listen, listener)
        yield url
        nursery.cancel_scope.cancel()


@define
class _Site:
    ready: Callable[[], str | None]
    exposition: Callable[[], bytes]
    log: FilteringBoundLogger
    _made: bytes = field(default=b"", init=False)
    _made_at: float = field(default=-math.inf, init=False)
    _making: trio.Lock = field(factory=trio.Lock, init=False)
    """However many ask, they are written once at a time, so that nobody takes the CPU from the calls."""

    async def listen(self, listener: trio.SocketListener) -> None:
        try:
            await serve_few(listener, self.serve, most=MOST_CONNECTIONS)
        except Exception as error:  # the wall between the server and the calls
            self.log.error("health_ended", why=type(error).__name__, exc_info=error)

    async def serve(self, stream: trio.SocketStream) -> None:
        try:
            await serve_http(stream, self._answer)
        except Exception as error:  # and between a connection and the others
            self.log.error("health_failed", why=type(error).__name__, exc_info=error)

    async def _answer(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            return _told(405, "only GET and HEAD", Allow="GET, HEAD")
        match request.target.partition("?")[0]:
            case "/livez":
                return _told(200, "alive")
            case "/readyz":
                why = self.ready()
                return _told(200, "ready") if why is None else _told(503, why)
            case "/metrics":
                return Response(
                    200, await self._metrics(), {"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"}
                )
            case _:
                return _told(404, "there are /livez, /readyz and /metrics")

    async def _metrics(self) -> bytes:
        async with self._making:
            if trio.current_time() - self._made_at >= FRESH_S:
                self._made = await trio.to_thread.run_sync(self.exposition)
                self._made_at = trio.current_time()
            return self._made


def _told(status: int, text: str, **headers: str) -> Response:
    return plain_response(status, text, **{"Cache-Control": "no-store"}, **headers)
