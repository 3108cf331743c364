"""The process around the rooms: signals, the loop's watch, and the exit code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Sequence

import trio
from structlog.typing import FilteringBoundLogger

from channels.errors import VoiceAgentError, reason_of
from channels.settings import Accounts
from commands.serve.held import LoopWatch
from commands.serve.room import RoomEnded
from commands.services import Preparation

__all__ = ["serve"]


async def serve(
    prepare: Preparation,
    log: FilteringBoundLogger,
    run: Callable[[Accounts, LoopWatch], Awaitable[Sequence[RoomEnded]]],
    *,
    draining: trio.Event | None = None,
) -> int:
    """Serves until a signal comes or no room can be served any more; returns the exit code.

    Args:
        prepare: starts the services.
        log: is told what happens.
        run: serves rooms with these accounts; gives how each ended.
        draining: set by the first signal, so that conversations can end by themselves; only a second one ends
            them. None: the first one does.
    """
    failed = False
    async with trio.open_nursery() as signals:
        stopping = trio.CancelScope()
        signals.start_soon(_end_on_signal, stopping, draining)
        try:
            with stopping:
                async with prepare() as accounts:
                    with LoopWatch().watching() as watch:
                        ended = await run(accounts, watch)
                failed = any(room.failure is not None for room in ended)
        except (VoiceAgentError, BaseExceptionGroup) as error:
            reason = reason_of(error)
            if reason is None:
                raise
            log.error("ended", why=reason.what, fix=reason.fix)
            failed = True
        signals.cancel_scope.cancel()
    return 1 if failed else 0


async def _end_on_signal(scope: trio.CancelScope, draining: trio.Event | None) -> None:
    with trio.open_signal_receiver(*_endings()) as signals:
        async for _ in signals:
            if draining is None or draining.is_set():
                scope.cancel()
            else:
                draining.set()


def _endings() -> list[signal.Signals]:
    endings = [signal.SIGINT, signal.SIGTERM]
    # What a closed terminal sends: Windows does not know it, and `nohup` has it ignored.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        endings.append(signal.SIGHUP)
    return endings
