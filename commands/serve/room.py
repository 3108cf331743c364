"""One room from its beginning to its end, as a function.

It sets up no signal handler, log, terminal or exit code. Its caller, which may run one room or many, owns
those, gives it a log to write to, and gets the way the room ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import attrs
import trio
from structlog.typing import FilteringBoundLogger

from actors.log import EventLog
from actors.record import recording
from actors.room.livekit_edge import LiveKitEdge, livekit_edge
from channels.bounded import Receiver
from channels.errors import parted, reason_of
from channels.happenings import Happening
from channels.named_paths import NamedPath, PathNames
from channels.printable import complain
from channels.settings import Accounts, Settings
from channels.taps import Taps
from commands.serve.actors import BYSTANDERS_LEAVE_WITHIN_S, run_actors
from commands.serve.held import LoopWatch
from commands.wired import Wired

__all__ = ["RoomEnded", "RoomSpec", "run_room"]


@attrs.frozen
class RoomSpec:
    """A room to serve: its settings, its actors, and what to record."""

    settings: Settings
    accounts: Accounts
    """Rooms may share these. Whoever chooses the settings of a room does not choose them."""
    wire: Callable[[Settings, Accounts, LiveKitEdge], Wired]
    """Makes its actors and connects them."""
    record: NamedPath | None = None
    """Where to record everything that happens."""
    record_audio: bool = False
    """Whether to record both voices too."""
    bystander: Callable[[Receiver[Happening]], Awaitable[None]] | None = None
    """Reads everything that happens from a tap of its own, until the tap ends; it must not raise."""
    is_wanted: Callable[[], Awaitable[bool]] | None = None
    """Whether to begin it again after it has failed; None: of course."""

    @property
    def room_name(self) -> str:
        """As LiveKit knows it."""
        return self.settings.room_name


@attrs.frozen
class RoomEnded:
    """How a room ended."""

    room_name: str
    lasted_s: float
    failure: Exception | None
    """None: it was left in good order. A `VoiceAgentError` is for a person to read; anything else is a fault
    of the program."""


async def run_room(
    spec: RoomSpec, log: FilteringBoundLogger, *, attempt: int = 1, watch: LoopWatch | None = None
) -> RoomEnded:
    """Serves a room until it is left, cannot be served any more, or all is cancelled.

    Args:
        spec: says which.
        log: is told what happens.
        attempt: this many times it was begun; a record of each is kept.
        watch: knows what holds up this thread's loop.
    """
    began = trio.current_time()
    try:
        async with livekit_edge(queue_size_ms=spec.settings.speaker.queue_size_ms) as edge:
            graph = spec.wire(spec.settings, spec.accounts, edge)
            # The log outlives the record, and both the actors: they hear how the last of these ends.
            async with _logged(spec, graph.taps, log, watch), _recorded(spec, graph, attempt):
                await run_actors(graph)
    except BaseException as raised:
        _, error = parted(raised)
        if error is None:
            raise
        failure: BaseException = reason_of(error) or error
        if not isinstance(failure, Exception):
            raise  # meant to end a process: that is the process's decision
        return RoomEnded(spec.room_name, trio.current_time() - began, failure)
    return RoomEnded(spec.room_name, trio.current_time() - began, None)


@contextlib.asynccontextmanager
async def _logged(
    spec: RoomSpec, taps: Taps, log: FilteringBoundLogger, watch: LoopWatch | None
) -> AsyncIterator[None]:
    """Logs what happens, including what holds up the loop, until the last actor has ended."""
    event_log = EventLog(taps.tap("log", to_the_end=True), log, spec.settings.log.speech)
    alive = trio.CancelScope(shield=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep_log, event_log, alive)
        if spec.bystander is not None:
            nursery.start_soon(spec.bystander, taps.tap("bystander"))
        try:
            with contextlib.nullcontext() if watch is None else watch.telling(taps.publish):
                yield
        finally:
            taps.end()
            alive.deadline = trio.current_time() + BYSTANDERS_LEAVE_WITHIN_S


async def _keep_log(event_log: EventLog, alive: trio.CancelScope) -> None:
    """The log is a bystander: it must never affect the conversation, whatever is wrong with it."""
    try:
        with alive:
            await event_log.run()
    except Exception as error:
        complain(f"the log ended ({type(error).__name__}: {error}); the call goes on")


def _recorded(spec: RoomSpec, graph: Wired, attempt: int) -> contextlib.AbstractAsyncContextManager[None]:
    path = None
    if spec.record is not None:
        path = PathNames(spec.room_name).path(spec.record)
        if attempt > 1 and path.exists():
            path = path.with_stem(f"{path.stem}-{attempt}")
    return recording(
        path,
        spec.settings,
        spec.accounts.secrets,
        graph.channels.recorded(with_sound=spec.record_audio),
        graph.taps,
        graph.seen,
        with_sound=spec.record_audio,
    )
