"""Keeps rooms running: one or many, each independent, and restarted where the table says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import attrs
import trio
from structlog.typing import FilteringBoundLogger

from channels.backoff import Backoff
from channels.errors import ActorFailed, EdgeFault, VoiceAgentError, parted
from commands.serve.held import LoopWatch
from commands.serve.room import RoomEnded, RoomSpec, run_room

__all__ = ["AGAIN", "Again", "supervise"]


@attrs.frozen
class Again:
    """How often a room is restarted."""

    most: int
    within_s: float


_THRICE = Again(3, 600)

AGAIN: Sequence[tuple[type[Exception], Again | None]] = (
    # What a fresh start has put right before, in LiveKit's SDK.
    (EdgeFault, _THRICE),
    # Its author says that the call cannot go on without it; a new call may have it again.
    (ActorFailed, _THRICE),
    # Everything else that a person is told. The actors have tried again themselves for as long as there was
    # hope (`actors.room`, `actors.api`); the same answer would come.
    (VoiceAgentError, None),
    # A bug in the program. People in the room hear the agent come back.
    (Exception, _THRICE),
)
"""What ended a room, and whether it is restarted; the first row that fits counts."""

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0


async def supervise(
    rooms: Sequence[RoomSpec],
    log: FilteringBoundLogger,
    *,
    watch: LoopWatch | None = None,
    random: Random | None = None,
    run: Callable[..., Awaitable[RoomEnded]] = run_room,
) -> list[RoomEnded]:
    """Serves rooms, each until it is left or not restarted; none is affected by another.

    Args:
        rooms: those to serve.
        log: is told, with the room's name on each line.
        watch: knows what holds up this thread's loop.
        random: for jitter.
        run: runs one room.

    Returns:
        How each ended at last, in the order in which they did.
    """
    ended: list[RoomEnded] = []

    async def keep(spec: RoomSpec) -> None:
        ended.append(await _keep(spec, log.bind(room=spec.room_name), watch, random or Random(), run))

    async with trio.open_nursery() as nursery:
        for spec in rooms:
            nursery.start_soon(keep, spec, name=f"room {spec.room_name}")
    return ended


async def _keep(
    spec: RoomSpec,
    log: FilteringBoundLogger,
    watch: LoopWatch | None,
    random: Random,
    run: Callable[..., Awaitable[RoomEnded]],
) -> RoomEnded:
    backoff = Backoff(random, float("inf"), _FIRST_WAIT_S, _LONGEST_WAIT_S)
    begun_again: deque[float] = deque()
    attempt = 1
    while True:
        try:
            ended = await run(spec, log, attempt=attempt, watch=watch)
        except BaseException as raised:
            if parted(raised)[1] is None:
                log.info("left")
            raise
        if ended.failure is None:
            log.info("left")
            return ended
        now = trio.current_time()
        again = next((again for kind, again in AGAIN if isinstance(ended.failure, kind)), None)
        while again and begun_again and begun_again[0] < now - again.within_s:
            begun_again.popleft()
            backoff.well()
        wait_s = backoff.next_s(now) if again and len(begun_again) < again.most else None
        _tell(log, ended.failure, wait_s)
        if wait_s is None:
            return ended
        begun_again.append(now)
        attempt += 1
        await trio.sleep(wait_s)
        if spec.is_wanted is not None and not await spec.is_wanted():
            log.info("left", why="nobody wants it any more")
            return ended


def _tell(log: FilteringBoundLogger, failure: Exception, wait_s: float | None) -> None:
    then = {} if wait_s is None else {"again_in_s": round(wait_s, 1)}
    if isinstance(failure, VoiceAgentError):
        log.error("ended", why=failure.what, fix=failure.fix, **then)
    else:
        # For its author to find.
        log.error("ended", why=f"{type(failure).__name__}: {failure}", exc_info=failure, **then)
