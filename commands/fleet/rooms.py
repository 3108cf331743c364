"""JobRooms: owns the rooms of a worker's jobs.

In: what the dispatch tells. Out: the answers. It accepts each offer while it has places, runs each assigned
room until it is left or the job is not wanted any more, and tells how each ended. A place is taken from the
answer on, so that two offers at once do not get the last one.

Without a name, the agent is sent to every new room. A LiveKit that was restarted takes the rooms to which
people and agents return for new ones; such a job is declined for everybody, as its room has its agent.

The server terminates a job for two reasons and does not say which: somebody took it back, or it saw the agent
leave the room. An agent whose connection broke is about to join again, and people wait for it. So it is asked
whether the job's dispatch is still there; if it is, the room goes on, and its own end decides.

Cancelled, it leaves all rooms. When the dispatch ends, it serves those it has to their ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence

import trio
from attrs import define, field, frozen
from structlog.typing import FilteringBoundLogger

from actors.room.seat import AGENT_IDENTITY, Seat
from channels.bounded import Receiver, Sender
from channels.errors import VoiceAgentError
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
from commands.serve.held import LoopWatch
from commands.serve.room import RoomEnded, RoomSpec
from commands.serve.supervisor import supervise

__all__ = ["JobRooms", "identity_for"]

_AGENT_NAME = "lk.agent_name"
"""The attribute by which LiveKit's front ends and its dispatch call an agent."""


WANTED_WITHIN_S = 5.0
"""LiveKit takes three to find that a room is not open."""


def identity_for(job: Job) -> str:
    """The agent's identity in the room of a job, which may have several agents."""
    return f"{AGENT_IDENTITY}-{job.job_id}"[:256]


@frozen
class _JobRoom:
    assigned: JobAssigned
    served: trio.CancelScope = field(factory=trio.CancelScope)


@define
class JobRooms:
    """Runs the room of each job.

    Args:
        most: rooms at a time.
        room_of: makes the room of a job; it is begun again in the same seat if it fails.
        is_wanted: whether a job that was terminated is still asked for.
        events: of the dispatch.
        orders: to the dispatch.
        log: is told, with the job and the room on each line.
        watch: knows what holds up this thread's loop.
        serve: runs rooms.
    """

    most: int
    room_of: Callable[[JobAssigned, Seat], RoomSpec]
    is_wanted: Callable[[JobAssigned], Awaitable[bool]]
    events: Receiver[WorkerEvent]
    orders: Sender[WorkerOrder]
    log: FilteringBoundLogger
    watch: LoopWatch | None = None
    serve: Callable[..., Awaitable[Sequence[RoomEnded]]] = supervise
    _promised: dict[str, Job] = field(factory=dict, init=False)
    """Jobs that were accepted and are not assigned yet."""
    _running: dict[str, _JobRoom] = field(factory=dict, init=False)

    async def run(self) -> None:
        """Serves jobs until the dispatch has ended and the last room is left."""
        async with self.orders, self.events, trio.open_nursery() as nursery:
            self._tell_status()
            async for event in self.events:
                match event:
                    case JobOffered(job=job):
                        self._answer(job)
                    case OfferLapsed(job_id=job_id, why=why):
                        self._promised.pop(job_id, None)
                        self._tell_status()
                        self.log.warning("offer_lapsed", job=job_id, why=why)
                    case JobAssigned(job=job):
                        self._promised.pop(job.job_id, None)
                        room = self._running[job.job_id] = _JobRoom(event)
                        nursery.start_soon(self._serve, room, name=f"job {job.job_id}")
                    case JobTerminated(job_id=job_id):
                        if job_id in self._running:
                            nursery.start_soon(self._terminate, self._running[job_id])
                    case Registered(worker_id=worker_id, url=url):
                        self.log.info(
                            "worker_registered", worker=worker_id, livekit=url, running=len(self._running)
                        )
                    case WorkerLost():
                        self.log.warning(
                            "worker_lost", why=event.why, fix=event.fix, again_in_s=round(event.again_in_s, 1)
                        )

    def _answer(self, job: Job) -> None:
        if not job.agent_name and job.kind is JobKind.ROOM and job.room_name in self._room_names():
            self.log.info("job_declined", job=job.job_id, room=job.room_name, why="the room has its agent")
            self._say(Decline(job.job_id, for_all=True))
            return
        if self._taken >= self.most:
            self.log.info("job_declined", job=job.job_id, room=job.room_name, why="every place is taken")
            self._say(Decline(job.job_id))
            return
        self._promised[job.job_id] = job
        self._say(Accept(job.job_id, identity_for(job), job.agent_name))
        self._tell_status()

    async def _terminate(self, room: _JobRoom) -> None:
        wanted = False
        with trio.move_on_after(WANTED_WITHIN_S):
            wanted = await self.is_wanted(room.assigned)
        if wanted:
            self.log.warning(
                "job_goes_on",
                job=room.assigned.job.job_id,
                why="LiveKit saw its agent leave, and its dispatch is there",
            )
            return
        self.log.info("job_terminated", job=room.assigned.job.job_id)
        room.served.cancel()

    async def _serve(self, room: _JobRoom) -> None:
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
                ended = await self.serve([self.room_of(room.assigned, seat)], log, watch=self.watch)
                failure = next((each.failure for each in ended if each.failure is not None), None)
        finally:
            del self._running[job.job_id]
            self._say(_outcome(job, failure))
            self._tell_status()

    def _room_names(self) -> set[str]:
        jobs = [*self._promised.values(), *(room.assigned.job for room in self._running.values())]
        return {job.room_name for job in jobs}

    @property
    def _taken(self) -> int:
        return len(self._promised) + len(self._running)

    def _tell_status(self) -> None:
        taken = self._taken
        self._say(WorkerStatus(taken / self.most, len(self._running), full=taken >= self.most))

    def _say(self, order: WorkerOrder) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # the dispatch has ended
            self.orders.send_nowait(order)


def _outcome(job: Job, failure: Exception | None) -> JobStatus:
    if failure is None:
        return JobStatus(job.job_id, JobOutcome.SUCCESS)
    said = failure.what if isinstance(failure, VoiceAgentError) else type(failure).__name__
    return JobStatus(job.job_id, JobOutcome.FAILED, said)
