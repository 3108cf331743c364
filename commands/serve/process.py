"""The process around a room: the log, the recorder, Ctrl-C, and the exit code."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import trio
from structlog.typing import FilteringBoundLogger

from actors.log import EventLog
from actors.record import recording
from actors.room.livekit_edge import LiveKitEdge, livekit_edge
from channels.errors import VoiceAgentError, reason_of
from channels.happenings import Taps
from channels.printable import complain
from channels.settings import Settings
from commands.serve.held import LoopWatch
from commands.serve.room import BYSTANDERS_LEAVE_WITHIN_S, Wired, serve_room
from commands.services import Preparation

__all__ = ["serve"]


async def serve(
    prepare: Preparation,
    log: FilteringBoundLogger,
    wire: Callable[[Settings, LiveKitEdge, Taps], Wired],
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
        async with trio.open_nursery() as bystanders:
            taps, to_the_log = Taps(), Taps()
            # The log hears also what happens after the room's own taps were closed.
            taps.overhear(to_the_log.publish)
            watch = LoopWatch(taps.publish)
            trio.lowlevel.add_instrument(watch)
            bystanders.start_soon(_keep_log, EventLog(to_the_log.tap("log"), log, log_speech))
            try:
                with stopping:
                    async with (
                        prepare() as settings,
                        livekit_edge(queue_size_ms=settings.speaker.queue_size_ms) as edge,
                        recording(record, settings, taps, with_sound=record_audio) as ear,
                    ):
                        wired = wire(settings, edge, taps)
                        if ear is not None:
                            ear.listen(*wired.channels.recorded(with_sound=record_audio))
                        await serve_room(wired, taps)
            except (VoiceAgentError, BaseExceptionGroup) as error:
                failure = reason_of(error)
                if failure is None:
                    raise
            finally:
                with contextlib.suppress(KeyError):  # Trio itself removes one that failed
                    trio.lowlevel.remove_instrument(watch)
                to_the_log.close()
                bystanders.cancel_scope.deadline = trio.current_time() + BYSTANDERS_LEAVE_WITHIN_S
        signals.cancel_scope.cancel()
    if failure is not None:
        log.error("ended", why=failure.what, mend=failure.mend)
        return 1
    log.info("left")
    return 0


async def _keep_log(event_log: EventLog) -> None:
    """The log only watches: it must never touch the conversation, whatever is wrong with it."""
    try:
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
