"""CallLife: begins the session when somebody is in the room, and ends it when they leave or fall silent.

In: people coming and going, typed text, whether the onset detector still works, and happenings. Out: orders
to the session, requests to the service (a question, a warning, a goodbye) and, if configured, the order to
leave the room. `machine.CallState` decides; this actor only moves messages.
"""

from __future__ import annotations

import contextlib

import trio
from attrs import define, field

from actors.call_life.machine import CallState
from actors.call_life.table import CallAction, CallSignal, Phase
from channels.bounded import Receiver, Sender
from channels.happenings import (
    AskGivenUp,
    AskSent,
    CallBegan,
    CallEnded,
    FloorHolder,
    FloorPassed,
    Happening,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    SoundJudged,
    SoundRose,
    SoundStarted,
    SoundStopped,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
    WordsHeard,
)
from channels.instructions import SAY_GOODBYE, STILL_THERE, ends_in
from channels.messages import BeginSession, EndSession, LeaveRoom, PersonCame, PersonWent, SessionOrder
from channels.settings import CallSettings
from channels.taps import Taps
from channels.texts import Pressed, RoomText, Typed
from channels.wire.messages import ClientMessage, ReplyCreate

__all__ = ["CallLife"]

_WHY = {
    Phase.ALONE: "everybody left",
    Phase.RESTING: "everybody left",
    Phase.CLOSING: "it reached its time limit",
    Phase.ASKED: "nobody spoke for a long time",
}

_NO_CALL = (Phase.EMPTY, Phase.OVER)


@define
class CallLife:
    """Decides when there is a session."""

    settings: CallSettings
    people: Receiver[PersonCame | PersonWent]
    texts: Receiver[RoomText]
    sounds: Receiver[SoundRose | SoundStarted | SoundStopped | SoundJudged]
    """Not read for the sounds, which the floor covers: it ends when nothing listens for sounds any more."""
    happenings: Receiver[Happening]
    session: Sender[SessionOrder]
    requests: Sender[ClientMessage]
    departures: Sender[LeaveRoom]
    taps: Taps
    call: CallState = field(init=False)
    _goodbye: str | None = field(default=None, init=False)
    """The first reply heard after a goodbye was requested."""
    _goodbye_asked: bool = field(default=False, init=False)
    _moved: trio.Event = field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.call = CallState(self.settings)

    async def run(self) -> None:
        """Decides until the channel of people ends."""
        async with (
            self.people,
            self.texts,
            self.sounds,
            self.happenings,
            self.session,
            self.requests,
            self.departures,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._watch)
            nursery.start_soon(self._read)
            nursery.start_soon(self._await_deafness)
            nursery.start_soon(self._wait)
            async for event in self.people:
                now = trio.current_time()
                match event:
                    case PersonCame(identity=identity):
                        await self._do(*self.call.come(identity, now))
                    case PersonWent(identity=identity):
                        await self._do(*self.call.go(identity, now))
            nursery.cancel_scope.cancel()

    async def _watch(self) -> None:
        async for happening in self.happenings:
            now = trio.current_time()
            match happening:
                case FloorPassed(holder=FloorHolder.PERSON) | PersonSaid():
                    await self._do(*self.call.take(CallSignal.SIGN, now))
                case AskSent(request=ReplyCreate(instructions=said)) if said == SAY_GOODBYE:
                    self._goodbye_asked = True
                case AskGivenUp(request=ReplyCreate(instructions=said)) if said == SAY_GOODBYE:
                    await self._do(*self.call.take(CallSignal.SPOKEN, now))
                case ReplyBegan(reply_id=reply_id):
                    if self._goodbye_asked and self._goodbye is None:
                        self._goodbye = reply_id
                    self._become(self.call.speak(now))
                case ReplyEnded(reply_id=reply_id) if reply_id == self._goodbye:
                    await self._do(*self.call.take(CallSignal.SPOKEN, now))
                case ToolCalled(call_id=call_id):
                    self._become(self.call.call_tool(call_id, now))
                case ToolAnswered(call_id=call_id) | ToolDropped(call_id=call_id):
                    self._become(self.call.end_tool(call_id, now))
                case WordsHeard() | FloorPassed():
                    self._become(self.call.speak(now))
                case _:
                    pass

    async def _read(self) -> None:
        async for text in self.texts:
            if isinstance(text, Typed | Pressed):
                await self._do(*self.call.take(CallSignal.SIGN, trio.current_time()))

    async def _await_deafness(self) -> None:
        """From now on a silent person cannot be told apart from one who is not heard."""
        async for _ in self.sounds:
            pass
        await self._do(*self.call.be_deaf(trio.current_time()))

    async def _wait(self) -> None:
        while True:
            with trio.move_on_at(self.call.next_time()):
                await self._moved.wait()
                continue
            call, action, warn = self.call.pass_time(trio.current_time())
            await self._do(call, action)
            if warn:
                await self.requests.send(ReplyCreate(ends_in(round(self.settings.warn_ms / 1000))))

    async def _do(self, call: CallState, action: CallAction) -> None:
        before, now = self.call.phase, trio.current_time()
        self._become(call)
        match action:
            case CallAction.BEGIN:
                another = before is Phase.OVER or (before is Phase.EMPTY and call.is_fresh(now))
                self._begin(fresh=another)
            case CallAction.BEGIN_ANEW:
                self.session.send_nowait(EndSession())
                self.taps.publish(CallEnded("somebody else came"))
                self._begin(fresh=True)
            case CallAction.END:
                self.session.send_nowait(EndSession())
                self.taps.publish(CallEnded(_WHY[before]))
                next_call, begin = call.go_on(now)
                if begin is CallAction.BEGIN:
                    await self._do(next_call, begin)
                    return
            case CallAction.ASK:
                await self.requests.send(ReplyCreate(STILL_THERE))
            case CallAction.SAY_GOODBYE:
                self._goodbye, self._goodbye_asked = None, False
                await self.requests.send(ReplyCreate(SAY_GOODBYE))
            case CallAction.NOTHING:
                pass
        if self.settings.when_over == "leave" and call.phase in _NO_CALL and before not in _NO_CALL:
            # People also disappear because the agent itself is leaving the room.
            with contextlib.suppress(trio.BrokenResourceError):
                self.departures.send_nowait(LeaveRoom(f"the call is over: {_WHY[before]}"))

    def _begin(self, *, fresh: bool) -> None:
        if fresh:
            self.taps.publish(CallBegan())
        self.session.send_nowait(BeginSession(fresh=fresh))

    def _become(self, call: CallState) -> None:
        moved = call.next_time() != self.call.next_time()
        self.call = call
        if moved:
            self._moved.set()
            self._moved = trio.Event()
