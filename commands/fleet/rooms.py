"""JobRooms: owns the rooms of a worker's jobs.

In: what the dispatch tells. Out: the answers. It accepts an offer if there is room for one more
(`admission`) and the job's metadata can be read, runs each assigned room until it is left or the job is not
wanted any more, and tells how each ended. A place is taken from the offer on, so that two offers at once do
not get the last one.

Without a name, the agent is sent to every new room. A LiveKit that was restarted takes the rooms to which
people and agents return for new ones; such a job is declined for everybody, as its room has its agent.

The server terminates a job for two reasons and does not say which: somebody took it back, or it saw the agent
leave the room. An agent whose connection broke is about to join again, and people wait for it. So it is asked
whether the job's dispatch is still there; if it is, the room goes on, and its own end decides.

What the Voice Agent API answers to its rooms decides, too, whether it takes more of them (`service`).

Told to drain, it takes no more jobs, and ends after the last of those it has, or leaves what goes on for too
long. Cancelled, it leaves all rooms. When the dispatch ends, it serves those it has to their ends.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import trio
from attrs import define, evolve, field, frozen
from structlog.typing import FilteringBoundLogger

from actors.metrics.labels import Declined
from actors.room.seat import AGENT_IDENTITY, Seat
from channels.bounded import Receiver, Sender
from channels.errors import SettingsError, VoiceAgentError
from channels.happenings import Happening, SessionLost, SessionStarted
from channels.jobs import (
    Accept,
    Decline,
    Job,
    JobAssigned,
    JobKind,
    JobOffered,
    JobOutcome,
    JobStatus,
    JobTerminated,
    OfferLapsed,
    Registered,
    WorkerEvent,
    WorkerLost,
    WorkerOrder,
    WorkerStatus,
)
from channels.wire.failures import ServiceBusy
from commands.fleet.admission import SHOWN_AFTER_S, Admission, House, Refusal
from commands.fleet.reports import Report, RunningRoom, Standing
from commands.fleet.service import ServicePlaces
from commands.serve.held import LoopWatch
from commands.serve.room import RoomEnded, RoomSpec
from commands.serve.supervisor import supervise

if TYPE_CHECKING:
    from actors.metrics.process import Metrics

__all__ = ["JobRooms", "RoomPlan", "identity_for"]

RoomPlan: TypeAlias = Callable[[JobAssigned, Seat], RoomSpec]
"""Makes the room of a job whose metadata was read. It is begun again in the same seat if it fails."""

_AGENT_NAME = "lk.agent_name"
"""The attribute by which LiveKit's front ends and its dispatch call an agent."""

WANTED_WITHIN_S = 5.0
"""LiveKit takes three to find that a room is not open."""

RELEASED_WITHIN_S = 5.0

_ALMOST_ALL = 0.95

STATUS_EVERY_S = 2.0
"""How often LiveKit is told of the load: it looks at it only when it has a job to give."""


def identity_for(job: Job) -> str:
    """The agent's identity in the room of a job, which may have several agents."""
    return f"{AGENT_IDENTITY}-{job.job_id}"


@define
class _Promise:
    """A job that was offered, and is not assigned yet."""

    job: Job
    at: float
    plan: RoomPlan | None = None


@frozen
class _JobRoom:
    assigned: JobAssigned
    at: float
    served: trio.CancelScope = field(factory=trio.CancelScope)


@define
class JobRooms:
    """Runs the room of each job.

    Args:
        admission: whether there is room for one more.
        load: of this process and its machine, between 0 and 1.
        plan: reads a job, and says how its room is made; raises SettingsError where that cannot be.
        is_wanted: whether a job that was terminated is still asked for.
        release: takes back the dispatch of a job that has ended on purpose.
        events: of the dispatch.
        orders: to the dispatch.
        log: is told, with the job and the room on each line.
        draining: set when no more jobs are to be taken.
        drain_s: so long conversations may go on after that.
        watch: knows what holds up this thread's loop.
        serve: runs rooms.
        metrics: of the process, which count the jobs.
        service: whether the Voice Agent API has a place for one more session.
    """

    admission: Admission
    load: Callable[[], float]
    plan: Callable[[Job], Awaitable[RoomPlan]]
    is_wanted: Callable[[JobAssigned], Awaitable[bool]]
    release: Callable[[JobAssigned], Awaitable[None]]
    events: Receiver[WorkerEvent]
    orders: Sender[WorkerOrder]
    log: FilteringBoundLogger
    draining: trio.Event = field(factory=trio.Event)
    drain_s: float = 600.0
    watch: LoopWatch | None = None
    serve: Callable[..., Awaitable[Sequence[RoomEnded]]] = supervise
    metrics: Metrics | None = None
    service: ServicePlaces = field(factory=ServicePlaces)
    _promised: dict[str, _Promise] = field(factory=dict, init=False)
    _running: dict[str, _JobRoom] = field(factory=dict, init=False)
    _forgotten: set[str] = field(factory=set, init=False)
    """Running jobs which LiveKit does not count as ours any more."""
    _releasing: int = field(default=0, init=False)
    _registered: bool = field(default=False, init=False)
    _told: WorkerStatus | None = field(default=None, init=False)
    _fewer: trio.Event = field(factory=trio.Event, init=False)
    """There is a room, or a promise, less."""
    _news: trio.Event = field(factory=trio.Event, init=False)
    """Of the service."""

    def not_ready(self) -> str | None:
        """Why no further job should come here; None: it may."""
        if self.draining.is_set() or self._registered:
            refusal = self._refusal()
            return None if refusal is None else refusal.value
        return "this worker is not registered with LiveKit"

    def report(self) -> Report:
        """How things stand."""
        if self.draining.is_set():
            standing = Standing.DRAINING
        elif not self._registered:
            standing = Standing.STARTING
        else:
            standing = Standing.READY if self._refusal() is None else Standing.FULL
        jobs = [room.assigned.job for room in self._running.values()]
        rooms = [
            RunningRoom(
                each.job_id,
                each.room_name,
                each.agent_name,
                each.metadata,
                each.dispatch_id if each.kind is JobKind.ROOM else "",
            )
            for each in jobs
        ]
        return Report(standing, self.load(), tuple(rooms))

    async def run(self) -> None:
        """Serves jobs until the dispatch has ended, or it was told to drain, and the last room is left."""
        async with self.orders, self.events, trio.open_nursery() as background:
            background.start_soon(self._keep_status)
            background.start_soon(self._drain, background.cancel_scope)
            async with trio.open_nursery() as rooms:
                await self._take_events(rooms)
            background.cancel_scope.cancel()

    async def _take_events(self, nursery: trio.Nursery) -> None:
        async for event in self.events:
            match event:
                case JobOffered(job=job):
                    self._consider(job, nursery)
                case OfferLapsed(job_id=job_id, why=why):
                    self._forget(job_id)
                    self.log.warning("offer_lapsed", job=job_id, why=why)
                case JobAssigned(job=job):
                    promise = self._promised.pop(job.job_id, None)
                    if promise is None or promise.plan is None:
                        continue  # nobody accepted it
                    room = self._running[job.job_id] = _JobRoom(event, trio.current_time())
                    nursery.start_soon(self._serve, room, promise.plan, name=f"job {job.job_id}")
                    self._tell_status()
                case JobTerminated(job_id=job_id):
                    if job_id in self._running:
                        nursery.start_soon(self._terminate, self._running[job_id])
                case Registered(worker_id=worker_id, url=url):
                    self._registered = True
                    self.log.info(
                        "worker_registered", worker=worker_id, livekit=url, running=len(self._running)
                    )
                case WorkerLost():
                    self._registered = False
                    self._forgotten |= self._running.keys()
                    self.log.warning(
                        "worker_lost", why=event.why, fix=event.fix, again_in_s=round(event.again_in_s, 1)
                    )

    def _consider(self, job: Job, nursery: trio.Nursery) -> None:
        if not job.agent_name and job.kind is JobKind.ROOM and job.room_name in self._room_names():
            self._decline(job, Declined.SERVED, "the room has its agent", for_all=True)
            return
        refusal = self._refusal()
        if refusal is not None:
            self._decline(job, Declined[refusal.name], refusal.value)
            return
        promise = self._promised[job.job_id] = _Promise(job, trio.current_time())
        nursery.start_soon(self._read, promise, name=f"metadata of {job.job_id}")

    async def _read(self, promise: _Promise) -> None:
        job = promise.job
        try:
            promise.plan = await self.plan(job)
        except SettingsError as error:
            self._forget(job.job_id)
            # Another worker would find the same.
            why = f"{Refusal.METADATA.value}: {error.what}"
            self._decline(job, Declined.METADATA, why, for_all=True, fix=error.fix)
            return
        except Exception as error:
            # A fault of this process or its disk is no reason to lose the rooms that it has.
            self._forget(job.job_id)
            self._decline(job, Declined.OTHER, f"{type(error).__name__}: {error}")
            return
        if job.job_id in self._promised:
            self._say(Accept(job.job_id, identity_for(job), job.agent_name))
            if self.metrics is not None:
                self.metrics.job_accepted()
            self._tell_status()

    def _decline(self, job: Job, reason: Declined, why: str, *, for_all: bool = False, **more: str) -> None:
        self.log.info("job_declined", job=job.job_id, room=job.room_name, why=why, **more)
        if self.metrics is not None:
            self.metrics.job_declined(reason)
        self._say(Decline(job.job_id, for_all=for_all))

    def _forget(self, job_id: str) -> None:
        self._promised.pop(job_id, None)
        self._tell_status()
        self._fewer.set()

    async def _drain(self, everything: trio.CancelScope) -> None:
        await self.draining.wait()
        self.log.info("draining", rooms=len(self._running), within_s=round(self.drain_s))
        self._tell_status()
        with trio.move_on_after(self.drain_s):
            await self._until_empty()
        if self._running:
            self.log.warning("drained_too_long", rooms=len(self._running))
            for room in self._running.values():
                room.served.cancel()
        await self._until_empty()
        everything.cancel()

    async def _until_empty(self) -> None:
        while self._running or self._promised or self._releasing:
            self._fewer = trio.Event()
            await self._fewer.wait()

    async def _keep_status(self) -> None:
        while True:
            self._tell_status()
            with trio.move_on_after(STATUS_EVERY_S):
                await self._news.wait()
            self._news = trio.Event()

    async def _watch_sessions(self, happenings: Receiver[Happening]) -> None:
        async with happenings:
            async for happening in happenings:
                match happening:
                    case SessionStarted():
                        self.service.accepted()
                        self._news.set()
                    case SessionLost(no_place=True):
                        self._note_refusal()
                    case _:
                        pass

    def _note_refusal(self) -> None:
        now = trio.current_time()
        if not self.service.is_full(now):
            self.service.refused(now)
            self.log.warning("service_full", why=Refusal.SERVICE.value, running=len(self._running))
        self._news.set()

    async def _terminate(self, room: _JobRoom) -> None:
        wanted = False
        with trio.move_on_after(WANTED_WITHIN_S):
            wanted = await self.is_wanted(room.assigned)
        if wanted:
            self._forgotten |= {room.assigned.job.job_id} & self._running.keys()
            self.log.info(
                "job_goes_on",
                job=room.assigned.job.job_id,
                why="LiveKit saw its agent leave, and its dispatch is there",
            )
            return
        self.log.info("job_terminated", job=room.assigned.job.job_id)
        room.served.cancel()

    async def _serve(self, room: _JobRoom, plan: RoomPlan) -> None:
        job = room.assigned.job
        log = self.log.bind(job=job.job_id)
        seat = Seat(
            identity_for(job),
            job.agent_name,
            {_AGENT_NAME: job.agent_name} if job.agent_name else {},
            room.assigned.token,
            ends_with_room=True,
        )
        self._say(JobStatus(job.job_id, JobOutcome.RUNNING))
        failure: Exception | None = None
        try:
            with room.served:
                spec = evolve(
                    plan(room.assigned, seat),
                    bystander=self._watch_sessions,
                    is_wanted=functools.partial(self.is_wanted, room.assigned),
                )
                ended = await self.serve([spec], log, watch=self.watch)
                failure = next((each.failure for each in ended if each.failure is not None), None)
            if isinstance(failure, ServiceBusy):
                self._note_refusal()
        finally:
            del self._running[job.job_id]
            self._forgotten.discard(job.job_id)
            self._say(_outcome(job, failure))
            self._tell_status()
            self._fewer.set()
        # One that was told to end is nobody's any more, or another worker's; one that found the service full
        # may be served by a worker with another account.
        if not room.served.cancel_called and not isinstance(failure, ServiceBusy):
            await self._release(room.assigned)

    async def _release(self, assigned: JobAssigned) -> None:
        if assigned.job.kind is not JobKind.ROOM:
            return  # others of its dispatch go on
        self._releasing += 1
        try:
            with trio.move_on_after(RELEASED_WITHIN_S):
                await self.release(assigned)
        finally:
            self._releasing -= 1
            self._fewer.set()

    def has_place(self) -> bool:
        """Whether it would take one more job."""
        return self._registered and self._refusal() is None

    def dispatches(self) -> set[str]:
        """Those whose jobs it has, or was offered."""
        jobs = [promise.job for promise in self._promised.values()]
        return {job.dispatch_id for job in (*jobs, *(room.assigned.job for room in self._running.values()))}

    def forgotten(self) -> list[JobAssigned]:
        """Running jobs that LiveKit may have forgotten, so that another worker may have them now."""
        return [self._running[each].assigned for each in self._forgotten if each in self._running]

    def give_up(self, job_id: str) -> None:
        """Leaves the room of a job that another worker has now."""
        if job_id in self._running:
            self._running[job_id].served.cancel()

    @property
    def running(self) -> int:
        """How many rooms it serves now."""
        return len(self._running)

    def _room_names(self) -> set[str]:
        promised = [promise.job for promise in self._promised.values()]
        jobs = [*promised, *(room.assigned.job for room in self._running.values())]
        return {job.room_name for job in jobs}

    def decides_by(self) -> float:
        """The load, as `Admission.load` has it."""
        return self.admission.load(self._house())

    def _refusal(self) -> Refusal | None:
        return self.admission.refusal(self._house())

    def _house(self) -> House:
        now = trio.current_time()
        came = [promise.at for promise in self._promised.values()]
        came += [room.at for room in self._running.values()]
        return House(
            self.load(),
            len(came),
            fresh=sum(now - at < SHOWN_AFTER_S for at in came),
            draining=self.draining.is_set(),
            service_is_full=self.service.is_full(now),
        )

    def _tell_status(self) -> None:
        draining = self.draining.is_set()
        full = self._refusal() is not None
        # A worker that says that it has no share left is not asked.
        share = 1.0 if full else min(_ALMOST_ALL, self.load() / self.admission.most_load)
        status = WorkerStatus(round(share, 2), len(self._running), full=full, draining=draining)
        if status != self._told:
            self._told = status
            self._say(status)

    def _say(self, order: WorkerOrder) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # the dispatch has ended
            self.orders.send_nowait(order)


def _outcome(job: Job, failure: Exception | None) -> JobStatus:
    if failure is None:
        return JobStatus(job.job_id, JobOutcome.SUCCESS)
    said = failure.what if isinstance(failure, VoiceAgentError) else type(failure).__name__
    return JobStatus(job.job_id, JobOutcome.FAILED, said)
