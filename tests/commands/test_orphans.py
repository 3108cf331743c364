"""Which dispatches have lost their agents, for how long, and what becomes of what LiveKit answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs
import pytest
import structlog
import trio
from google.protobuf.json_format import MessageToDict
from livekit.protocol.agent import Job, JobState, JobStatus, JobType
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState, JobRestartPolicy
from trio.testing import MockClock

from channels import jobs
from channels.jobs import JobAssigned
from channels.net.http import LARGEST_ANSWER
from channels.secret import Secret
from channels.settings import LiveKitAccount
from commands import dispatch as dispatching
from commands.check.accounts import NoAnswer, TimedAnswer
from commands.fleet import orphans
from commands.fleet.dispatches import Dispatches
from commands.fleet.orphans import ABSENT_S, MOST_ROOMS, Absences, Jobs, Orphans, is_lost, is_replaced
from commands.fleet.reports import RunningRoom

ACCOUNT = LiveKitAccount("ws://here:7880", "key", Secret("secret"))


def dispatch(
    *agents: str,
    dispatch_id: str = "AD_1",
    name: str = "waiter",
    restart_policy: JobRestartPolicy = JobRestartPolicy.JRP_ON_FAILURE,
) -> AgentDispatch:
    """As LiveKit lists one whose jobs have these agents."""
    listed = [
        Job(type=JobType.JT_ROOM, state=JobState(status=JobStatus.JS_RUNNING, participant_identity=agent))
        for agent in agents
    ]
    return AgentDispatch(
        id=dispatch_id,
        agent_name=name,
        room="tea",
        state=AgentDispatchState(jobs=listed),
        restart_policy=restart_policy,
    )


@pytest.mark.parametrize(
    ("listed", "present", "lost"),
    [
        (dispatch("agent-1"), {"alice"}, True),
        (dispatch("agent-1"), {"alice", "agent-1"}, False),
        (dispatch("agent-1", "agent-2"), {"alice", "agent-2"}, False),
        (dispatch(), {"alice"}, False),
        (dispatch("agent-1", name="cook"), {"alice"}, False),
        (dispatch("agent-1", restart_policy=JobRestartPolicy.JRP_NEVER), {"alice"}, False),
    ],
    ids=["gone", "there", "another of it is there", "nobody took it", "not ours", "not to be replaced"],
)
def test_an_agent_is_lost_if_somebody_served_its_dispatch_and_is_not_there(
    listed: AgentDispatch, present: set[str], *, lost: bool
) -> None:
    assert is_lost(listed, "waiter", present) is lost


def test_a_dispatch_that_was_taken_back_or_is_made_for_people_is_left_alone() -> None:
    deleted, for_people = dispatch("agent-1"), dispatch("agent-1")
    deleted.state.deleted_at = 1
    for_people.state.jobs[0].type = JobType.JT_PARTICIPANT
    assert not is_lost(deleted, "waiter", set())
    assert not is_lost(for_people, "waiter", set())


def test_an_agent_that_is_absent_for_some_seconds_is_not_replaced() -> None:
    absences = Absences()
    assert absences.saw("tea", ["AD_1"], 0.0) == []
    assert absences.saw("tea", ["AD_1"], ABSENT_S - 0.1) == []
    assert absences.saw("tea", [], ABSENT_S + 0.1) == [], "it is back"
    assert absences.next_at is None
    assert absences.saw("tea", ["AD_1"], 20.0) == [], "and counts anew"
    assert absences.saw("tea", ["AD_1"], 20.0 + ABSENT_S) == ["AD_1"]


def test_rooms_are_counted_each_for_itself_and_looked_at_again_in_time() -> None:
    absences = Absences()
    absences.saw("tea", ["AD_1"], 0.0)
    absences.saw("lounge", ["AD_2"], 2.0)
    assert absences.rooms == {"tea", "lounge"}
    assert absences.next_at == ABSENT_S
    absences.forget("tea")
    assert (absences.rooms, absences.next_at) == ({"lounge"}, 2.0 + ABSENT_S)


def test_a_job_is_replaced_by_another_dispatch_for_its_agent_and_not_by_a_server_that_knows_none() -> None:
    mine = JobAssigned(
        jobs.Job("AJ_1", "tea", dispatch_id="AD_1", agent_name="waiter"), "ws://a", Secret("t")
    )
    another = dispatch("agent-2", dispatch_id="AD_2")
    assert is_replaced(mine, [another])
    assert not is_replaced(mine, [another, dispatch("agent-1")])
    assert not is_replaced(mine, [dispatch("agent-3", dispatch_id="AD_3", name="cook")])
    assert not is_replaced(mine, [])


@attrs.define
class FakeLiveKit:
    """Answers as LiveKit does, in virtual time. All its rooms have lost an agent."""

    rooms: dict[str, list[AgentDispatch]] = attrs.field(factory=dict)
    status: int = 200
    instead: dict[str, bytes | Exception] = attrs.field(factory=dict)
    """What is answered instead, by method, or by method and room."""
    asked: list[tuple[str, str]] = attrs.field(factory=list)
    """Method and address."""
    before: Callable[[str], None] = lambda method: None
    takes_s: float = 0.01

    async def __call__(
        self,
        account: LiveKitAccount,
        method: str,
        grants: object,
        content: Mapping[str, Any],
        *,
        service: str = "",
        largest: int = LARGEST_ANSWER,
    ) -> TimedAnswer:
        room = content.get("room", "")
        self.asked.append((method, account.url))
        self.before(method)
        await trio.sleep(self.takes_s)
        if self.status != 200:
            return TimedAnswer(self.status, b"", None, 0.0)
        instead = self.instead.get(f"{method} {room}", self.instead.get(method))
        if isinstance(instead, Exception):
            raise instead
        if instead is None and method == "DeleteDispatch":
            left = [each for each in self.rooms[room] if each.id != content["dispatch_id"]]
            if len(left) == len(self.rooms[room]):
                return TimedAnswer(404, b"", None, 0.0)
            self.rooms[room] = left
        body = json.dumps(self._answer(method, room, content)).encode() if instead is None else instead
        if len(body) > largest:
            raise NoAnswer("does not answer (its answer does not end)", "")
        return TimedAnswer(200, body, None, 0.0)

    def _answer(self, method: str, room: str, content: Mapping[str, Any]) -> Any:
        match method:
            case "ListRooms":
                return {"rooms": [{"name": name, "num_participants": 1} for name in self.rooms]}
            case "ListParticipants":
                return {"participants": [{"identity": "alice"}]}
            case "ListDispatch":
                listed = [MessageToDict(each) for each in self.rooms[room]]
                return {"agent_dispatches": listed}
            case "CreateDispatch":
                new = dispatch(dispatch_id=f"AD_new{len(self.asked)}")
                new.metadata = content.get("metadata", "")
                self.rooms[room].append(new)
                return MessageToDict(new)
        return {}

    def count(self, method: str) -> int:
        return sum(asked == method for asked, _ in self.asked)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeLiveKit:
    it = FakeLiveKit()
    for where in (orphans, dispatching):
        monkeypatch.setattr(where, "ask_livekit", it)
    return it


@attrs.define
class Worker:
    has_place: bool = True
    forgotten: list[JobAssigned] = attrs.field(factory=list)
    given_up: list[str] = attrs.field(factory=list)


@asynccontextmanager
async def looking(*nodes: str) -> AsyncIterator[Worker]:
    worker = Worker()
    own = Jobs(lambda: worker.has_place, list, lambda: worker.forgotten, worker.given_up.append)
    async with trio.open_nursery() as nursery:
        log = structlog.get_logger()
        nursery.start_soon(Orphans(ACCOUNT, "waiter", 1.0, own, log, Random(5), nodes).run)
        yield worker
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "body",
    [b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"rooms": [{"name": "\xff\xfe"}]}', b"<html>"],
    ids=["deep", "not UTF-8", "not JSON"],
)
async def test_an_answer_that_cannot_be_read_ends_no_worker(
    autojump_clock: MockClock, server: FakeLiveKit, body: bytes
) -> None:
    server.instead["ListRooms"] = body
    async with looking():
        await trio.sleep(10)
    assert server.count("ListRooms") > 2


@pytest.mark.parametrize("answer", [b"<html>", NoAnswer("does not answer (its answer does not end)", "")])
async def test_a_room_that_cannot_be_looked_at_hides_no_other(
    autojump_clock: MockClock, server: FakeLiveKit, answer: bytes | Exception
) -> None:
    server.rooms = {"tea": [dispatch("agent-1")]}
    for bad in range(100):
        server.rooms[f"bad {bad}"] = []
        server.instead[f"ListParticipants bad {bad}"] = answer
    async with looking():
        await trio.sleep(ABSENT_S * 6)
    assert [each.id[:6] for each in server.rooms["tea"]] == ["AD_new"]


async def test_an_agent_that_was_absent_before_a_worker_was_full_counts_anew(
    autojump_clock: MockClock, server: FakeLiveKit
) -> None:
    server.rooms = {"tea": [dispatch("agent-1")]}
    async with looking() as worker:
        await trio.sleep(ABSENT_S / 2)
        asked = server.count("ListRooms")
        assert asked
        worker.has_place = False
        await trio.sleep(60)
        assert server.count("ListRooms") == asked
        worker.has_place = True
        await trio.sleep(ABSENT_S / 2)
        assert server.count("ListRooms") > asked
        assert not server.count("DeleteDispatch")
        await trio.sleep(ABSENT_S)
        assert server.count("DeleteDispatch") == 1


async def test_a_worker_with_many_rooms_that_was_cut_off_asks_a_node_that_answers(
    autojump_clock: MockClock, server: FakeLiveKit
) -> None:
    def silent(method: str) -> None:
        if server.asked[-1][1] == ACCOUNT.url:
            server.takes_s = 10.0
            server.instead["ListDispatch"] = NoAnswer("does not answer within 10 s", "")
        else:
            server.takes_s = 0.01
            server.instead.clear()

    server.before = silent
    async with looking("ws://there:7880") as worker:
        worker.has_place = False
        for number in range(MOST_ROOMS * 2):
            name = f"room {number}"
            server.rooms[name] = [dispatch("agent-2", dispatch_id="AD_2")]
            job = jobs.Job(f"AJ_{number}", name, dispatch_id="AD_1", agent_name="waiter")
            worker.forgotten.append(JobAssigned(job, ACCOUNT.url, Secret("t")))
        await trio.sleep(60)
        assert worker.given_up
        del server.asked[:]
        await trio.sleep(1.0)
        assert server.count("ListDispatch") <= 2 * MOST_ROOMS, "not all of them, each time"


async def test_an_agent_whose_metadata_is_long_is_replaced_once(
    autojump_clock: MockClock, server: FakeLiveKit
) -> None:
    lost = dispatch("agent-1")
    lost.metadata = '"' * jobs.LONGEST_METADATA
    lost.state.jobs[0].metadata = lost.metadata
    server.rooms = {"tea": [lost]}
    async with looking():
        await trio.sleep(ABSENT_S * 3)
    (new,) = server.rooms["tea"]
    assert (new.metadata, server.count("CreateDispatch")) == (lost.metadata, 1)


async def test_a_worker_that_ends_while_it_renews_a_dispatch_leaves_the_room_with_one(
    autojump_clock: MockClock, server: FakeLiveKit
) -> None:
    server.rooms = {"tea": [dispatch("agent-1")]}
    with trio.CancelScope() as ends:
        server.before = lambda method: ends.cancel() if method == "CreateDispatch" else None
        async with looking():
            await trio.sleep(ABSENT_S * 3)
    assert ends.cancelled_caught
    (new,) = server.rooms["tea"]
    assert new.id != "AD_1"


@pytest.mark.parametrize(("status", "wanted"), [(200, False), (404, False), (502, True), (429, True)])
async def test_a_job_is_wanted_until_somebody_says_that_it_is_not(
    autojump_clock: MockClock, server: FakeLiveKit, status: int, *, wanted: bool
) -> None:
    server.rooms, server.status = {"tea": []}, status
    job = jobs.Job("AJ_1", "tea", dispatch_id="AD_1", agent_name="waiter")
    assigned = JobAssigned(job, ACCOUNT.url, Secret("t"))
    assert await Dispatches(ACCOUNT).is_wanted(assigned) is wanted


@pytest.mark.parametrize(
    "dispatch_id", ["AD_1", "AD_9", ""], ids=["it is there", "LiveKit is new", "of people"]
)
async def test_a_parent_asks_for_another_agent_until_livekit_is_well(
    autojump_clock: MockClock, server: FakeLiveKit, dispatch_id: str
) -> None:
    lost = dispatch("agent-1", name="waiter" if dispatch_id == "AD_1" else "cook")
    server.rooms = {"tea": [lost]}

    def in_trouble(method: str) -> None:
        first = method == "CreateDispatch" and server.count(method) == 1
        server.status = 502 if first and dispatch_id == "AD_1" else 200

    server.before = in_trouble
    died = RunningRoom("AJ_1", "tea", "waiter", "{}", dispatch_id)
    await Dispatches(ACCOUNT).send_another(died)
    assert [each.id for each in server.rooms["tea"] if each.id.startswith("AD_new")]
    assert server.count("DeleteDispatch") == (1 if dispatch_id == "AD_1" else 0)


async def test_a_parent_leaves_a_room_alone_for_which_another_worker_has_asked(
    autojump_clock: MockClock, server: FakeLiveKit
) -> None:
    server.rooms = {"tea": [dispatch(dispatch_id="AD_2")]}
    await Dispatches(ACCOUNT).send_another(RunningRoom("AJ_1", "tea", "waiter", "{}", "AD_1"))
    assert not server.count("CreateDispatch")
