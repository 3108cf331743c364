"""`python runner.py serve`: one process that serves the rooms which LiveKit's dispatch assigns to it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence

import attrs
import trio
from structlog.typing import FilteringBoundLogger

from actors.dispatch import DispatchActor
from actors.room.livekit_edge import LiveKitEdge
from actors.room.seat import Seat
from channels.bounded import Channel, Full
from channels.errors import VoiceAgentError, reason_of
from channels.jobs import Job, JobAssigned, WorkerEvent, WorkerOrder
from channels.named_paths import NamedPath
from channels.settings import (
    Accounts,
    Settings,
    ToolSettings,
    WorkerSettings,
    Writings,
    read_configuration,
)
from channels.settings.job import read_job
from commands.fleet.admission import Admission
from commands.fleet.dispatches import Dispatches
from commands.fleet.load import LoadMeter
from commands.fleet.orphans import Jobs, Orphans
from commands.fleet.reports import EVERY_S, Report
from commands.fleet.rooms import JobRooms, RoomPlan
from commands.serve import RoomEnded, RoomSpec
from commands.serve.held import LoopWatch
from commands.serve.observed import UNOBSERVED, Observed
from commands.tools import chosen, with_tools
from commands.wired import Wired
from sound.recogniser import Recogniser
from sound.vad import Vad

__all__ = ["JobRoomMaker", "WireSeat", "serve_jobs"]

FAREWELL_WITHIN_S = 2.0
"""For telling the server how the last jobs ended."""

WireSeat = Callable[[Settings, Accounts, LiveKitEdge, Seat], Wired]
"""Makes the actors of a room whose agent has this seat."""


@attrs.frozen
class JobRoomMaker:
    """Makes the room of a job: the owner's, with what the job's metadata chooses.

    Args:
        writings: what the owner wrote.
        tools: those of the owner, loaded.
        accounts: of every room, but for LiveKit's address.
        wire: makes the actors.
        warn: is told what is odd in a job.
        record: where to record everything that happens.
        record_audio: whether to record both voices too.
        nodes: further addresses of the same LiveKit.
    """

    writings: Writings
    tools: ToolSettings
    accounts: Accounts
    wire: WireSeat
    warn: Callable[[str], None]
    record: NamedPath | None = None
    record_audio: bool = False
    nodes: Sequence[str] = ()

    async def plan(self, job: Job) -> RoomPlan:
        """As `JobRooms.plan`. Reads files, in a thread."""
        settings = await trio.to_thread.run_sync(self._settings_of, job)
        return functools.partial(self._room, settings)

    async def load_models(self) -> None:
        """Loads what each room needs, once. Else the first room would, and its load would keep others out."""
        await trio.to_thread.run_sync(self._load_models)

    def _load_models(self) -> None:
        try:
            short_sounds = self._settings_of(Job("none", "none")).barge_in.short_sounds
            Vad()
            if short_sounds == "words":
                Recogniser().warm()
        except VoiceAgentError as error:
            # A job may choose other settings, and a room says by itself what it lacks.
            self.warn(f"no models are loaded ahead: {error.what}")

    def _settings_of(self, job: Job) -> Settings:
        choices = read_job(job.metadata)
        configuration = read_configuration(choices.over(self.writings, job.room_name), self.warn)
        return with_tools(configuration.settings(), chosen(self.tools, choices.tools))

    def _room(self, settings: Settings, assigned: JobAssigned, seat: Seat) -> RoomSpec:
        livekit = attrs.evolve(self.accounts.livekit, url=assigned.url)
        # The node that gave the job may be dead when its room has to be joined again.
        seat = attrs.evolve(seat, nodes=(self.accounts.livekit.url, *self.nodes) if self.nodes else ())
        return RoomSpec(
            settings,
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
    log: FilteringBoundLogger,
    *,
    most_rooms: int | None = None,
    draining: trio.Event | None = None,
    watch: LoopWatch | None = None,
    reported: Callable[[Report], Awaitable[None]] | None = None,
    observed: Observed = UNOBSERVED,
) -> Sequence[RoomEnded]:
    """Registers, and serves jobs until cancelled or drained, or until LiveKit refuses and all calls are over.

    Args:
        rooms: makes them.
        worker: which jobs it is there for.
        log: is told.
        most_rooms: at a time; None: the load alone decides.
        draining: set when no more jobs are to be taken, and it is to end after those it has.
        watch: knows what holds up this thread's loop.
        reported: is given a report each second.
        observed: how the process is seen from outside.

    Raises:
        VoiceAgentError: LiveKit refuses the worker for good.
    """
    meter = LoadMeter()
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

    dispatches = Dispatches(rooms.accounts.livekit, rooms.nodes)
    dispatch = DispatchActor(
        account=rooms.accounts.livekit, settings=worker, orders=orders.receiver(), events=events.sender()
    )
    owner = JobRooms(
        admission=Admission(most_rooms, worker.most_load),
        load=lambda: meter.load().value,
        plan=rooms.plan,
        is_wanted=dispatches.is_wanted,
        release=dispatches.release,
        events=events.receiver(),
        orders=orders.sender(),
        log=log,
        draining=trio.Event() if draining is None else draining,
        drain_s=worker.drain_s,
        watch=watch,
        metrics=observed.metrics,
    )
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
            failures.append(reason)
            if owner.running:
                log.error("worker_refused", why=reason.what, fix=reason.fix, running=owner.running)

    async def tell_load() -> None:
        while observed.metrics is not None:
            load = meter.load()
            observed.metrics.cpu_share(max(load.processors, load.thread))
            observed.metrics.load(owner.decides_by())
            await trio.sleep(EVERY_S)

    async def report() -> None:
        while reported is not None:
            await reported(owner.report())
            await trio.sleep(EVERY_S)

    async with observed.shown(log, watch, owner.not_ready), trio.open_nursery() as background:
        if worker.agent_name and worker.look_every_s:
            jobs = Jobs(owner.has_place, owner.dispatches, owner.forgotten, owner.give_up)
            orphans = Orphans(
                rooms.accounts.livekit, worker.agent_name, worker.look_every_s, jobs, log, nodes=rooms.nodes
            )
            background.start_soon(orphans.run)
        background.start_soon(report)
        await rooms.load_models()
        background.start_soon(meter.run)
        background.start_soon(tell_load)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_registered)
            try:
                await owner.run()
            finally:
                farewell.deadline = trio.current_time() + FAREWELL_WITHIN_S
        background.cancel_scope.cancel()
    if failures:
        raise failures[0]
    return []
