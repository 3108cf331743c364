"""AskInTurn: every request to the service passes through here, and each `reply.create` waits for its moment.

In: messages to the service (typed text, keys, an operator, additions, the life of the call, tool results),
and happenings. Out: the same messages, to the session. Updates and results go at once. A `reply.create` waits
until `Turnstile` lets it through; the taps hear about those that are given up. The text of a
`conversation.message` goes into the system prompt (`Notes`), since the live service ignores the message.
"""

from __future__ import annotations

import contextlib
from typing import ClassVar

import trio
from attrs import define, field

from actors.asking.notes import Notes
from actors.asking.turnstile import Turnstile
from channels.bounded import Receiver, Sender
from channels.happenings import AskGivenUp, AskSent, CallEnded, Happening, SessionConfigured
from channels.taps import Taps
from channels.wire.messages import ClientMessage, ConversationMessage, ReplyCreate, SessionUpdate

__all__ = ["AskInTurn"]


@define
class AskInTurn:
    """Passes requests on. Some come from taps, so it ends when they do."""

    essential: ClassVar[bool] = True

    requests: Receiver[ClientMessage]
    happenings: Receiver[Happening]
    outgoing: Sender[ClientMessage]
    taps: Taps
    _turnstile: Turnstile = field(factory=Turnstile, init=False)
    _notes: Notes = field(factory=Notes, init=False)
    _moved: trio.Event = field(factory=trio.Event, init=False)

    async def run(self) -> None:
        """Passes requests on until no more can come."""
        async with self.requests, self.happenings, self.outgoing, trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            nursery.start_soon(self._ask)
            async for request in self.requests:
                await self._take(request)
            nursery.cancel_scope.cancel()

    async def _take(self, request: ClientMessage) -> None:
        match request:
            case ReplyCreate():
                self._give_up(self._turnstile.add(request, trio.current_time()))
                self._move()
            case ConversationMessage():
                await self._send(self._notes.add(request))
            case SessionUpdate():
                await self._send(request)
                following = self._notes.after(request)
                if following is not None:
                    await self._send(following)
            case _:
                await self._send(request)

    async def _watch(self) -> None:
        async for happening in self.happenings:
            match happening:
                case SessionConfigured(config=config):
                    prompt = config.get("system_prompt")
                    self._notes.configured(prompt if isinstance(prompt, str) else "")
                case CallEnded():
                    self._notes.end()
                case _:
                    pass
            self._give_up(self._turnstile.take(happening, trio.current_time()))
            self._move()

    async def _ask(self) -> None:
        while True:
            self._moved = trio.Event()
            now = trio.current_time()
            self._give_up(self._turnstile.expire(now))
            waiting = self._turnstile.next(now)
            if waiting is not None:
                waited_ms = round((now - waiting.since) * 1000)
                self.taps.publish(AskSent(waiting.request, waited_ms))
                await self._send(waiting.request)
                continue
            with trio.move_on_at(self._turnstile.next_time()):
                await self._moved.wait()

    async def _send(self, request: ClientMessage) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # the session is over for good
            await self.outgoing.send(request)

    def _give_up(self, lost: list[tuple[ReplyCreate, str]]) -> None:
        for request, why in lost:
            self.taps.publish(AskGivenUp(request, why))

    def _move(self) -> None:
        self._moved.set()
