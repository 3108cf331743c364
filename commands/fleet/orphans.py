"""Orphans: looks for rooms whose agent was lost together with its worker, and has LiveKit send another.

LiveKit gives a dead worker's jobs to nobody. It tells the same of such a job as of one that ended in good
order: `JS_RUNNING`, the old worker's id, no end (tried with livekit-server 1.13.5). So whoever ends a job
makes the difference: a worker that ends one on purpose deletes its dispatch (`JobRooms`), and one that is
still there means that an agent is wanted. If people are in its room and its agent has not been for
`ABSENT_S`, any worker with a place may renew it; deleting it is the lock (`renew_dispatch`).

How soon that is, LiveKit decides: it keeps the place of an agent that has fallen silent for about 21 s, so
that it can come back, and shows it as present.

A worker that was only cut off may find its agent replaced when it is back. LiveKit does not tell it, so it
looks itself, for those of its jobs that LiveKit has forgotten.

A look is one `ListRooms`, and for up to `MOST_ROOMS` rooms a `ListParticipants` and a `ListDispatch`. A room
with more voices than people seems to have its agent, and is looked at only now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from random import Random

import msgspec
import trio
from attrs import define, evolve, field, frozen
from livekit import api
from livekit.protocol.agent import JobType
from livekit.protocol.agent_dispatch import AgentDispatch, JobRestartPolicy
from structlog.typing import FilteringBoundLogger

from channels.backoff import about
from channels.errors import VoiceAgentError
from channels.jobs import LONGEST_NAME, JobAssigned
from channels.settings import LiveKitAccount
from commands.check.accounts import ask_livekit
from commands.dispatch import list_dispatches, renew_dispatch

__all__ = ["ABSENT_S", "Absences", "Jobs", "Orphans", "is_lost", "is_replaced"]

ABSENT_S = 6.0
"""A room that fails is begun again in the same seat after up to 4 s, the third time, and its agent joins
within a second or two."""

MOST_ROOMS = 20
"""That are looked at in one look."""

MOST_OTHERS = 5
"""Of these, rooms that seem to have their agent: there may be several in a room."""

LARGEST_LIST = 8 * 2**20
"""Bytes: some 11,000 rooms."""

LOOKED_WITHIN_S = 20.0


class _Room(msgspec.Struct):
    name: str
    num_participants: int = 0
    """People: LiveKit does not count agents."""
    num_publishers: int = 0
    """Of them, and of agents."""


class _Rooms(msgspec.Struct):
    rooms: list[_Room] = []


class _Participant(msgspec.Struct):
    identity: str
    kind: str = "STANDARD"


class _Participants(msgspec.Struct):
    participants: list[_Participant] = []


_NOT_PEOPLE = frozenset({"AGENT", "EGRESS"})


@frozen
class Jobs:
    """What the looker has to know of the rooms of its own worker."""

    has_place: Callable[[], bool]
    """Whether it would take one more."""
    dispatches: Callable[[], Collection[str]]
    """The ids of those that it serves."""
    forgotten: Callable[[], Sequence[JobAssigned]]
    """Those that LiveKit may have forgotten."""
    give_up: Callable[[str], None]
    """Leaves the room of a job that another worker has now."""


def is_lost(dispatch: AgentDispatch, agent_name: str, present: Collection[str]) -> bool:
    """Whether a dispatch was served, and its agent is not in the room.

    Args:
        dispatch: as LiveKit lists it.
        agent_name: that of this worker.
        present: the identities in its room.
    """
    jobs = dispatch.state.jobs
    return (
        dispatch.agent_name == agent_name
        and not dispatch.state.deleted_at
        and dispatch.restart_policy != JobRestartPolicy.JRP_NEVER
        and bool(jobs)
        # Jobs that are made for people share one dispatch.
        and all(job.type == JobType.JT_ROOM for job in jobs)
        and not any(job.state.participant_identity in present for job in jobs)
    )


def is_replaced(assigned: JobAssigned, listed: Iterable[AgentDispatch]) -> bool:
    """Whether another dispatch stands in the place of that of a job.

    A LiveKit that was restarted has none, and the job's agent is still wanted.
    """
    job, others = assigned.job, False
    for each in listed:
        if each.id == job.dispatch_id:
            return False
        others = others or each.agent_name == job.agent_name
    return others


@define
class Absences:
    """Since when the agents of dispatches are absent. No I/O, no clock."""

    _since: dict[str, tuple[str, float]] = field(factory=dict, init=False)
    """By dispatch: its room, and when it was first seen without its agent."""

    @property
    def rooms(self) -> set[str]:
        """Those to look at again."""
        return {room for room, _ in self._since.values()}

    @property
    def next_at(self) -> float | None:
        """When one has been absent for long enough; None: none is absent."""
        return min((since + ABSENT_S for _, since in self._since.values()), default=None)

    def saw(self, room: str, lost: Collection[str], now: float) -> list[str]:
        """These dispatches of a room lack their agents at `now` (s); gives those that did for long."""
        kept = {each: self._since.get(each, (room, now)) for each in lost}
        self.forget(room)
        self._since |= kept
        return [each for each, (_, since) in kept.items() if now - since >= ABSENT_S]

    def forget(self, room: str) -> None:
        """It has no people, or cannot be looked at."""
        self._since = {each: where for each, where in self._since.items() if where[0] != room}


@define
class Orphans:
    """Looks for lost agents, every so often.

    Args:
        account: the LiveKit to look at.
        agent_name: whose dispatches count.
        every_s: about how often.
        jobs: the rooms of this worker.
        log: is told what was done.
        random: for jitter, so that workers do not look together.
        nodes: further addresses of the same LiveKit, for when one does not answer.
    """

    account: LiveKitAccount
    agent_name: str
    every_s: float
    jobs: Jobs
    log: FilteringBoundLogger
    random: Random = field(factory=Random)
    nodes: Sequence[str] = ()
    _absences: Absences = field(factory=Absences, init=False)

    async def run(self) -> None:
        """Looks until cancelled. A look that fails is one that is left out."""
        while True:
            wait_s = about(self.random, self.every_s)
            if self._absences.next_at is not None:
                wait_s = min(wait_s, max(0.5, self._absences.next_at - trio.current_time()))
            await trio.sleep(wait_s)
            try:
                with trio.move_on_after(LOOKED_WITHIN_S):
                    await self._look_after_own()
                    if self.jobs.has_place():
                        await self._look()
            except VoiceAgentError as error:
                self.log.debug("look_failed", why=error.what)
                self._ask_another_node()
            except msgspec.MsgspecError:
                self.log.debug("look_failed", why="LiveKit's answer cannot be read")

    def _ask_another_node(self) -> None:
        url, *self.nodes = *self.nodes, self.account.url
        self.account = evolve(self.account, url=url)

    async def _look_after_own(self) -> None:
        for assigned in self.jobs.forgotten():
            job = assigned.job
            try:
                listed = await list_dispatches(self.account, job.room_name)
            except VoiceAgentError:
                continue
            if is_replaced(assigned, listed):
                self.log.warning("job_replaced", job=job.job_id, room=job.room_name)
                self.jobs.give_up(job.job_id)

    async def _look(self) -> None:
        body = await self._ask("ListRooms", api.VideoGrants(room_list=True), {})
        there = msgspec.json.decode(body, type=_Rooms).rooms
        inhabited = {
            each.name: each for each in there if each.num_participants and len(each.name) <= LONGEST_NAME
        }
        for name in self._absences.rooms - inhabited.keys():
            self._absences.forget(name)
        for name in self._chosen(inhabited.values()):
            await self._look_into(name)

    def _chosen(self, rooms: Iterable[_Room]) -> list[str]:
        again = self._absences.rooms
        doubtful, others = list[str](), list[str]()
        for each in rooms:
            if each.name not in again:
                with_agent = each.num_publishers > each.num_participants
                (others if with_agent else doubtful).append(each.name)
        first = [*again, *self.random.sample(doubtful, len(doubtful))][:MOST_ROOMS]
        more = min(MOST_OTHERS, MOST_ROOMS - len(first), len(others))
        return [*first, *self.random.sample(others, more)]

    async def _look_into(self, room: str) -> None:
        grants = api.VideoGrants(room_admin=True, room=room)
        body = await self._ask("ListParticipants", grants, {"room": room})
        present = msgspec.json.decode(body, type=_Participants).participants
        people = [each for each in present if each.kind not in _NOT_PEOPLE]
        if not people:
            self._absences.forget(room)
            return
        identities = {each.identity for each in present}
        own = self.jobs.dispatches()
        lost = {
            each.id: each
            for each in await list_dispatches(self.account, room)
            if is_lost(each, self.agent_name, identities) and each.id not in own
        }
        for dispatch_id in self._absences.saw(room, lost, trio.current_time()):
            if not self.jobs.has_place():
                return
            await self._renew(lost[dispatch_id])
            self._absences.forget(room)

    async def _renew(self, lost: AgentDispatch) -> None:
        try:
            ours = await renew_dispatch(self.account, lost)
        except VoiceAgentError as error:
            self.log.error("room_lost", room=lost.room, why=error.what)
            return
        if ours:
            self.log.info("another_agent_asked_for", room=lost.room, why="its worker is gone")

    async def _ask(self, method: str, grants: api.VideoGrants, content: dict[str, str]) -> bytes:
        answer = await ask_livekit(self.account, method, grants, content, largest=LARGEST_LIST)
        return answer.body if answer.status == 200 else b"{}"
