"""Operator: takes commands for a live call from outside, if whoever gives them may.

In: calls of the RPC method `voice-agent.operate`. Out: requests to the service, the order to leave the room,
an answer to the caller, and what was done or refused to the taps. What a command may be and who may give one
is said in `commands`. Where everybody in the room is the owner of the agent, no token is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import attrs
import trio
from attrs import define

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
from channels.happenings import OperatorActed, OperatorRefused, Taps
from channels.messages import LeaveRoom
from channels.settings import LiveKitSettings
from channels.texts import OPERATE_METHOD, Asked, RoomText, TextBoard
from channels.wire.messages import ClientMessage, ConversationMessage, ReplyCreate, SessionUpdate

__all__ = ["Operator"]

TAKEN_WITHIN_S = 3.0
"""LiveKit lets a caller wait for 15 s; without a session nobody takes what is asked of the service."""


@define
class Operator:
    """Obeys operators.

    Args:
        settings: whose key signs an operator's token.
        texts: what people in the room ask for.
        board: where they are answered.
        requests: messages to the service.
        departures: the order to leave the room.
        statistics: the counters of the room's channels.
        open_to_all: whether everybody in the room is an operator.
    """

    settings: LiveKitSettings
    texts: Receiver[RoomText]
    board: TextBoard
    requests: Sender[ClientMessage]
    departures: Sender[LeaveRoom]
    taps: Taps
    statistics: Callable[[], Iterable[ChannelStatistics]]
    open_to_all: bool = False

    async def run(self) -> None:
        """Obeys until the texts end."""
        async with self.texts, self.requests, self.departures:
            async for text in self.texts:
                if isinstance(text, Asked) and text.method == OPERATE_METHOD:
                    await self._take(text)

    async def _take(self, asked: Asked) -> None:
        token, commands = read_commands(asked.payload)
        refusal = None if self.open_to_all else refusal_of(token, asked.identity, self.settings)
        if refusal is not None:
            self.taps.publish(OperatorRefused(asked.identity, refusal))
            self.board.answer(asked.call_id, _line({"done": False, "why": refusal}))
            return
        answers = [await self._obey(command, asked.identity) for command in commands]
        self.board.answer(asked.call_id, "\n".join(map(_line, answers)))

    async def _obey(self, command: Command | Refused, identity: str) -> dict[str, Any]:
        match command:
            case Refused():
                return {"done": False, "why": str(command)}
            case Say(text=text):
                asks: list[ClientMessage] = [
                    ReplyCreate(f"Say exactly this, word for word, and nothing else: {text}")
                ]
            case ToPrompt(text=text):
                asks = [SessionUpdate({"system_prompt": text})]
            case Tell(text=text):
                asks = [ConversationMessage("system", text)]
            case End():
                self.taps.publish(OperatorActed(identity, "end"))
                self.departures.send_nowait(LeaveRoom(f"{identity} ended the call"))
                return {"done": True}
            case Statistics():
                return {"done": True, "channels": [_plain(one) for one in self.statistics()]}
        with trio.move_on_after(TAKEN_WITHIN_S):
            for ask in asks:
                await self.requests.send(ask)
            self.taps.publish(OperatorActed(identity, type(command).__name__.lower().removeprefix("to")))
            return {"done": True}
        return {"done": False, "why": "there is no session at the moment"}


def _plain(statistics: ChannelStatistics) -> dict[str, Any]:
    return {**attrs.asdict(statistics), "full": statistics.full.value}


def _line(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False)
