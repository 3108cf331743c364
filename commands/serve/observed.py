"""What one can see of a process with rooms: metrics, health, traces. What nobody wants is not loaded."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import trio
from structlog.typing import FilteringBoundLogger

from channels.errors import HealthUnavailable, SettingsError
from channels.settings.health import WORKER_LISTEN, HealthSettings
from commands.serve.health import health_server
from commands.serve.held import LoopWatch

if TYPE_CHECKING:
    from actors.metrics.process import Metrics
    from actors.traces.exporting import Traces

__all__ = ["UNOBSERVED", "Counts", "Observed", "all_shown", "observe"]


_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Of prometheus-client, which is not to be loaded for it."""


@attrs.frozen
class Observed:
    """How a process is seen from outside. `runner.wire` takes the metrics and the traces."""

    listen: str = ""
    """Where health and metrics are told; "": nowhere."""
    metrics: Metrics | None = None
    traces: Traces | None = None
    must_listen: bool = True
    """Whether it is an error if the address cannot be listened at."""

    @asynccontextmanager
    async def shown(
        self,
        log: FilteringBoundLogger,
        watch: LoopWatch | None = None,
        ready: Callable[[], str | None] | None = None,
    ) -> AsyncIterator[None]:
        """Shows it for the time of the block.

        Args:
            log: is told the address.
            watch: knows what holds up this thread's loop.
            ready: as for `health_server`; None: ready as soon as a room is connected.

        Raises:
            HealthUnavailable: the address cannot be listened at, and `must_listen`.
        """
        async with AsyncExitStack() as stack:
            if self.traces is not None:
                await stack.enter_async_context(self.traces.sending())
            if self.metrics is not None:
                await stack.enter_async_context(self._measured(self.metrics, log, watch, ready))
            yield

    @asynccontextmanager
    async def _measured(
        self,
        metrics: Metrics,
        log: FilteringBoundLogger,
        watch: LoopWatch | None,
        ready: Callable[[], str | None] | None,
    ) -> AsyncIterator[None]:
        from actors.metrics.exposition import exposition

        def connected() -> str | None:
            return None if metrics.rooms_connected else "no room is connected"

        async with AsyncExitStack() as stack:
            if self.listen:
                asked = connected if ready is None else ready
                told = functools.partial(exposition, metrics.series)
                server = health_server(self.listen, log, ready=asked, exposition=told)
                await _enter(stack, server, log, must=self.must_listen)
            if watch is not None:
                stack.enter_context(watch.telling(metrics.loop_held))
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(_sample, metrics, log)
            yield
            nursery.cancel_scope.cancel()


UNOBSERVED = Observed()


def observe(
    settings: HealthSettings,
    log: FilteringBoundLogger,
    environ: Mapping[str, str] = os.environ,
    *,
    is_worker: bool = False,
    has_parent: bool = False,
) -> Observed:
    """Gets ready what was asked for.

    Args:
        settings: where to tell of health and metrics.
        log: is told when traces are not sent.
        environ: says whether to send traces, in OpenTelemetry's own variables.
        is_worker: to tell them at the usual place if nothing is said, unless another worker does.
        has_parent: to tell nothing, and to count if the parent of several processes tells of it.

    Raises:
        SettingsError: traces are wanted and cannot be sent, or the folder for the metrics of several
            processes is not there.
    """
    listen = "" if has_parent else _listen(settings, is_worker=is_worker)
    counted = None
    folder = environ.get(_FOLDER, "").strip()
    if listen or (has_parent and folder):
        if _FOLDER in environ and not (folder and Path(folder).is_dir()):
            raise SettingsError(
                f"{_FOLDER} names no folder", "a worker sets it for its own processes: unset it"
            )
        from actors.metrics.process import Metrics

        counted = Metrics()
    return Observed(listen, counted, _traces(environ, log), must_listen=settings.listen is not None)


@attrs.frozen
class Counts:
    """Where several processes count."""

    folder: Path | None = None
    """None: nobody wants to know."""

    @property
    def environ(self) -> Mapping[str, str]:
        """For each of the processes."""
        return {} if self.folder is None else {_FOLDER: str(self.folder)}

    def forget(self, pid: int) -> None:
        """A process has ended."""
        if self.folder is not None:
            from actors.metrics.exposition import forget_process

            forget_process(pid, self.folder)


@asynccontextmanager
async def all_shown(
    settings: HealthSettings, log: FilteringBoundLogger, ready: Callable[[], str | None]
) -> AsyncIterator[Counts]:
    """Shows the processes of a worker as one, for the time of the block.

    Args:
        settings: where to tell of health and metrics; if nothing is said, at the usual place of a worker.
        log: is told the address.
        ready: as for `health_server`.

    Raises:
        HealthUnavailable: the address was asked for, and cannot be listened at.
    """
    listen = _listen(settings, is_worker=True)
    if not listen:
        yield Counts()
        return
    from actors.metrics.exposition import exposition_of_all

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="voice-agent-metrics-")))
        told = functools.partial(exposition_of_all, folder)
        server = health_server(listen, log, ready=ready, exposition=told)
        await _enter(stack, server, log, must=settings.listen is not None)
        yield Counts(folder)


async def _enter(
    stack: AsyncExitStack, server: AbstractAsyncContextManager[str], log: FilteringBoundLogger, *, must: bool
) -> None:
    try:
        await stack.enter_async_context(server)
    except HealthUnavailable as unavailable:
        if must:
            raise
        log.warning("health_unavailable", why=unavailable.what, fix=unavailable.fix)


def _listen(settings: HealthSettings, *, is_worker: bool) -> str:
    if settings.listen is None:
        return WORKER_LISTEN if is_worker else ""
    return settings.listen


def _traces(environ: Mapping[str, str], log: FilteringBoundLogger) -> Traces | None:
    variables = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    wanted = [name for name in variables if environ.get(name, "").strip()]
    off = (
        environ.get("OTEL_SDK_DISABLED", "").strip().lower(),
        environ.get("OTEL_TRACES_EXPORTER", "").strip(),
    )
    if not wanted or off[0] == "true" or off[1] == "none":
        return None
    try:
        from actors.traces.exporting import open_traces
    except ModuleNotFoundError as missing:
        raise SettingsError(
            f"{wanted[0]} is set, and a package that sends traces is missing ({missing.name})",
            f"run `make traces`, or unset {wanted[0]}",
        ) from None
    return open_traces(environ, log)


async def _sample(metrics: Metrics, log: FilteringBoundLogger) -> None:
    """The metrics are a bystander: they must never affect the calls, whatever is wrong with them."""
    try:
        await metrics.run()
    except Exception as error:
        log.error("metrics_ended", why=f"{type(error).__name__}: {error}", exc_info=error)
