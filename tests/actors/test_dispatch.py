"""How a worker stays registered, what it does with offers, and what a rude server cannot do to it."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given
from livekit.protocol import agent, models
from trio.testing import MockClock

from actors.dispatch.ledger import MOST_OPEN
from actors.dispatch.protocol import LARGEST_MESSAGE, Unreadable, UnusableJob, read
from channels.errors import NoDispatch, VoiceAgentError, WorkerRefused
from channels.jobs import (
    Accept,
    Decline,
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
    WorkerStatus,
)
from channels.settings import WorkerSettings
from tests.actors.dispatch_support import (
    ACCOUNT,
    SECRET,
    Dispatch,
    assignment,
    offer,
    termination,
    worker,
)

SECOND, THIRD = "ws://127.0.0.1:7890", "ws://127.0.0.1:7900"


async def run_a_job(dispatch: Dispatch, it: Any, job_id: str = "AJ_1") -> JobAssigned:
    await dispatch.say(offer(job_id))
    assert (await it.next(JobOffered)).job.job_id == job_id
    it.orders.send_nowait(Accept(job_id, f"agent-{job_id}"))
    await dispatch.is_told("availability", len(dispatch.said("availability")) + 1)
    await dispatch.say(assignment(job_id))
    assigned = await it.next(JobAssigned)
    assert isinstance(assigned, JobAssigned)
    return assigned


# Registering.


async def test_it_registers_as_its_settings_say_with_a_token_that_may_do_nothing_else(
    autojump_clock: MockClock,
) -> None:
    dispatch = Dispatch()
    async with worker(dispatch, WorkerSettings("waiter", "participant", "ns")) as it:
        assert await it.next(Registered) == Registered("AW_1", ACCOUNT.url)
        (told,) = dispatch.said("register")
        assert (told.agent_name, told.type, told.namespace) == ("waiter", agent.JT_PARTICIPANT, "ns")
        assert told.allowed_permissions.can_publish
        assert not told.allowed_permissions.hidden
        assert dispatch.paths == ["/agent"]
        claims = dispatch.claims()
        assert [grant for grant, given in claims["video"].items() if given] == ["agent"]
        assert claims["exp"] - claims["nbf"] <= 600


@pytest.mark.parametrize(("status", "kind"), [(401, WorkerRefused), (403, WorkerRefused), (404, NoDispatch)])
async def test_a_wrong_key_or_a_server_without_dispatch_ends_it_at_once_with_the_fix(
    autojump_clock: MockClock, status: int, kind: type[VoiceAgentError]
) -> None:
    dispatch = Dispatch({ACCOUNT.url: status})
    async with worker(dispatch) as it:
        await it.over.wait()
        assert type(it.failure) is kind
        assert "LIVEKIT_" in str(it.failure)
        assert SECRET not in str(it.failure)
        assert len(dispatch.dialled) == 1


async def test_a_key_that_worked_is_tried_for_a_minute_before_it_counts_as_refused(
    autojump_clock: MockClock,
) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        dispatch.answers = {ACCOUNT.url: 401}
        await dispatch.hang_up()
        began = trio.current_time()
        await it.over.wait()
        assert isinstance(it.failure, WorkerRefused)
        assert 60 <= trio.current_time() - began < 90


async def test_a_gateway_that_refuses_for_a_moment_does_not_end_it(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        dispatch.answers = {ACCOUNT.url: 404}
        await dispatch.hang_up()
        await trio.sleep(30)
        dispatch.answers = {}
        await it.next_of(Registered)


async def test_refusals_count_only_while_nothing_else_is_answered(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.hang_up()
        for status in (404, 0) * 5:
            dispatch.answers = {ACCOUNT.url: status}
            await trio.sleep(50)
        assert not it.over.is_set()
        dispatch.answers = {}
        await it.next_of(Registered)


async def test_a_server_that_is_away_is_tried_until_it_is_back_and_never_hammered(
    autojump_clock: MockClock,
) -> None:
    dispatch = Dispatch({ACCOUNT.url: 0})
    async with worker(dispatch) as it:
        await trio.sleep(3600)
        assert not it.over.is_set()
        assert 3600 / 10 <= len(dispatch.dialled) < 1000
        lost = await it.next(WorkerLost)
        assert ACCOUNT.url in lost.why
        dispatch.answers = {}
        await it.next_of(Registered)


async def test_each_address_is_tried_in_turn_and_the_one_that_held_is_tried_first(
    autojump_clock: MockClock,
) -> None:
    dispatch = Dispatch({ACCOUNT.url: 0, SECOND: 404})
    async with worker(dispatch, WorkerSettings(urls=(SECOND, THIRD))) as it:
        assert (await it.next_of(Registered)).url == THIRD
        assert [url for _, url in dispatch.dialled] == [ACCOUNT.url, SECOND, THIRD]
        await trio.sleep(20)
        await dispatch.hang_up()
        assert (await it.next_of(Registered)).url == THIRD
        # It hung up at once: perhaps another is better.
        dispatch.answers = {}
        await dispatch.hang_up()
        assert (await it.next_of(Registered)).url == ACCOUNT.url


async def test_a_server_that_goes_away_is_left_for_another(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch, WorkerSettings(urls=(SECOND,))) as it:
        await it.next(Registered)
        await trio.sleep(60)
        await dispatch.say(agent.ServerMessage(go_away={"reason": "\x1b[2Jdrain"}))
        lost = await it.next(WorkerLost)
        assert "going away" in lost.why
        assert "\x1b" not in lost.why
        assert (await it.next(Registered)).url == SECOND


async def test_what_hangs_up_on_a_worker_is_not_said_to_be_away(autojump_clock: MockClock) -> None:
    dispatch = Dispatch({ACCOUNT.url: -1})
    async with worker(dispatch) as it:
        assert "opens no websocket" in (await it.next(WorkerLost)).why


async def test_a_server_that_never_answers_the_registration_is_given_up(autojump_clock: MockClock) -> None:
    dispatch = Dispatch(registers=False)
    async with worker(dispatch) as it:
        lost = await it.next(WorkerLost)
        assert "did not register" in lost.why
        dispatch.registers = True
        await it.next(Registered)


async def test_a_connection_that_answers_no_ping_is_dead(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        began = trio.current_time()
        dispatch.lines[-1].stall()
        lost = await it.next(WorkerLost)
        assert "ping" in lost.why
        assert trio.current_time() - began <= 16
        await it.next(Registered)


# Jobs.


async def test_an_offer_becomes_a_job_with_its_room_its_token_and_the_servers_address(
    autojump_clock: MockClock,
) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1", "tea", metadata='{"a": 1}', attributes={"b": "c"}, dispatch_id="AD"))
        offered = await it.next(JobOffered)
        assert (offered.job.room_name, offered.job.metadata) == ("tea", '{"a": 1}')
        assert (offered.job.attributes, offered.job.kind) == ({"b": "c"}, JobKind.ROOM)
        it.orders.send_nowait(Accept("AJ_1", "agent-1", "Agent", attributes={"x": "y"}))
        told = await dispatch.is_told("availability")
        assert (told.job_id, told.available, told.participant_identity) == ("AJ_1", True, "agent-1")
        assert dict(told.participant_attributes) == {"x": "y"}
        await dispatch.say(assignment("AJ_1", "to.ken."))
        assigned = await it.next(JobAssigned)
        assert assigned == JobAssigned(offered.job, ACCOUNT.url, assigned.token)
        assert assigned.token.reveal() == "to.ken."
        assert "to.ken." not in repr(assigned)
        assert '"a"' not in repr(offered)


async def test_the_room_may_be_at_an_address_of_its_own(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        it.orders.send_nowait(Accept("AJ_1", "agent"))
        await dispatch.is_told("availability")
        await dispatch.say(assignment("AJ_1", url="wss://other.example"))
        assert (await it.next(JobAssigned)).url == "wss://other.example"


async def test_a_declined_job_is_left_to_others(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        it.orders.send_nowait(Decline("AJ_1"))
        told = await dispatch.is_told("availability")
        assert (told.job_id, told.available, told.terminate) == ("AJ_1", False, False)
        # Too late: it is somebody else's.
        it.orders.send_nowait(Accept("AJ_1", "agent"))
        await trio.sleep(1)
        assert len(dispatch.said("availability")) == 1


async def test_a_job_that_nobody_is_to_have_is_ended(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        it.orders.send_nowait(Decline("AJ_1", for_all=True))
        told = await dispatch.is_told("availability")
        assert (told.available, told.terminate) == (False, True)


async def test_an_offer_that_is_answered_too_late_was_given_up(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        assert (await it.next(OfferLapsed)).job_id == "AJ_1"
        # So that the server asks somebody else.
        assert not (await dispatch.is_told("availability")).available
        it.orders.send_nowait(Accept("AJ_1", "agent"))
        await dispatch.say(assignment("AJ_1"))
        told = await dispatch.is_told("update_job")
        assert (told.job_id, told.status) == ("AJ_1", agent.JS_FAILED)
        await trio.sleep(1)
        assert not list(it.events.receive_waiting())


async def test_an_accepted_job_that_nobody_assigns_lapses_and_comes_to_nothing_later(
    autojump_clock: MockClock,
) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        it.orders.send_nowait(Accept("AJ_1", "agent"))
        assert (await it.next(OfferLapsed)).job_id == "AJ_1"
        await dispatch.say(assignment("AJ_1"))
        assert (await dispatch.is_told("update_job")).status == agent.JS_FAILED


@pytest.mark.parametrize("answered", [False, True])
async def test_offers_do_not_outlive_the_connection(autojump_clock: MockClock, answered: bool) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        if answered:
            it.orders.send_nowait(Accept("AJ_1", "agent"))
            await dispatch.is_told("availability")
        await dispatch.hang_up()
        assert (await it.next(OfferLapsed)).job_id == "AJ_1"


async def test_an_assignment_that_nobody_accepted_is_not_a_job(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(assignment("AJ_never"))
        assert (await dispatch.is_told("update_job")).status == agent.JS_FAILED
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        await dispatch.say(assignment("AJ_1"))
        assert (await it.next(OfferLapsed)).job_id == "AJ_1"
        assert (await dispatch.is_told("update_job", 2)).job_id == "AJ_1"


async def test_the_end_of_a_job_is_passed_on_once_and_only_for_jobs_that_run(
    autojump_clock: MockClock,
) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await run_a_job(dispatch, it)
        for job_id in ("AJ_unknown", "AJ_1", "AJ_1"):
            await dispatch.say(termination(job_id))
        assert (await it.next(JobTerminated)).job_id == "AJ_1"
        it.orders.send_nowait(JobStatus("AJ_1", JobOutcome.FAILED, "x" * 1000))
        told = await dispatch.is_told("update_job")
        assert told.status == agent.JS_FAILED
        assert len(told.error) == 300
        await trio.sleep(1)
        assert not list(it.events.receive_waiting())


async def test_after_a_break_it_says_which_jobs_run_and_how_busy_it_is(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await run_a_job(dispatch, it, "AJ_1")
        await run_a_job(dispatch, it, "AJ_2")
        it.orders.send_nowait(WorkerStatus(0.5, 2))
        told = await dispatch.is_told("update_worker")
        assert (told.status, told.job_count) == (agent.WS_AVAILABLE, 2)
        assert told.load == pytest.approx(0.35)
        assert not dispatch.said("migrate_job")
        await dispatch.hang_up()
        await it.next(WorkerLost)
        it.orders.send_nowait(JobStatus("AJ_1", JobOutcome.SUCCESS))
        it.orders.send_nowait(WorkerStatus(0.25, 1, draining=True))
        await it.next(Registered)
        assert list((await dispatch.is_told("migrate_job")).job_ids) == ["AJ_2"]
        told = await dispatch.is_told("update_worker", 2)
        # The server itself knows nothing of draining.
        assert (told.status, told.load, told.draining) == (agent.WS_FULL, 1.0, True)


async def test_when_the_orders_end_the_last_words_still_go_out(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await run_a_job(dispatch, it)
        it.orders.send_nowait(JobStatus("AJ_1", JobOutcome.SUCCESS))
        it.orders.close()
        await it.over.wait()
        assert (await dispatch.is_told("update_job")).status == agent.JS_SUCCESS
        assert it.failure is None


async def test_it_ends_with_its_orders_also_while_nobody_answers(autojump_clock: MockClock) -> None:
    dispatch = Dispatch({ACCOUNT.url: 0})
    async with worker(dispatch) as it:
        await it.next(WorkerLost)
        it.orders.close()
        with trio.fail_after(2):
            await it.over.wait()


@pytest.mark.parametrize("load", [math.nan, math.inf, -1.0, 7.0])
def test_a_load_is_a_share(load: float) -> None:
    assert 0 <= WorkerStatus(load, -5).load <= 1
    assert WorkerStatus(load, -5).jobs == 0


# A server without manners.


@given(st.binary(max_size=300) | st.text(max_size=50))
def test_any_message_is_read_or_passed_over(frame: bytes | str) -> None:
    read(frame)


@given(
    st.builds(
        agent.Job,
        id=st.text(max_size=300),
        type=st.integers(0, 5),
        room=st.none() | st.builds(models.Room, name=st.text(max_size=300)),
        participant=st.none() | st.builds(models.ParticipantInfo, identity=st.text(max_size=300)),
        metadata=st.text(max_size=20) | st.just("x" * 70_000),
        attributes=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    )
)
def test_any_job_is_whole_or_unusable(job: agent.Job) -> None:
    said = read(agent.ServerMessage(availability={"job": job}).SerializeToString())
    if isinstance(said, Unreadable):
        assert not 0 < len(job.id) <= 128
    elif not isinstance(said, UnusableJob):
        assert said.job.room_name == job.room.name != ""  # type: ignore[union-attr]
        assert said.job.kind is JobKind.ROOM or said.job.participant  # type: ignore[union-attr]


UNUSABLE = {
    "no room": offer("AJ_1", ""),
    "a room's name without end": offer("AJ_1", "x" * 257),
    "an unknown kind": offer("AJ_1", type=7),
    "a person's job without the person": offer("AJ_1", type=agent.JT_PARTICIPANT),
    "too much metadata": offer("AJ_1", metadata="x" * 64_001),
    "too many attributes": offer("AJ_1", attributes={str(n): "" for n in range(257)}),
}


@pytest.mark.parametrize("what", UNUSABLE)
async def test_a_job_that_cannot_be_served_is_declined(autojump_clock: MockClock, what: str) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(UNUSABLE[what])
        told = await dispatch.is_told("availability")
        assert (told.job_id, told.available) == ("AJ_1", False)
        assert not list(it.events.receive_waiting())


@pytest.mark.parametrize(
    "given",
    [
        assignment("AJ_1", ""),
        assignment("AJ_1", "x" * 20_001),
        assignment("AJ_1", "a\r\nb"),
        assignment("AJ_1", url="file:///etc/passwd"),
        assignment("AJ_1", url="ws://user:password@host"),
    ],
    ids=["no token", "a long token", "a token of two lines", "a file", "a password"],
)
async def test_an_assignment_that_cannot_be_used_is_a_failed_job(
    autojump_clock: MockClock, given: agent.ServerMessage
) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        it.orders.send_nowait(Accept("AJ_1", "agent"))
        await dispatch.is_told("availability")
        await dispatch.say(given)
        assert "password" not in (await it.next(OfferLapsed)).why.partition("has a user or a password")[2]
        assert (await dispatch.is_told("update_job")).status == agent.JS_FAILED


async def test_nobody_is_led_from_tls_to_a_server_without(autojump_clock: MockClock) -> None:
    secure = "wss://livekit.example"
    dispatch = Dispatch({ACCOUNT.url: 0})
    async with worker(dispatch, WorkerSettings(urls=(secure,))) as it:
        await it.next_of(Registered)
        await dispatch.say(offer("AJ_1"))
        await it.next(JobOffered)
        it.orders.send_nowait(Accept("AJ_1", "agent"))
        await dispatch.is_told("availability")
        await dispatch.say(assignment("AJ_1", url="ws://livekit.example"))
        assert "TLS" in (await it.next(OfferLapsed)).why


async def test_garbage_is_passed_over_and_the_next_offer_counts(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        garbage: list[bytes | str] = [
            b"\xff" * 1000,
            b"",
            "text",
            '{"register": {}}',
            b"\x12\x00",
            b"\x0a" * 9,
        ]
        for each in garbage:
            await dispatch.say(each)
        await dispatch.say(offer("AJ_1"))
        assert (await it.next(JobOffered)).job.job_id == "AJ_1"
        assert it.actor.unreadable == len(garbage)


async def test_a_message_without_end_ends_the_connection_only(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        await dispatch.say(bytes(LARGEST_MESSAGE + 1))
        await it.next(WorkerLost)
        await it.next(Registered)


async def test_a_flood_of_offers_is_declined_beyond_a_bound(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    events: list[WorkerEvent] = []
    async with worker(dispatch, on_event=events.append) as it:
        await it.next(Registered)
        for number in range(MOST_OPEN + 100):
            await dispatch.say(offer(f"AJ_{number}"))
            await dispatch.say(offer("AJ_0"))
        await dispatch.is_told("availability", 100)
        assert len(events) == 1 + MOST_OPEN
        # After ten seconds nobody waits for an answer any more, and new ones are heard.
        await trio.sleep(11)
        await dispatch.say(offer("AJ_new"))
        assert (await it.next_of(JobOffered)).job.job_id
        assert not it.over.is_set()


async def test_a_server_that_reads_nothing_is_left(autojump_clock: MockClock) -> None:
    dispatch = Dispatch()
    async with worker(dispatch) as it:
        await it.next(Registered)
        dispatch.lines[-1].stall(only_out=True)
        for _ in range(2000):
            it.orders.send_nowait(WorkerStatus(0.5, 1))
            await trio.sleep(0.001)
        assert "does not take" in (await it.next(WorkerLost)).why
        await it.next(Registered)
