"""ToolRunner: runs the tools that the service's model calls, and sends what they return.

In: the session's tool events, and when the person begins another turn. Out: `tool.result` messages, and
happenings to the taps. `decisions.step` decides. This actor moves messages and gives each call a cancel scope
in which it runs and its result waits to be taken; dropping the call ends either. Async tools run in its
nursery, all others in threads. Its input never waits for a tool or the network. Cancelled, it cancels the
async tools and abandons the threads.
"""

from __future__ import annotations

import contextlib

import trio
from attrs import Factory, define, field

from actors.tools.calling import ToolAnswer, call_tool
from actors.tools.decisions import AnotherTurn, Event, Returned, Run, Send, Stop, TimePassed, ToolState, step
from channels.bounded import Receiver, Sender
from channels.happenings import AskSent, Happening, TurnStarted
from channels.instructions import is_second_try
from channels.messages import ToolEvent
from channels.settings import ToolSettings
from channels.taps import Taps
from channels.wire.messages import ClientMessage
from channels.work import Work

__all__ = ["ToolRunner"]

MOST_THREADS = 16
"""How many tools run in threads at a time, including those that nobody waits for any more. The next one waits
for one of them, within its own time limit."""


@define
class ToolRunner:
    """Answers tool calls.

    Args:
        settings: what may be called, and when results are sent.
        events: of the session, those that concern tools.
        happenings: a tap, to know when the person begins another turn.
        requests: messages to the service.
        taps: are told of calls.
    """

    settings: ToolSettings
    events: Receiver[ToolEvent]
    happenings: Receiver[Happening]
    requests: Sender[ClientMessage]
    taps: Taps
    state: ToolState = field(
        default=Factory(lambda self: ToolState(self.settings), takes_self=True), init=False
    )
    _scopes: dict[str, trio.CancelScope] = field(factory=dict, init=False)
    """What is being done for each call."""
    _threads: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(MOST_THREADS), init=False)
    _deadline_moved: trio.Event = field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Answers until the events end."""
        async with self.events, self.happenings, self.requests, trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_deadline, nursery)
            nursery.start_soon(self._watch_turns, nursery)
            async for event in self.events:
                self._take(event, nursery)
            nursery.cancel_scope.cancel()

    async def _watch_deadline(self, nursery: trio.Nursery) -> None:
        while True:
            with trio.move_on_at(self.state.deadline):
                await self._deadline_moved.wait()
                continue
            self._take(TimePassed(), nursery)

    async def _watch_turns(self, nursery: trio.Nursery) -> None:
        latest = 0
        async for happening in self.happenings:
            match happening:
                case TurnStarted(turn=turn) if turn != latest:
                    latest = turn
                    self._take(AnotherTurn(), nursery)
                case AskSent(request=request) if not is_second_try(request.instructions or ""):
                    # For example, what somebody typed or pressed.
                    self._take(AnotherTurn(), nursery)
                case _:
                    pass

    def _take(self, event: Event, nursery: trio.Nursery) -> None:
        deadline = self.state.deadline
        self.state, commands, happenings = step(self.state, event, trio.current_time())
        for happening in happenings:
            self.taps.publish(happening)
        for command in commands:
            match command:
                case Run(call=call):
                    within = self._scope(call.call_id)
                    # The name tells the loop watch which tool this is.
                    nursery.start_soon(
                        self._run, command, within, nursery, name=Work.TOOL.task(command.tool.name)
                    )
                case Send(result=result):
                    nursery.start_soon(self._send, command, self._scope(result.call_id))
                case Stop(call_id=call_id):
                    scope = self._scopes.pop(call_id, None)
                    if scope is not None:
                        scope.cancel()
        if self.state.deadline != deadline:
            self._deadline_moved.set()
            self._deadline_moved = trio.Event()

    def _scope(self, call_id: str) -> trio.CancelScope:
        scope = self._scopes[call_id] = trio.CancelScope()
        return scope

    async def _run(self, run: Run, scope: trio.CancelScope, nursery: trio.Nursery) -> None:
        call_id, tool = run.call.call_id, run.tool
        answer: ToolAnswer | None = None
        try:
            with scope:
                with trio.move_on_after(run.within_s):
                    answer = await call_tool(tool, run.call.arguments, self._threads)
                if answer is None:
                    answer = ToolAnswer(f"{tool.name} took longer than {run.within_s:g} s", is_error=True)
        except RuntimeError as fault:  # Trio's: the tool entered a cancel scope that it never left
            answer = ToolAnswer(f"{tool.name} left a cancel scope open", is_error=True, traceback=str(fault))
        if answer is not None:
            self._leave(call_id, scope)
            returned = Returned(call_id, answer.text, answer.is_error, answer.traceback)
            self._take(returned, nursery)

    async def _send(self, send: Send, scope: trio.CancelScope) -> None:
        with scope, contextlib.suppress(trio.BrokenResourceError):  # then the session is over
            await self.requests.send(send.result)
        self._leave(send.result.call_id, scope)

    def _leave(self, call_id: str, scope: trio.CancelScope) -> None:
        if self._scopes.get(call_id) is scope:
            del self._scopes[call_id]
