"""What the agent is said to do: what the room hears comes first."""

from __future__ import annotations

import pytest

from channels.agent_state import THINKS_AT_MOST_S, AgentState, StateKeeper
from channels.happenings import (
    CallEnded,
    FloorHolder,
    FloorPassed,
    Happening,
    SessionLost,
    SessionStarted,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
)

STARTED = SessionStarted("s", resumed=False)
LOST = SessionLost("why", retry_in_s=1.0)
NOBODY, PERSON, ANSWER, AGENT = (FloorPassed(holder, 1, 0.0) for holder in FloorHolder)
CALLED = ToolCalled("c1", "look_up")
ANSWERED = ToolAnswered("c1", "look_up", 100)


@pytest.mark.parametrize(
    ("happenings", "state"),
    [
        ([], AgentState.INITIALIZING),
        ([STARTED], AgentState.LISTENING),
        ([STARTED, PERSON], AgentState.LISTENING),
        ([STARTED, PERSON, ANSWER], AgentState.THINKING),
        ([STARTED, PERSON, ANSWER, AGENT], AgentState.SPEAKING),
        ([STARTED, PERSON, ANSWER, PERSON], AgentState.LISTENING),
        ([STARTED, AGENT, PERSON], AgentState.LISTENING),
        ([STARTED, AGENT, PERSON, AGENT], AgentState.SPEAKING),
        ([STARTED, AGENT, NOBODY], AgentState.LISTENING),
        ([STARTED, CALLED], AgentState.THINKING),
        ([STARTED, AGENT, CALLED], AgentState.SPEAKING),
        ([STARTED, AGENT, CALLED, NOBODY], AgentState.THINKING),
        ([STARTED, CALLED, PERSON], AgentState.LISTENING),
        ([STARTED, CALLED, ANSWERED], AgentState.THINKING),
        ([STARTED, CALLED, ANSWERED, AGENT, NOBODY], AgentState.LISTENING),
        ([STARTED, CALLED, ToolDropped("c1", "look_up", "why")], AgentState.LISTENING),
        ([STARTED, CALLED, LOST, STARTED], AgentState.LISTENING),
        ([STARTED, LOST], AgentState.INITIALIZING),
        ([STARTED, AGENT, LOST], AgentState.SPEAKING),
        ([STARTED, AGENT, LOST, NOBODY], AgentState.INITIALIZING),
        ([STARTED, AGENT, LOST, STARTED], AgentState.SPEAKING),
        ([STARTED, CallEnded("nobody spoke for a long time")], AgentState.IDLE),
        ([STARTED, AGENT, CallEnded("everybody left")], AgentState.SPEAKING),
        ([STARTED, CALLED, CallEnded("everybody left"), STARTED], AgentState.LISTENING),
    ],
)
def test_the_state_follows_from_what_happened(happenings: list[Happening], state: AgentState) -> None:
    keeper = StateKeeper()
    for happening in happenings:
        keeper.take(happening, 0.0)
    assert keeper.state is state


def test_a_result_without_an_answer_is_not_thought_about_for_ever() -> None:
    keeper = StateKeeper()
    for happening in (STARTED, CALLED):
        keeper.take(happening, 0.0)
    keeper.take(ANSWERED, 1.0)
    assert keeper.pass_time(keeper.thinking_until - 0.1) is AgentState.THINKING
    assert keeper.pass_time(1.0 + THINKS_AT_MOST_S) is AgentState.LISTENING
