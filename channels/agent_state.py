"""What the agent is doing, as a person would say it. Pure: it follows from what happened and nothing else.

"Speaking" means that the room hears something, so the state can never speak of a sound that is not there.
"""

from __future__ import annotations

import enum
import math

from attrs import define, field

from channels.happenings import (
    Happening,
    Interrupted,
    ReplyBegan,
    ReplyEnded,
    SessionLost,
    SessionStarted,
    TurnStarted,
    TurnStopped,
    VoiceHeld,
    VoiceResumed,
)

__all__ = ["THINKS_AT_MOST_S", "AgentState", "StateKeeper"]

THINKS_AT_MOST_S = 10.0
"""A turn may have no answer (a cough, a mere "mm-hm"): after this the agent is taken to listen again."""


class AgentState(enum.Enum):
    """The values are those of LiveKit's `lk.agent.state`."""

    INITIALIZING = "initializing"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


@define
class StateKeeper:
    """Keeps the state of one agent."""

    state: AgentState = field(default=AgentState.INITIALIZING, init=False)
    thinking_until: float = field(default=math.inf, init=False)
    """When to call `pass_time` (s); infinity while the agent does not think."""
    _audible: set[str] = field(factory=set, init=False)
    """Replies of which something is being heard."""

    def take(self, happening: Happening, now: float) -> AgentState:
        """The state after a happening that is heard of at `now` (s)."""
        match happening:
            case SessionStarted():
                self._become(AgentState.LISTENING, now)
            case SessionLost():
                self._become(AgentState.INITIALIZING, now)
            case TurnStarted() if not self._audible:
                self._become(AgentState.LISTENING, now)
            case TurnStopped() if not self._audible:
                self._become(AgentState.THINKING, now)
            case ReplyBegan(reply_id=reply_id):
                self._audible.add(reply_id)
                self._become(AgentState.SPEAKING, now)
            case VoiceHeld():
                self._become(AgentState.LISTENING, now)
            case VoiceResumed() if self._audible:
                self._become(AgentState.SPEAKING, now)
            case Interrupted(reply_id=reply_id) | ReplyEnded(reply_id=reply_id):
                self._audible.discard(reply_id)
                if self.state is AgentState.SPEAKING and not self._audible:
                    self._become(AgentState.LISTENING, now)
            case _:
                pass
        return self.state

    def pass_time(self, now: float) -> AgentState:
        """The state at `now` if nothing has happened."""
        if now >= self.thinking_until:
            self._become(AgentState.LISTENING, now)
        return self.state

    def _become(self, state: AgentState, now: float) -> None:
        if state is not self.state or state is AgentState.THINKING:
            self.thinking_until = now + THINKS_AT_MOST_S if state is AgentState.THINKING else math.inf
        self.state = state
