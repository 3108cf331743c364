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
    ToolAnswered,
    ToolCalled,
    ToolDropped,
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
    _connected: bool = field(default=False, init=False)
    _held: bool = field(default=False, init=False)
    _person_speaks: bool = field(default=False, init=False)
    """By the service's decision."""
    _audible: set[str] = field(factory=set, init=False)
    """Replies of which something is being heard, or was before they were held."""
    tools: dict[str, str] = field(factory=dict, init=False)
    """The tools that run, by their calls."""

    def take(self, happening: Happening, now: float) -> AgentState:
        """The state after a happening that is heard of at `now` (s)."""
        match happening:
            case SessionStarted(resumed=resumed):
                self._connected, self.thinking_until = True, math.inf
                if not resumed:
                    self.tools.clear()
            case SessionLost():
                self._connected, self.thinking_until = False, math.inf
            case TurnStarted():
                self._person_speaks, self._held, self.thinking_until = True, False, math.inf
            case TurnStopped():
                self._person_speaks = False
                if not self._audible:
                    self.thinking_until = now + THINKS_AT_MOST_S
            case ReplyBegan(reply_id=reply_id):
                self._audible.add(reply_id)
                self.thinking_until = math.inf
            case VoiceHeld():
                self._held, self.thinking_until = True, math.inf
            case VoiceResumed():
                self._held = False
            case Interrupted(reply_id=reply_id) | ReplyEnded(reply_id=reply_id):
                self._audible.discard(reply_id)
                self._held = self._held and bool(self._audible)
            case ToolCalled(call_id=call_id, name=name):
                self.tools[call_id] = name
            case ToolAnswered(call_id=call_id) if self.tools.pop(call_id, None) is not None:
                self.thinking_until = now + THINKS_AT_MOST_S
            case ToolDropped(call_id=call_id):
                self.tools.pop(call_id, None)
            case _:
                pass
        return self._find()

    def pass_time(self, now: float) -> AgentState:
        """The state at `now` if nothing has happened."""
        if now >= self.thinking_until:
            self.thinking_until = math.inf
        return self._find()

    def _find(self) -> AgentState:
        # What the room hears comes first: a voice goes on while the connection is being mended.
        if self._audible and not self._held:
            self.state = AgentState.SPEAKING
        elif not self._connected:
            self.state = AgentState.INITIALIZING
        elif self.thinking_until < math.inf or (self.tools and not self._person_speaks):
            self.state = AgentState.THINKING
        else:
            self.state = AgentState.LISTENING
        return self.state
