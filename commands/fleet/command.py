"""`python runner.py serve`: one process that serves the rooms which LiveKit's dispatch assigns to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import trio
from structlog.typing import FilteringBoundLogger

from actors.dispatch import DispatchActor
from actors.room.livekit_edge import LiveKitEdge
from actors.room.seat import Seat
from channels.bounded import Channel, Full
from channels.errors import VoiceAgentError, reason_of
from channels.jobs import JobAssigned, WorkerEvent, WorkerOrder
from channels.named_paths import NamedPath
from channels.settings import Accounts, Settings, WorkerSettings
from commands.dispatch import is_open
from commands.fleet.rooms import JobRooms
from commands.serve import RoomEnded, RoomSpec
from commands.serve.held import LoopWatch
from commands.wired import Wired

__all__ = ["JobRoomMaker", "WireSeat", "serve_jobs"]

FAREWELL_WITHIN_S = 2.0
"""For telling the server how the last jobs ended."""

WireSeat = Callable[[Settings, Accounts, LiveKitEdge, Seat], Wired]
"""Makes the actors of a room whose agent has this seat."""


@attrs.frozen
class JobRoomMaker:
    """Makes the room of a job.

    Args:
        settings: of every room, but for its name.
        accounts: of every room, but for LiveKit's address.
        wire: makes the actors.
        record: where to record everything that happens.
        record_audio: whether to record both voices too.
    """

    settings: Settings
    accounts: Accounts
    wire: WireSeat
    record: NamedPath | None = None
    record_audio: bool = False

    def room_of(self, assigned: JobAssigned, seat: Seat) -> RoomSpec:
        """As `JobRooms.room_of`."""
        livekit = attrs.evolve(self.accounts.livekit, url=assigned.url)
        return RoomSpec(
            attrs.evolve(self.settings, room_name=assigned.job.room_name),
            attrs.evolve(self.accounts, livekit=livekit),
            _Seated(self.wire, seat),
            self.record,
            self.record_audio,
        )


@attrs.define
class _Seated:
    """Wires the room of a job. The job's token may be old by the time a failed room is begun again."""

    wire: WireSeat
    seat: Seat

    def __call__(self, settings: Settings, accounts: Accounts, edge: LiveKitEdge) -> Wired:
        seat, self.seat = self.seat, attrs.evolve(self.seat, token=None)
        return self.wire(settings, accounts, edge, seat)


async def serve_jobs(
    rooms: JobRoomMaker,
    worker: WorkerSettings,
    most: int,
    log: FilteringBoundLogger,
    *,
    watch: LoopWatch | None = None,
) -> Sequence[RoomEnded]:
    """Registers, and serves jobs until cancelled, or until LiveKit refuses and the last call is over.

    Raises:
        VoiceAgentError: LiveKit refuses the worker for good.
    """
    orders = Channel[WorkerOrder](
        "orders to the dispatch", 1024, "orders", Full.FAIL, "its reader takes them at once"
    )
    events = Channel[WorkerEvent](
        "events of the dispatch",
        1024,
        "events",
        Full.FAIL,
        "its reader takes them at once; offers are bounded",
    )

    async def is_wanted(assigned: JobAssigned) -> bool:
        account = attrs.evolve(rooms.accounts.livekit, url=assigned.url)
        try:
            return await is_open(account, assigned.job.room_name, assigned.job.dispatch_id)
        except VoiceAgentError:
            return False

    dispatch = DispatchActor(rooms.accounts.livekit, worker, orders.receiver(), events.sender())
    owner = JobRooms(most, rooms.room_of, is_wanted, events.receiver(), orders.sender(), log, watch)
    failures: list[VoiceAgentError] = []
    farewell = trio.CancelScope(shield=True)

    async def keep_registered() -> None:
        try:
            with farewell:
                await dispatch.run()
        except (VoiceAgentError, BaseExceptionGroup) as error:
            reason = reason_of(error)
            if reason is None:
                raise
            log.error("worker_refused", why=reason.what, fix=reason.fix)
            failures.append(reason)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_registered)
        try:
            await owner.run()
        finally:
            farewell.deadline = trio.current_time() + FAREWELL_WITHIN_S
    if failures:
        raise failures[0]
    return []
