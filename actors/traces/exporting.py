"""Sends traces as OpenTelemetry's own variables say, from a thread of OpenTelemetry's.

`send` puts spans into a bounded queue (`OTEL_BSP_MAX_QUEUE_SIZE`, 2048; what does not fit is dropped), and
never waits. The thread posts them in batches over HTTP, each with a deadline (`OTEL_EXPORTER_OTLP_TIMEOUT`,
10 s). It takes the same proxy and the same certificates as a call, and follows no redirects, which would take
the headers elsewhere.

OpenTelemetry's own log lines quote addresses, and headers that it cannot read: they are never shown. One line
a minute at most says that traces are not sent, and the status that the collector answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import requests
import trio
from attrs import define, field
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from structlog.typing import FilteringBoundLogger

from actors.traces.turns import Span
from channels.errors import SettingsError
from channels.net.proxies import is_loopback, proxy_for

__all__ = ["Traces", "open_traces"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
CERTIFICATES = (
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "SSL_CERT_FILE",
)
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

LAST_BATCH_S = 2.0
"""Time to send what is left, once all calls are over."""

TOLD_EVERY_S = 60.0


def open_traces(environ: Mapping[str, str], log: FilteringBoundLogger) -> Traces:
    """Begins to send traces.

    Args:
        environ: has OpenTelemetry's variables, which its packages read from the process's own environment.
        log: is told when traces are not sent.

    Raises:
        SettingsError: a variable has a value with which they cannot be sent, that of the proxy included.
    """
    endpoint, variable = _first(environ, ENDPOINTS)
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise SettingsError(f"{variable} is not an http:// or https:// address", "e.g. http://localhost:4318")
    protocol, of_protocol = _first(environ, PROTOCOLS)
    if protocol not in ("", "http/protobuf"):
        raise SettingsError(
            f"{of_protocol} names a protocol that is not spoken here",
            "set it to http/protobuf, or leave it out",
        )
    headers, of_headers = _first(environ, HEADERS)
    if headers and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        log.warning("traces_unencrypted", why=f"{of_headers} goes to another machine over http://")
    _hush(log)
    session = _session(endpoint, environ)
    certificates, _ = _first(environ, CERTIFICATES)
    try:
        exporter = OTLPSpanExporter(session=session, certificate_file=certificates or None)
        # Its end is ours to bound.
        provider = TracerProvider(
            resource=Resource.create({"service.name": environ.get("OTEL_SERVICE_NAME") or "voice-agent"}),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except Exception as error:
        # Not in the library's words: they quote what is written there.
        raise SettingsError(
            f"traces cannot be sent with these OTEL_… variables ({type(error).__name__})",
            "compare them with the specification's (OTEL_EXPORTER_OTLP_…, OTEL_BSP_…), or unset them",
        ) from None
    log.info("traces", host=parts.hostname)
    return Traces(provider)


@define(eq=False)
class Traces:
    """Sends turns of all rooms of a process."""

    _provider: TracerProvider
    _tracer: trace.Tracer = field(init=False)

    @_tracer.default
    def _(self) -> trace.Tracer:
        return self._provider.get_tracer("voice-agent")

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Sends what is left at the end of the block, within a deadline."""
        try:
            yield
        finally:
            with trio.move_on_after(LAST_BATCH_S, shield=True):
                await trio.to_thread.run_sync(self._provider.shutdown, abandon_on_cancel=True)

    def send(self, turn: Span, room_name: str, now: float) -> None:
        """Hands a turn to the thread. Never waits.

        Args:
            turn: a tree of spans.
            room_name: where it happened.
            now: seconds on Trio's clock, from which the time of day follows.
        """
        self._send(turn, Context(), time.time_ns() - round(now * 1e9), {"voice_agent.room": room_name})

    def _send(self, span: Span, context: Context, offset_ns: int, more: Mapping[str, str]) -> None:
        def wall(at: float) -> int:
            return offset_ns + round(at * 1e9)

        sent = self._tracer.start_span(
            span.name, context, attributes={**span.attributes, **more}, start_time=wall(span.began)
        )
        for event in span.events:
            sent.add_event(event.name, timestamp=wall(event.at))
        if span.failed:
            sent.set_status(trace.StatusCode.ERROR)
        within = trace.set_span_in_context(sent, context)
        for child in span.children:
            self._send(child, within, offset_ns, {})
        sent.end(wall(span.ended))


class _Hushed(logging.Handler):
    """In place of OpenTelemetry's lines: that traces are not sent."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._log = log
        self._told_at = -TOLD_EVERY_S

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._told_at < TOLD_EVERY_S:
            return
        self._told_at = now
        quoted = record.args if isinstance(record.args, tuple) else ()
        status = [each for each in quoted if isinstance(each, int)]
        self._log.warning(
            "traces_not_sent",
            why=f"the collector answered {status[0]}" if status else "the collector cannot be reached",
            fix="check OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_HEADERS, or unset the endpoint",
        )


def _session(endpoint: str, environ: Mapping[str, str]) -> requests.Session:
    """Takes the routes of all other traffic, and nothing else from the environment: no `.netrc`, say."""
    session = requests.Session()
    session.max_redirects = 0
    session.trust_env = False
    proxy = proxy_for(endpoint, environ)
    if proxy is not None:
        session.proxies = {"http": proxy.url.reveal(), "https": proxy.url.reveal()}
    return session


def _hush(log: FilteringBoundLogger) -> None:
    theirs = logging.getLogger("opentelemetry")
    theirs.propagate = False
    theirs.handlers = [_Hushed(log)]


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """The value that counts, and the name of its variable."""
    return next(
        ((value, name) for name in names if (value := environ.get(name, "").strip())), ("", names[-1])
    )
