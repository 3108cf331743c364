"""The owner of the rooms of a worker's jobs: what it takes, what it runs, and what it says of it."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.metrics.exposition import exposition
from actors.metrics.process import Metrics
from bench.scraping import read_samples, value
from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import EdgeFault, SettingsError
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
from channels.secret import Secret
from channels.settings import ToolSettings, gather
from channels.taps import Taps
from channels.wire.failures import ServiceBusy
from commands.arguments import parse
from commands.fleet.admission import Admission
from commands.fleet.command import JobRoomMaker
from commands.fleet.reports import Standing
from commands.fleet.rooms import JobRooms, RoomPlan
from commands.serve import RoomEnded, RoomSpec
from commands.wired import NOBODYS


@attrs.define
class Owner:
    """A `JobRooms` at work, with rooms that do nothing until they are told to end."""

    rooms: JobRooms = attrs.field(init=False)
    events: Sender[WorkerEvent]
    orders: Receiver[WorkerOrder]
    specs: dict[str, RoomSpec] = attrs.field(factory=dict)
    """The rooms that run, by name."""
    ends: dict[str, tuple[trio.Event, list[Exception | None]]] = attrs.field(factory=dict)
    taps: dict[str, Taps] = attrs.field(factory=dict)
    wanted: set[str] = attrs.field(factory=set)
    """Jobs that are still asked for."""
    released: list[str] = attrs.field(factory=list)
    """Jobs that nobody is to be sent for again."""
    silent: bool = False
    """Whether nobody can be asked."""
    over: trio.Event = attrs.field(factory=trio.Event)
    draining: trio.Event = attrs.field(factory=trio.Event)
    load: float = 0.0
    reads: Callable[[Job], None] = lambda job: None
    """What reading a job does, besides."""

    async def is_wanted(self, assigned: JobAssigned) -> bool:
        if self.silent:
            await trio.sleep_forever()
        return assigned.job.job_id in self.wanted

    async def release(self, assigned: JobAssigned) -> None:
        if self.silent:
            await trio.sleep_forever()
        self.released.append(assigned.job.job_id)

    async def serve(self, rooms: Sequence[RoomSpec], log: Any, *, watch: object) -> list[RoomEnded]:
        (spec,) = rooms
        name = spec.room_name
        self.specs[name] = spec
        self.ends[name] = trio.Event(), []
        self.taps[name] = taps = Taps()
        assert spec.bystander is not None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(spec.bystander, taps.tap("bystander"))
                await self.ends[name][0].wait()
                taps.close()
            return [RoomEnded(name, 1.0, self.ends[name][1][0])]
        finally:
            del self.specs[name]

    async def tell(self, room: str, happening: Happening) -> None:
        """Something happens in a room."""
        self.taps[room].publish(happening)
        await wait_all_tasks_blocked()

    async def end(self, room: str, failure: Exception | None = None) -> None:
        self.ends[room][1].append(failure)
        self.ends[room][0].set()
        await wait_all_tasks_blocked()

    async def hears(self, *events: WorkerEvent) -> None:
        for event in events:
            self.events.send_nowait(event)
            await wait_all_tasks_blocked()

    def said(self, *kinds: type[Any]) -> list[WorkerOrder]:
        """What it said of these kinds since the last time."""
        return [order for order in self.orders.receive_waiting() if isinstance(order, kinds)]

    async def runs(self, *names: str) -> None:
        for name in names:
            job = Job(f"AJ_{name}", name, agent_name="waiter")
            await self.hears(JobOffered(job), JobAssigned(job, "ws://there", Secret("the-jobs.own.token")))


@asynccontextmanager
async def owner(
    most: int = 2, drain_s: float = 600, metrics: Metrics | None = None, nodes: Sequence[str] = ()
) -> AsyncIterator[Owner]:
    events = Channel[WorkerEvent]("events", 64, "events", Full.FAIL, "of a test")
    orders = Channel[WorkerOrder]("orders", 64, "orders", Full.FAIL, "of a test")
    it = Owner(events.sender(), orders.receiver())
    owned = gather(None, {}, Path("there-is-none"), {}, print)
    maker = JobRoomMaker(owned, ToolSettings(), NOBODYS, lambda *given: given, print, nodes=nodes)  # type: ignore[arg-type]

    async def plan(job: Job) -> RoomPlan:
        it.reads(job)
        # Not in a thread, which comes back when the machine likes.
        return functools.partial(maker._room, maker._settings_of(job))

    rooms = it.rooms = JobRooms(
        Admission(most),
        lambda: it.load,
        plan,
        it.is_wanted,
        it.release,
        events.receiver(),
        orders.sender(),
        structlog.get_logger(),
        it.draining,
        drain_s,
        serve=it.serve,
        metrics=metrics,
    )

    async def run() -> None:
        await rooms.run()
        it.over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        yield it
        nursery.cancel_scope.cancel()


async def test_jobs_are_counted_and_the_worker_says_why_none_should_come(autojump_clock: MockClock) -> None:
    def wrong(job: Job) -> None:
        raise SettingsError("the job's metadata is not JSON", "write an object")

    metrics = Metrics()
    async with owner(most=1, metrics=metrics) as it:
        assert it.rooms.not_ready() == "this worker is not registered with LiveKit"
        await it.hears(Registered("AW_1", "ws://there"))
        assert it.rooms.not_ready() is None
        await it.runs("tea")
        assert it.rooms.not_ready() == "it has as many rooms as it may have"
        await it.hears(JobOffered(Job("AJ_more", "lounge", agent_name="waiter")))
        await it.end("tea")
        it.reads = wrong
        await it.hears(JobOffered(Job("AJ_odd", "lounge", agent_name="waiter")))
        await it.hears(WorkerLost("it went away", "wait", 1.0))
        assert it.rooms.not_ready() == "this worker is not registered with LiveKit"
        it.draining.set()
        assert it.rooms.not_ready() == "this worker is leaving"
    samples = read_samples(exposition(metrics.series))
    assert value(samples, "voice_agent_jobs_accepted_total") == 1
    assert value(samples, "voice_agent_jobs_declined_total", reason="full") == 1
    assert value(samples, "voice_agent_jobs_declined_total", reason="metadata") == 1


async def test_each_job_has_its_own_room_seat_and_server(autojump_clock: MockClock) -> None:
    async with owner() as it:
        await it.runs("tea", "lounge")
        assert set(it.specs) == {"tea", "lounge"}
        spec = it.specs["tea"]
        assert spec.accounts.livekit.url == "ws://there"
        wired: Any = spec.wire(spec.settings, spec.accounts, None)  # type: ignore[arg-type]
        seat = wired[3]
        assert seat.token == Secret("the-jobs.own.token")
        assert seat.ends_with_room
        assert seat.identity == "voice-agent-AJ_tea"
        accepted = [order for order in it.said(Accept) if isinstance(order, Accept)]
        assert [order.identity for order in accepted] == ["voice-agent-AJ_tea", "voice-agent-AJ_lounge"]
        # A room that failed begins again, perhaps hours later: the same agent, with a token of our own.
        again: Any = spec.wire(spec.settings, spec.accounts, None)  # type: ignore[arg-type]
        assert again[3] == attrs.evolve(seat, token=None)


async def test_an_agent_knows_the_other_nodes_for_when_the_one_that_gave_the_job_is_dead(
    autojump_clock: MockClock,
) -> None:
    async with owner(nodes=("ws://second", "ws://third")) as it:
        await it.runs("tea")
        spec = it.specs["tea"]
        assert spec.accounts.livekit.url == "ws://there"
        wired: Any = spec.wire(spec.settings, spec.accounts, None)  # type: ignore[arg-type]
        assert list(wired[3].nodes) == [NOBODYS.livekit.url, "ws://second", "ws://third"]


async def test_places_are_taken_from_the_answer_on_and_given_back(autojump_clock: MockClock) -> None:
    async with owner(most=2) as it:
        jobs = [Job(f"AJ_{number}", f"room {number}") for number in range(4)]
        await it.hears(*(JobOffered(job) for job in jobs[:3]))
        assert [type(order) for order in it.said(Accept, Decline)] == [Accept, Accept, Decline]
        await it.hears(OfferLapsed("AJ_0", "given up"))
        assert it.said(WorkerStatus)[-1] == WorkerStatus(0.0, 0)
        await it.hears(JobOffered(jobs[3]))
        assert it.said(Accept)
        await it.hears(JobAssigned(jobs[3], "ws://there", Secret("t")))
        assert it.said(WorkerStatus)[-1] == WorkerStatus(1.0, 1, full=True)
        await it.end("room 3")
        assert it.said(WorkerStatus)[-1] == WorkerStatus(0.0, 0)


async def test_a_room_that_has_its_agent_gets_no_second_one_unless_somebody_asks_for_it(
    autojump_clock: MockClock,
) -> None:
    async with owner(most=4) as it:
        first = Job("AJ_1", "tea")
        await it.hears(JobOffered(first), JobOffered(Job("AJ_2", "tea")))
        await it.hears(JobAssigned(first, "ws://there", Secret("t")), JobOffered(Job("AJ_3", "tea")))
        await it.hears(JobOffered(Job("AJ_4", "tea", agent_name="waiter")), JobOffered(Job("AJ_5", "lounge")))
        assert it.said(Accept, Decline) == [
            Accept("AJ_1", "voice-agent-AJ_1"),
            Decline("AJ_2", for_all=True),
            Decline("AJ_3", for_all=True),
            Accept("AJ_4", "voice-agent-AJ_4", "waiter"),
            Accept("AJ_5", "voice-agent-AJ_5"),
        ]


async def test_how_a_job_ended_is_told(autojump_clock: MockClock) -> None:
    async with owner() as it:
        await it.runs("tea", "lounge")
        assert [order.status for order in it.said(JobStatus)] == [JobOutcome.RUNNING] * 2  # type: ignore[union-attr]
        await it.end("tea")
        await it.end("lounge", EdgeFault("the SDK failed", "start again"))
        assert it.said(JobStatus) == [
            JobStatus("AJ_tea", JobOutcome.SUCCESS),
            JobStatus("AJ_lounge", JobOutcome.FAILED, "the SDK failed"),
        ]


async def test_a_fault_of_the_program_is_told_without_what_it_says(autojump_clock: MockClock) -> None:
    async with owner() as it:
        await it.runs("tea")
        await it.end("tea", ValueError("with a person's words"))
        assert it.said(JobStatus)[-1] == JobStatus("AJ_tea", JobOutcome.FAILED, "ValueError")


async def test_a_terminated_job_ends_and_its_neighbour_does_not(autojump_clock: MockClock) -> None:
    async with owner() as it:
        await it.runs("tea", "lounge")
        await it.hears(JobTerminated("AJ_tea"), JobTerminated("AJ_unknown"))
        assert set(it.specs) == {"lounge"}


async def test_an_agent_that_only_lost_its_room_comes_back_to_it(autojump_clock: MockClock) -> None:
    async with owner() as it:
        await it.runs("tea")
        it.wanted = {"AJ_tea"}
        await it.hears(JobTerminated("AJ_tea"))
        assert set(it.specs) == {"tea"}
        await it.end("tea")
        assert it.said(JobStatus)[-1] == JobStatus("AJ_tea", JobOutcome.SUCCESS)


async def test_a_termination_is_obeyed_if_nobody_can_say_why(autojump_clock: MockClock) -> None:
    async with owner() as it:
        await it.runs("tea")
        it.silent = True
        await it.hears(JobTerminated("AJ_tea"))
        await trio.sleep(6)
        assert not it.specs


async def test_a_termination_right_behind_the_assignment_is_not_missed(autojump_clock: MockClock) -> None:
    async with owner() as it:
        job = Job("AJ_tea", "tea")
        await it.hears(JobOffered(job), JobAssigned(job, "ws://there", Secret("t")), JobTerminated("AJ_tea"))
        assert not it.specs
        assert it.said(JobStatus)[-1] == JobStatus("AJ_tea", JobOutcome.SUCCESS)


async def test_a_job_that_ends_by_itself_is_not_to_be_done_again(autojump_clock: MockClock) -> None:
    async with owner(most=5) as it:
        await it.runs("tea", "lounge", "bar", "hall")
        await it.end("tea")
        await it.end("lounge", EdgeFault("the SDK failed", "start again"))
        await it.end("bar", ServiceBusy("the Voice Agent API says concurrency_exceeded", "wait"))
        await it.hears(JobTerminated("AJ_hall"))
        assert it.released == ["AJ_tea", "AJ_lounge"], "another account may have a place"


async def test_a_job_of_many_in_a_dispatch_leaves_it_to_the_others(autojump_clock: MockClock) -> None:
    async with owner() as it:
        job = Job("AJ_tea", "tea", JobKind.PARTICIPANT, "alice", agent_name="waiter")
        await it.hears(JobOffered(job), JobAssigned(job, "ws://there", Secret("t")))
        await it.end("tea")
        assert it.released == []


async def test_calls_that_a_worker_has_to_leave_are_left_to_other_workers(autojump_clock: MockClock) -> None:
    async with owner(drain_s=5) as it:
        await it.runs("tea")
        it.draining.set()
        await trio.sleep(6)
        assert it.over.is_set()
        assert it.released == []


async def test_a_worker_that_drains_waits_until_livekit_knows_that_the_last_call_is_over(
    autojump_clock: MockClock,
) -> None:
    async with owner() as it:
        await it.runs("tea")
        it.silent = True
        it.draining.set()
        await it.end("tea")
        assert not it.over.is_set()
        await trio.sleep(6)
        assert it.over.is_set(), "but not for ever"


async def test_whoever_was_cut_off_gives_up_the_rooms_that_another_worker_has_now(
    autojump_clock: MockClock,
) -> None:
    async with owner() as it:
        await it.hears(Registered("AW_1", "ws://there"))
        await it.runs("tea", "lounge")
        assert it.rooms.forgotten() == []
        await it.hears(WorkerLost("it went away", "wait", 1.0), Registered("AW_2", "ws://there"))
        assert {each.job.job_id for each in it.rooms.forgotten()} == {"AJ_tea", "AJ_lounge"}
        it.rooms.give_up("AJ_tea")
        await wait_all_tasks_blocked()
        assert set(it.specs) == {"lounge"}
        assert it.released == []
        assert {each.job.job_id for each in it.rooms.forgotten()} == {"AJ_lounge"}


async def test_when_the_dispatch_ends_calls_go_on_to_their_ends(autojump_clock: MockClock) -> None:
    async with owner() as it:
        await it.runs("tea")
        it.events.close()
        it.orders.close()
        await trio.sleep(1000)
        assert not it.over.is_set()
        await it.end("tea")
        assert it.over.is_set()


async def test_a_worker_that_drains_takes_no_jobs_and_ends_after_its_last_call(
    autojump_clock: MockClock,
) -> None:
    async with owner() as it:
        await it.runs("tea")
        it.said()
        it.draining.set()
        await it.hears(JobOffered(Job("AJ_2", "lounge")))
        assert it.said(WorkerStatus) == [WorkerStatus(1.0, 1, full=True, draining=True)]
        assert it.rooms.report().standing is Standing.DRAINING
        await trio.sleep(500)
        assert set(it.specs) == {"tea"}
        assert not it.over.is_set()
        await it.end("tea")
        assert it.over.is_set()


async def test_a_job_that_was_accepted_before_the_draining_is_served(autojump_clock: MockClock) -> None:
    async with owner() as it:
        job = Job("AJ_1", "tea")
        await it.hears(JobOffered(job))
        it.draining.set()
        await it.hears(JobAssigned(job, "ws://there", Secret("t")))
        assert set(it.specs) == {"tea"}
        await it.end("tea")
        assert it.over.is_set()


async def test_what_goes_on_for_too_long_is_left(autojump_clock: MockClock) -> None:
    async with owner(drain_s=30) as it:
        await it.runs("tea", "lounge")
        it.draining.set()
        await trio.sleep(29)
        assert set(it.specs) == {"tea", "lounge"}
        await trio.sleep(2)
        assert it.over.is_set()
        assert set(it.said(JobStatus)[-2:]) == {
            JobStatus("AJ_tea", JobOutcome.SUCCESS),
            JobStatus("AJ_lounge", JobOutcome.SUCCESS),
        }


async def test_a_busy_worker_leaves_jobs_to_others_and_is_ready_again_when_it_is_not(
    autojump_clock: MockClock,
) -> None:
    async with owner(most=10) as it:
        it.load = 0.8
        await it.hears(JobOffered(Job("AJ_1", "tea")))
        await trio.sleep(3)
        assert it.said(Accept, Decline) == [Decline("AJ_1")]
        assert it.rooms.report().standing is Standing.STARTING, "LiveKit does not know it yet"
        await it.hears(Registered("AW_1", "ws://there"))
        assert it.rooms.report().standing is Standing.FULL
        it.load = 0.2
        await trio.sleep(3)
        assert it.said(WorkerStatus)[-1] == WorkerStatus(0.27, 0)
        await it.hears(JobOffered(Job("AJ_2", "tea")))
        assert it.said(Accept)
        assert it.rooms.report().standing is Standing.READY


async def test_while_the_service_has_no_place_jobs_are_left_to_workers_with_another_account(
    autojump_clock: MockClock,
) -> None:
    async with owner(most=10) as it:
        await it.runs("tea")
        it.said()
        refused = SessionLost("concurrency_exceeded", 1.0, no_place=True)
        await it.tell("tea", refused)
        assert it.said(WorkerStatus) == [WorkerStatus(1.0, 1, full=True)], "LiveKit is told at once"
        await it.hears(JobOffered(Job("AJ_2", "lounge")))
        assert it.said(Accept, Decline) == [Decline("AJ_2")], "others are asked"
        for _ in range(60):
            await it.tell("tea", refused)
            await trio.sleep(1)
        await it.tell("tea", SessionStarted("sess_1", resumed=False))
        assert it.said(WorkerStatus)[-1] == WorkerStatus(0.0, 1)
        await it.hears(JobOffered(Job("AJ_3", "lounge")))
        assert it.said(Accept)


async def test_a_call_that_ends_since_the_service_is_full_shows_it_too(autojump_clock: MockClock) -> None:
    async with owner(most=10) as it:
        await it.runs("tea")
        it.said()
        await it.end("tea", ServiceBusy("the Voice Agent API says at_capacity", "wait"))
        await it.hears(JobOffered(Job("AJ_2", "lounge")))
        assert it.said(Accept, Decline) == [Decline("AJ_2")]
        await trio.sleep(61)
        assert it.said(WorkerStatus)[-1] == WorkerStatus(0.0, 0), "not for ever"


async def test_a_session_that_is_lost_for_another_reason_keeps_nobody_out(autojump_clock: MockClock) -> None:
    async with owner(most=10) as it:
        await it.runs("tea")
        await it.tell("tea", SessionLost("the connection broke", 0.0))
        await it.hears(JobOffered(Job("AJ_2", "lounge")))
        assert len(it.said(Accept)) == 2


async def test_a_room_that_failed_is_begun_again_only_while_its_job_is_wanted(
    autojump_clock: MockClock,
) -> None:
    async with owner() as it:
        await it.runs("tea")
        is_wanted = it.specs["tea"].is_wanted
        assert is_wanted is not None
        assert not await is_wanted()
        it.wanted.add("AJ_tea")
        assert await is_wanted()


async def test_a_burst_is_declined_before_its_load_is_felt(autojump_clock: MockClock) -> None:
    async with owner(most=1000) as it:
        await it.hears(*(JobOffered(Job(f"AJ_{number}", f"room {number}")) for number in range(50)))
        answers = [type(order) for order in it.said(Accept, Decline)]
        assert Decline in answers
        assert answers[:5] == [Accept] * 5


async def test_a_job_chooses_for_its_room_and_a_bad_one_is_declined_for_everybody(
    autojump_clock: MockClock,
) -> None:
    async with owner(most=5) as it:
        good = Job("AJ_1", "tea", metadata='{"profile": "deliberate"}')
        await it.hears(JobOffered(good), JobAssigned(good, "ws://there", Secret("t")))
        assert it.specs["tea"].settings.front_end.profile == "deliberate"
        await it.hears(JobOffered(Job("AJ_2", "lounge", metadata='{"profile": "../secrets"}')))
        await it.hears(JobOffered(Job("AJ_3", "lounge", metadata='{"tools": ["delete_all"]}')))
        assert it.said(Accept, Decline)[1:] == [Decline("AJ_2", for_all=True), Decline("AJ_3", for_all=True)]
        assert len(it.rooms.report().rooms) == 1


async def test_a_fault_while_a_job_is_read_takes_no_other_room_with_it(autojump_clock: MockClock) -> None:
    async with owner(most=5) as it:
        await it.runs("tea")

        def fails(job: Job) -> None:
            raise OSError("the disk is gone")

        it.reads = fails
        await it.hears(JobOffered(Job("AJ_2", "lounge")))
        assert it.said(Decline) == [Decline("AJ_2")]
        assert set(it.specs) == {"tea"}


async def test_a_report_says_what_it_takes_to_ask_again(autojump_clock: MockClock) -> None:
    async with owner() as it:
        job = Job("AJ_1", "tea", agent_name="waiter", metadata='{"voice": "anna"}')
        await it.hears(JobOffered(job), JobAssigned(job, "ws://there", Secret("t")))
        (room,) = it.rooms.report().rooms
        assert (room.room, room.agent_name, room.metadata) == ("tea", "waiter", '{"voice": "anna"}')


def test_calls_of_many_rooms_are_not_recorded_into_one_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--record", "calls/{room}.jsonl", "serve"])
    assert "{time}" in capsys.readouterr().err
    assert parse(["--record", "calls/{room}-{time}.jsonl", "serve", "--rooms", "3"]).rooms == 3
