"""What the agent is doing, as a person would put it: from the floor, the tools and the connection.

No I/O, no clock. "Speaking" means that the room hears something, so the state never claims a sound that is
not there.
"""

from __future__ import annotations

import enum
import math

from attrs import define, field

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

__all__ = ["THINKS_AT_MOST_S", "AgentState", "StateKeeper"]

THINKS_AT_MOST_S = 10.0
"""How long to wait for an answer after a tool's result."""


class AgentState(enum.Enum):
    """The values are those of LiveKit's `lk.agent.state`."""

    INITIALIZING = "initializing"
    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"


@define
class StateKeeper:
    """Keeps the state of one agent."""

    state: AgentState = field(default=AgentState.INITIALIZING, init=False)
    thinking_until: float = field(default=math.inf, init=False)
    """When to call `pass_time` (s); infinity while nothing ends by itself."""
    tools: dict[str, str] = field(factory=dict, init=False)
    """The tools that run, by their calls."""
    _connected: bool = field(default=False, init=False)
    _resting: bool = field(default=False, init=False)
    """The session was ended properly, until somebody needs one."""
    _holder: FloorHolder = field(default=FloorHolder.NOBODY, init=False)

    def take(self, happening: Happening, now: float) -> AgentState:
        """The state after a happening that is heard of at `now` (s)."""
        match happening:
            case SessionStarted(resumed=resumed):
                self._connected, self._resting = True, False
                if not resumed:
                    self._forget_tools()
            case SessionLost():
                self._connected = False
            case CallEnded():
                self._connected, self._resting = False, True
                self._forget_tools()
            case FloorPassed(holder=holder):
                self._holder = holder
                if holder is not FloorHolder.NOBODY:
                    self.thinking_until = math.inf
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

    def _forget_tools(self) -> None:
        self.tools.clear()
        self.thinking_until = math.inf

    def _find(self) -> AgentState:
        works = bool(self.tools) or self.thinking_until < math.inf
        # What the room hears comes first: the voice goes on while the connection is being restored.
        match self._holder:
            case FloorHolder.AGENT:
                self.state = AgentState.SPEAKING
            case _ if self._resting:
                self.state = AgentState.IDLE
            case _ if not self._connected:
                self.state = AgentState.INITIALIZING
            case FloorHolder.ANSWER:
                self.state = AgentState.THINKING
            case FloorHolder.NOBODY if works:
                self.state = AgentState.THINKING
            case _:
                self.state = AgentState.LISTENING
        return self.state
