"""What the agent is said to do: what the room hears comes first."""

from __future__ import annotations

import pytest

from channels.agent_state import THINKS_AT_MOST_S, AgentState, StateKeeper
from channels.happenings import (
    Happening,
    Interrupted,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SessionLost,
    SessionStarted,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
    TurnStarted,
    TurnStopped,
    VoiceHeld,
    VoiceResumed,
)

STARTED = SessionStarted("s", resumed=False)
LOST = SessionLost("why", retry_in_s=1.0)
BEGAN = ReplyBegan("r", 0.0)
CALLED = ToolCalled("c1", "look_up")
ANSWERED = ToolAnswered("c1", "look_up", 100)
ENDED = ReplyEnded("r", ReplyOutcome.PLAYED, 1000, "", 0.0)


@pytest.mark.parametrize(
    ("happenings", "state"),
    [
        ([], AgentState.INITIALIZING),
        ([STARTED], AgentState.LISTENING),
        ([STARTED, TurnStopped(0.0)], AgentState.THINKING),
        ([STARTED, TurnStopped(0.0), BEGAN], AgentState.SPEAKING),
        ([STARTED, TurnStopped(0.0), TurnStarted(0.0)], AgentState.LISTENING),
        ([STARTED, BEGAN, ENDED], AgentState.LISTENING),
        ([STARTED, BEGAN, VoiceHeld(0.0)], AgentState.LISTENING),
        ([STARTED, BEGAN, VoiceHeld(0.0), VoiceResumed(0.0, 0)], AgentState.SPEAKING),
        ([STARTED, BEGAN, VoiceHeld(0.0), Interrupted("r", 0.0)], AgentState.LISTENING),
        ([STARTED, BEGAN, VoiceHeld(0.0), Interrupted("r", 0.0), BEGAN], AgentState.SPEAKING),
        ([STARTED, CALLED], AgentState.THINKING),
        ([STARTED, BEGAN, CALLED], AgentState.SPEAKING),
        ([STARTED, BEGAN, CALLED, ENDED], AgentState.THINKING),
        ([STARTED, CALLED, TurnStarted(0.0)], AgentState.LISTENING),
        ([STARTED, CALLED, ANSWERED], AgentState.THINKING),
        ([STARTED, CALLED, ANSWERED, BEGAN, ENDED], AgentState.LISTENING),
        ([STARTED, CALLED, ToolDropped("c1", "look_up", "why")], AgentState.LISTENING),
        ([STARTED, CALLED, LOST, STARTED], AgentState.LISTENING),
        ([STARTED, LOST], AgentState.INITIALIZING),
        ([STARTED, BEGAN, LOST], AgentState.SPEAKING),
        ([STARTED, BEGAN, LOST, ENDED], AgentState.INITIALIZING),
        ([STARTED, BEGAN, LOST, STARTED], AgentState.SPEAKING),
    ],
)
def test_the_state_follows_from_what_happened(happenings: list[Happening], state: AgentState) -> None:
    keeper = StateKeeper()
    for happening in happenings:
        keeper.take(happening, 0.0)
    assert keeper.state is state


def test_a_turn_without_an_answer_is_not_thought_about_for_ever() -> None:
    keeper = StateKeeper()
    keeper.take(STARTED, 0.0)
    keeper.take(TurnStopped(1.0), 1.0)
    assert keeper.pass_time(keeper.thinking_until - 0.1) is AgentState.THINKING
    assert keeper.pass_time(1.0 + THINKS_AT_MOST_S) is AgentState.LISTENING
