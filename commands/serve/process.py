"""The process around a room: the log, the recorder, Ctrl-C, and the exit code."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import trio
from structlog.typing import FilteringBoundLogger

from actors.log import EventLog
from actors.record import recording
from actors.room.livekit_edge import LiveKitEdge, livekit_edge
from channels.errors import VoiceAgentError, reason_of
from channels.printable import complain
from channels.settings import Settings
from channels.taps import Taps
from commands.serve.held import LoopWatch
from commands.serve.room import BYSTANDERS_LEAVE_WITHIN_S, serve_room
from commands.services import Preparation
from commands.wired import Wired

__all__ = ["serve"]


async def serve(
    prepare: Preparation,
    log: FilteringBoundLogger,
    wire: Callable[[Settings, LiveKitEdge], Wired],
    record: Path | None = None,
    record_audio: bool = False,
    log_speech: bool = False,
) -> int:
    """Serves until a signal comes or the room cannot be served any more; gives the exit code.

    Args:
        prepare: brings up what the settings speak of.
        log: is told what happens.
        wire: makes the actors of the room.
        record: where all that happens is written down.
        record_audio: whether both voices are, too.
        log_speech: whether the log has what is said.
    """
    failure: VoiceAgentError | None = None
    async with trio.open_nursery() as signals:
        stopping = trio.CancelScope()
        signals.start_soon(_cancel_on_signal, stopping)
        try:
            with stopping:
                async with (
                    prepare() as settings,
                    livekit_edge(queue_size_ms=settings.speaker.queue_size_ms) as edge,
                ):
                    graph = wire(settings, edge)
                    recorded = graph.channels.recorded(with_sound=record_audio)
                    async with (
                        _logged(graph.taps, log, speech=log_speech),
                        recording(
                            record, settings, recorded, graph.taps, graph.seen, with_sound=record_audio
                        ),
                    ):
                        await serve_room(graph)
        except (VoiceAgentError, BaseExceptionGroup) as error:
            failure = reason_of(error)
            if failure is None:
                raise
        signals.cancel_scope.cancel()
    if failure is not None:
        log.error("ended", why=failure.what, fix=failure.fix)
        return 1
    log.info("left")
    return 0


@contextlib.asynccontextmanager
async def _logged(taps: Taps, log: FilteringBoundLogger, *, speech: bool) -> AsyncIterator[None]:
    """Logs what happens, who holds up the loop among it, until the last of all has ended."""
    event_log = EventLog(taps.tap("log", to_the_end=True), log, speech)
    watch = LoopWatch(taps.publish)
    alive = trio.CancelScope(shield=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep_log, event_log, alive)
        trio.lowlevel.add_instrument(watch)
        try:
            yield
        finally:
            with contextlib.suppress(KeyError):  # Trio itself removes one that failed
                trio.lowlevel.remove_instrument(watch)
            taps.end()
            alive.deadline = trio.current_time() + BYSTANDERS_LEAVE_WITHIN_S


async def _keep_log(event_log: EventLog, alive: trio.CancelScope) -> None:
    """The log only watches: it must never touch the conversation, whatever is wrong with it."""
    try:
        with alive:
            await event_log.run()
    except Exception as error:
        complain(f"the log ended ({type(error).__name__}: {error}); the call goes on")


async def _cancel_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(*_endings()) as signals:
        async for _ in signals:
            scope.cancel()


def _endings() -> list[signal.Signals]:
    endings = [signal.SIGINT, signal.SIGTERM]
    # What a closed terminal sends: Windows does not know it, and `nohup` has it ignored.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        endings.append(signal.SIGHUP)
    return endings
