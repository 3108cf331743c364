"""Which dispatches have lost their agents, and for how long: the rules alone."""

from __future__ import annotations

import pytest
from livekit.protocol.agent import Job, JobState, JobStatus, JobType
from livekit.protocol.agent_dispatch import AgentDispatch, AgentDispatchState, JobRestartPolicy

from channels import jobs
from channels.jobs import JobAssigned
from channels.secret import Secret
from commands.fleet.orphans import ABSENT_S, Absences, is_lost, is_replaced


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
