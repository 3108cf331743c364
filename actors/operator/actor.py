"""Operator: takes commands for a live call from outside, from people with the right to give them.

In: calls of the RPC method `voice-agent.operate`, and happenings, to know whether there is a session and how
it answers a change. Out: requests to the service, the order to leave the room, an answer to the caller, and,
to the taps, what was done or refused. `commands` defines the commands and who may give them. Where everybody
in the room is the agent's owner, no token is needed.

The commands of one call are carried out in order; a call that waits for the service does not hold up the
next.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import trio
from attrs import define, field

from actors.operator.commands import (
    Command,
    End,
    Refused,
    Say,
    Statistics,
    Tell,
    ToPrompt,
    read_commands,
    refusal_of,
)
from channels.bounded import ChannelStatistics, Receiver, Sender
from channels.happenings import (
    CallEnded,
    Happening,
    OperatorActed,
    OperatorRefused,
    SessionStarted,
    UpdateAnswered,
)
from channels.instructions import VERBATIM
from channels.messages import LeaveRoom
from channels.settings import LiveKitAccount
from channels.taps import Taps
from channels.texts import OPERATE_METHOD, Asked, RoomText, TextBoard
from channels.wire.messages import ClientMessage, ConversationMessage, ReplyCreate, SessionUpdate

__all__ = ["Operator"]

ANSWERED_WITHIN_S = 5.0
"""LiveKit lets a caller wait for 15 s by default; the service answers a change within a round trip."""
AT_ONCE = 8
"""Calls that may wait for the service."""
TOLD_EACH_S = 1.0
"""How often to report somebody who is refused again and again."""
LONGEST_ANSWER = 15_000
"""Bytes; LiveKit carries 15 KiB."""
ANSWER_TRAVELS_S = 0.3
"""Time for an answer to be sent before the room is left."""

NO_SESSION = "there is no session at the moment: nobody is in the room, or nobody has spoken for a long time"


@define(eq=False)
class _Pending:
    """A change that the service has not answered yet."""

    update: Mapping[str, Any]
    answer: UpdateAnswered | None = None
    answered: trio.Event = field(factory=trio.Event)


@define
class Operator:
    """Carries out operators' commands.

    Args:
        account: whose key signs an operator's token.
        room_name: the room that the token must be for.
        texts: what people in the room ask for.
        happenings: a tap.
        board: where they are answered.
        requests: messages to the service.
        departures: the order to leave the room.
        statistics: the counters of the room's channels.
        open_to_all: whether everybody in the room is an operator.
    """

    account: LiveKitAccount
    room_name: str
    texts: Receiver[RoomText]
    happenings: Receiver[Happening]
    board: TextBoard
    requests: Sender[ClientMessage]
    departures: Sender[LeaveRoom]
    taps: Taps
    statistics: Callable[[], Iterable[ChannelStatistics]]
    open_to_all: bool = False
    _in_session: bool = field(default=False, init=False)
    _pending: list[_Pending] = field(factory=list, init=False)
    _at_work: int = field(default=0, init=False)
    _told: dict[str, float] = field(factory=dict, init=False)
    """When each refusal was last reported, by identity."""

    async def run(self) -> None:
        """Carries out commands until the texts end."""
        async with (
            self.texts,
            self.happenings,
            self.requests,
            self.departures,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._watch)
            async for text in self.texts:
                if isinstance(text, Asked) and text.method == OPERATE_METHOD:
                    self._take(text, nursery)
            nursery.cancel_scope.cancel()

    async def _watch(self) -> None:
        async for happening in self.happenings:
            match happening:
                case SessionStarted():
                    self._in_session = True
                case CallEnded():
                    self._in_session = False
                case UpdateAnswered(session=session):
                    for one in self._pending:
                        if one.answer is None and one.update == session:
                            one.answer = happening
                            one.answered.set()
                            break
                case _:
                    pass

    def _take(self, asked: Asked, nursery: trio.Nursery) -> None:
        token, commands = read_commands(asked.payload)
        refusal = None
        if not self.open_to_all:
            refusal = refusal_of(token, asked.identity, self.account, self.room_name)
        if refusal is not None:
            self._tell_of_refusal(asked.identity, refusal)
            self.board.answer(asked.call_id, _line(_not_done(refusal)))
        elif self._at_work >= AT_ONCE:
            busy = "the service has not answered earlier commands yet; try again"
            self.board.answer(asked.call_id, _line(_not_done(busy)))
        else:
            self._at_work += 1
            nursery.start_soon(self._obey_all, asked, commands)

    def _tell_of_refusal(self, identity: str, refusal: str) -> None:
        now = trio.current_time()
        self._told = {who: at for who, at in self._told.items() if now - at < TOLD_EACH_S}
        if identity not in self._told:
            self._told[identity] = now
            self.taps.publish(OperatorRefused(identity, refusal))

    async def _obey_all(self, asked: Asked, commands: Sequence[Command | Refused]) -> None:
        answers: list[str] = []
        ends = False
        for command in commands:
            ends = isinstance(command, End)
            answer = {"done": True} if ends else await self._obey(command, asked.identity)
            answers.append(_within(_line(answer), answers))
            if ends:
                break
        self.board.answer(asked.call_id, "\n".join(answers))
        self._at_work -= 1
        if ends:
            self.taps.publish(OperatorActed(asked.identity, End.do))
            await trio.sleep(ANSWER_TRAVELS_S)
            self.departures.send_nowait(LeaveRoom("an operator ended the call"))

    async def _obey(self, command: Command | Refused, identity: str) -> dict[str, Any]:
        match command:
            case Refused():
                return _not_done(str(command))
            case Statistics():
                return {"done": True, "channels": [_compact(one) for one in self.statistics()]}
        if not self._in_session:
            return _not_done(NO_SESSION)
        why = "the service did not accept it in time"
        with trio.move_on_after(ANSWERED_WITHIN_S):
            match command:
                case Say(text=text):
                    await self.requests.send(ReplyCreate(VERBATIM + text))
                    why = ""
                case Tell(text=text):
                    await self.requests.send(ConversationMessage("system", text))
                    why = ""
                case ToPrompt(text=text):
                    why = await self._change({"system_prompt": text})
        if why:
            return _not_done(why)
        self.taps.publish(OperatorActed(identity, command.do))
        return {"done": True}

    async def _change(self, update: Mapping[str, Any]) -> str:
        """Why the service refuses a change; empty: it accepted."""
        pending = _Pending(update)
        self._pending.append(pending)
        try:
            await self.requests.send(SessionUpdate(update))
            await pending.answered.wait()
        finally:
            self._pending.remove(pending)
        assert pending.answer is not None
        return "" if pending.answer.accepted else pending.answer.why or "the service refuses it"


def _not_done(why: str) -> dict[str, Any]:
    return {"done": False, "why": why}


def _compact(statistics: ChannelStatistics) -> dict[str, Any]:
    # The unit and the rule are left out: the graph's drawing knows them from the wiring.
    told = attrs.asdict(statistics, filter=attrs.filters.exclude("unit", "full"))
    return {name: value for name, value in told.items() if value is not None}


def _within(line: str, before: Sequence[str]) -> str:
    """The line, if one answer can carry it behind the others."""
    # A hundred bytes are kept for each answer that may follow.
    if sum(len(one.encode()) + 1 for one in before) + len(line.encode()) <= LONGEST_ANSWER - 2_000:
        return line
    return _line(_not_done("the answer would be too long; ask for it in a separate call"))


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
