"""Decides which calls run, and whether and when results are sent: a pure function over frozen values.

`step(state, event, now)` returns the next state, the commands and the happenings for the taps. The rules:

- A call belongs to the reply that began last. If the service interrupts that reply, the call's result is
  never sent, and a running tool is stopped. Speech alone is not an interruption.
- The same tool with the same arguments runs once per turn of the person, since models repeat themselves.
  Repeats get what the first call returned. A tool may say that it is `repeatable`.
- A tool that the service runs itself (`http` in its configuration) is never answered, and no call is answered
  twice.
- A result is sent at once, or when its reply is done, as `ToolSettings` say; a `hold` tool's result at once.
- While the connection is broken, results wait. A resumed session gets them; a fresh one does not. Results
  that were handed over are the session's to deliver.
- Every call has a deadline, when the service stops waiting for it; nothing waits longer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import evolve, field, frozen

from channels.happenings import Happening, ToolAnswered, ToolCalled, ToolDropped
from channels.messages import ConnectionBroke, SessionOver, ToolEvent
from channels.settings import ToolSettings
from channels.tools import LONGEST_TIMEOUT_S, Tool, ToolOptions
from channels.wire.events import (
    AgentTranscript,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SessionUpdated,
    SpeechStopped,
    ToolCall,
)
from channels.wire.messages import ToolResult
from channels.wire.resolved import declared_tools

__all__ = [
    "AnotherTurn",
    "Command",
    "Event",
    "Returned",
    "Run",
    "Send",
    "Stop",
    "TimePassed",
    "ToolState",
    "step",
]

MOST_CALLS = 32
"""Calls at a time. A model makes a handful; more is a mistake, and answered as one."""

MOST_ASKED = 64
"""How many of a turn's latest results are kept for repeats: a result may be long."""

MOST_REMEMBERED = 1024
"""Finished calls that are remembered, so that none is answered twice."""


@frozen
class Run:
    """Call the tool."""

    call: ToolCall
    tool: Tool
    within_s: float


@frozen
class Send:
    """Hand this to the service."""

    result: ToolResult


@frozen
class Stop:
    """Stop everything for this call."""

    call_id: str


Command: TypeAlias = Run | Send | Stop


@frozen
class Returned:
    """What came of a `Run`."""

    call_id: str
    text: str
    is_error: bool = False
    traceback: str | None = None


@frozen
class TimePassed:
    """The deadline may be over."""


@frozen
class AnotherTurn:
    """The person has begun another turn: calls from now on are not repeats of earlier ones."""


Event: TypeAlias = ToolEvent | Returned | TimePassed | AnotherTurn


@frozen
class _Call:
    """A call that is not over."""

    name: str
    reply_id: str | None
    asked_at: float
    over_at: float
    """When the service no longer waits for it."""
    hold: bool
    returned: Returned | None = None
    returned_at: float = math.inf
    repeats: str | None = None
    """The call that this one repeats."""
    sent: bool = False
    """Handed over. It may still be waiting, until a later reply shows that it was sent."""


@frozen
class _Asked:
    """What a tool was called for first in a turn."""

    call_id: str
    returned: Returned | None = None


@frozen
class _Reply:
    reply_id: str
    done: bool = False
    interrupted: bool = False


@frozen
class ToolState:
    """All that the runner knows."""

    settings: ToolSettings
    session_id: str | None = None
    connected: bool = False
    declared: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    """The service's own view of the tools, by name."""
    reply: _Reply | None = None
    """The one that began last."""
    calls: Mapping[str, _Call] = field(factory=dict)
    over: tuple[str, ...] = ()
    """Calls that are answered or dropped, the latest ones."""
    asked: Mapping[tuple[str, str], _Asked] = field(factory=dict)
    """What this turn of the person has called for, by name and arguments."""

    @property
    def deadline(self) -> float:
        """When to look again even if nothing happens (s; infinity: never)."""
        return min((self._next_change(call) for call in self.calls.values()), default=math.inf)

    def may_go(self, call: _Call, now: float) -> bool:
        """Whether the result of a call may be sent."""
        if call.returned is None or call.sent or not self.connected:
            return False
        waits = not call.hold and self.settings.send_results == "after-reply"
        return not waits or not self._is_open(call.reply_id) or now >= self._patience(call)

    def tool(self, name: str) -> Tool | None:
        """The tool of that name."""
        return next((tool for tool in self.settings.functions if tool.name == name), None)

    def options(self, name: str) -> ToolOptions:
        """How a tool is called: the service's view if it has one, otherwise ours."""
        tool = self.tool(name)
        ours = ToolOptions() if tool is None else tool.options
        theirs = self.declared.get(name, {})
        seconds, mode = theirs.get("timeout_seconds"), theirs.get("execution_mode")
        return ToolOptions(
            _within(seconds, ours.timeout_seconds),
            mode if mode in ("interactive", "hold") else ours.execution_mode,
            ours.repeatable,
        )

    def _is_open(self, reply_id: str | None) -> bool:
        return self.reply is not None and self.reply.reply_id == reply_id and not self.reply.done

    def _patience(self, call: _Call) -> float:
        return call.returned_at + self.settings.longest_wait_ms / 1000

    def _next_change(self, call: _Call) -> float:
        waits = call.returned is not None and not call.sent and self.connected
        return min(call.over_at, self._patience(call)) if waits else call.over_at


def _within(seconds: object, otherwise: int) -> int:
    """What the service says a tool has, within what the protocol allows."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        return otherwise
    return max(1, int(min(seconds, LONGEST_TIMEOUT_S)))


Outcome: TypeAlias = tuple[ToolState, list[Command], list[Happening]]


def step(state: ToolState, event: Event, now: float) -> Outcome:
    """Handles an event at `now` (s)."""
    turn = _Step(state, now)
    match event:
        case ToolCall():
            turn.ask(event)
        case Returned():
            turn.note(event)
        case ReplyStarted(reply_id=reply_id):
            turn.begin(reply_id)
        case ReplyDone(reply_id=reply_id, status="interrupted"):
            turn.interrupt(reply_id)
        case ReplyDone(reply_id=reply_id):
            if state.reply is not None and state.reply.reply_id == reply_id:
                turn.change(reply=evolve(state.reply, done=True))
        case AgentTranscript(reply_id=reply_id, interrupted=True):
            turn.interrupt(reply_id)
        case SpeechStopped():
            if state.reply is not None and state.reply.interrupted:
                turn.change(reply=None)  # calls from now on belong to the new turn
        case AnotherTurn():
            turn.change(asked={})
        case SessionReady(session_id=session_id, config=config):
            turn.connect(session_id)
            turn.configure(config)
        case SessionUpdated(config=config):
            turn.configure(config)
        case ConnectionBroke():
            turn.change(connected=False)
        case SessionOver():
            turn.leave("its session is over")
        case TimePassed():
            pass
    turn.send_what_may_go()
    return turn.state, turn.commands, turn.happenings


class _Step:
    """One step in the making."""

    def __init__(self, state: ToolState, now: float) -> None:
        self.state = state
        self.now = now
        self.commands: list[Command] = []
        self.happenings: list[Happening] = []

    def change(self, **changes: Any) -> None:
        self.state = evolve(self.state, **changes)

    def ask(self, call: ToolCall) -> None:
        state, call_id, name = self.state, call.call_id, call.name
        if call_id in state.calls or call_id in state.over:
            return
        if state.declared.get(name, {}).get("http") is not None:
            return
        if state.reply is not None and state.reply.interrupted:
            self._forget(call_id)
            self.happenings.append(ToolDropped(call_id, name, "its turn was interrupted"))
            return
        options = state.options(name)
        reply_id = None if state.reply is None else state.reply.reply_id
        over_at = self.now + options.timeout_seconds
        self._put(call_id, _Call(name, reply_id, self.now, over_at, options.execution_mode == "hold"))
        self.happenings.append(ToolCalled(call_id, name))
        tool = state.tool(name)
        if tool is None:
            self.note(Returned(call_id, f"there is no tool called {name[:64]}", is_error=True))
        elif len(state.calls) >= MOST_CALLS:
            self.note(Returned(call_id, "too many calls at once", is_error=True))
        elif options.repeatable or not self._repeat(call):
            # A little less than the service allows, so that our error comes before its apology.
            margin_s = min(1.0, options.timeout_seconds / 10)
            self.commands.append(Run(call, tool, options.timeout_seconds - margin_s))

    def _repeat(self, call: ToolCall) -> bool:
        """Whether it is a repeat, which gets what the first one returns."""
        try:
            what = (call.name, json.dumps(call.arguments, sort_keys=True, default=str))
        except (RecursionError, TypeError, ValueError):
            return False  # too odd to be compared
        first = self.state.asked.get(what)
        if first is None:
            asked = {**self.state.asked, what: _Asked(call.call_id)}
            if len(asked) > MOST_ASKED:
                del asked[next(iter(asked))]
            self.change(asked=asked)
            return False
        self._put(call.call_id, evolve(self.state.calls[call.call_id], repeats=first.call_id))
        if first.returned is not None:
            self.note(evolve(first.returned, call_id=call.call_id))
        return True

    def note(self, returned: Returned) -> None:
        self._note_one(returned)
        asked = dict(self.state.asked)
        for what, first in self.state.asked.items():
            if first.call_id == returned.call_id and returned.is_error:
                del asked[what]  # a call after an error is a new try
            elif first.call_id == returned.call_id:
                asked[what] = evolve(first, returned=returned)
        self.change(asked=asked)
        for call_id, call in list(self.state.calls.items()):
            if call.repeats == returned.call_id and call.returned is None:
                self._note_one(evolve(returned, call_id=call_id))

    def _note_one(self, returned: Returned) -> None:
        call = self.state.calls.get(returned.call_id)
        if call is not None and call.returned is None:
            self._put(returned.call_id, evolve(call, returned=returned, returned_at=self.now))
            took_ms = round((self.now - call.asked_at) * 1000)
            self.happenings.append(
                ToolAnswered(
                    returned.call_id,
                    call.name,
                    took_ms,
                    returned.text if returned.is_error else None,
                    returned.traceback,
                )
            )

    def begin(self, reply_id: str) -> None:
        for call_id, call in list(self.state.calls.items()):
            if call.sent:
                self._end(call_id)  # the service goes on: it has the result
        if self.state.reply is None or self.state.reply.reply_id != reply_id:
            self.change(reply=_Reply(reply_id))

    def interrupt(self, reply_id: str) -> None:
        for call_id, call in list(self.state.calls.items()):
            if call.reply_id == reply_id:
                self._drop(call_id, "its turn was interrupted")
        if self.state.reply is not None and self.state.reply.reply_id == reply_id:
            self.change(reply=_Reply(reply_id, done=True, interrupted=True))

    def connect(self, session_id: str) -> None:
        if session_id != self.state.session_id:
            self.leave("its session was lost")
        self.change(session_id=session_id, connected=True)

    def leave(self, why: str) -> None:
        for call_id in list(self.state.calls):
            self._drop(call_id, why)
        self.change(reply=None, over=(), asked={}, connected=False)

    def configure(self, config: Mapping[str, Any]) -> None:
        declared = declared_tools(config)
        if declared is not None:
            self.change(declared=declared)

    def send_what_may_go(self) -> None:
        for call_id, call in list(self.state.calls.items()):
            if self.now >= call.over_at:
                self._drop(call_id, "the service no longer waits for it")
            elif call.returned is not None and self.state.may_go(call, self.now):
                self._put(call_id, evolve(call, sent=True))
                result = ToolResult(call_id, call.returned.text, call.returned.is_error)
                self.commands.append(Send(result))

    def _put(self, call_id: str, call: _Call) -> None:
        self.change(calls={**self.state.calls, call_id: call})

    def _drop(self, call_id: str, why: str) -> None:
        if (call := self.state.calls.get(call_id)) is None:
            return  # a repeat of one that was dropped before it
        self.commands.append(Stop(call_id))
        if call.returned is None:
            # It was stopped and has no result, so the same call runs if it is made again.
            asked = {what: one for what, one in self.state.asked.items() if one.call_id != call_id}
            self.change(asked=asked)
            for other, repeat in list(self.state.calls.items()):
                if repeat.repeats == call_id and repeat.returned is None:
                    self.change(calls={**self.state.calls, other: evolve(repeat, repeats=None)})
                    self._drop(other, why)
        if not call.sent:
            self.happenings.append(ToolDropped(call_id, call.name, why))
        self._end(call_id)

    def _end(self, call_id: str) -> None:
        self.change(calls={key: call for key, call in self.state.calls.items() if key != call_id})
        self._forget(call_id)

    def _forget(self, call_id: str) -> None:
        self.change(over=(*self.state.over, call_id)[-MOST_REMEMBERED:])
