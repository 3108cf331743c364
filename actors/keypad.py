"""Keypad: tells the model which keys a caller pressed on their phone.

In: text and keys from the room, and happenings. Out: requests to the service, which has no message for keys.
The keys of one number belong together: they are sent when no more come for a while, or at once after #, as on
any phone.

While the service cannot be reached, numbers wait here in order, and nobody has to press them again. There is
one request at a time, and one that is given up is made again. Only the end of the call forgets them.
"""

from __future__ import annotations

import itertools
import math
from collections import deque

import trio
from attrs import define, evolve, field, frozen

from channels.bounded import Receiver, Sender
from channels.happenings import AskGivenUp, AskSent, CallEnded, Happening
from channels.instructions import PRESSED, quoted, without_keys
from channels.texts import Pressed, RoomText
from channels.wire.messages import ClientMessage, ReplyCreate

__all__ = ["Keypad", "Keys"]

PAUSE_S = 2.0
"""Between two keys of one number: callers look at a card in between."""

MOST_KEYS = 64

MOST_WAITING = 256
"""Keys of one caller (four times as many in all): several cards. Beyond that, the newest are dropped."""

KEPT_S = 120.0
"""How long a number waits: by then the conversation has moved on."""

AT_ONCE = 8
"""Numbers of one caller in a request: together shorter than `LONGEST_QUOTE`."""


@frozen
class Keys:
    """The keys of one caller that belong together. No I/O, no clock."""

    pressed: str = ""
    over_at: float = math.inf
    """When to expect no more keys (s)."""

    def press(self, key: str, now: float) -> tuple[Keys, str | None]:
        """Takes a key; returns the number that it completes, if any."""
        pressed = (self.pressed + key)[-MOST_KEYS:]
        if key == "#":
            return Keys(), pressed
        return evolve(self, pressed=pressed, over_at=now + PAUSE_S), None


@frozen
class _Number:
    """Complete, and not told."""

    identity: str
    keys: str
    until: float
    """Kept until then (s)."""


@define
class Keypad:
    """Passes on what is pressed."""

    texts: Receiver[RoomText]
    happenings: Receiver[Happening]
    requests: Sender[ClientMessage]
    _keys: dict[str, Keys] = field(factory=dict, init=False)
    """By identity."""
    _waiting: deque[_Number] = field(factory=deque, init=False)
    """Oldest first."""
    _asked: tuple[str, int] | None = field(default=None, init=False)
    """The request that is on its way, and how many of them are in it."""
    _moved: trio.Event = field(factory=trio.Event, init=False)
    _asking: trio.CancelScope = field(factory=trio.CancelScope, init=False)

    async def run(self) -> None:
        """Passes on until the texts end."""
        async with self.texts, self.happenings, self.requests, trio.open_nursery() as nursery:
            nursery.start_soon(self._watch)
            nursery.start_soon(self._tell)
            await self._read()
            nursery.cancel_scope.cancel()

    async def _read(self) -> None:
        while True:
            until = min((keys.over_at for keys in self._keys.values()), default=math.inf)
            with trio.move_on_at(until):
                try:
                    text = await self.texts.receive()
                except trio.EndOfChannel:
                    return
                if isinstance(text, Pressed):
                    self._press(text)
                continue
            for identity, keys in list(self._keys.items()):
                if keys.over_at <= trio.current_time():
                    del self._keys[identity]
                    self._complete(identity, keys.pressed)

    def _press(self, text: Pressed) -> None:
        before = self._keys.get(text.identity, Keys())
        keys, complete = before.press(text.key, trio.current_time())
        if complete is None:
            self._keys[text.identity] = keys
        else:
            self._keys.pop(text.identity, None)
            self._complete(text.identity, complete)

    def _complete(self, identity: str, keys: str) -> None:
        theirs = sum(len(number.keys) for number in self._waiting if number.identity == identity)
        everybodys = sum(len(number.keys) for number in self._waiting)
        if theirs + len(keys) <= MOST_WAITING and everybodys + len(keys) <= 4 * MOST_WAITING:
            self._waiting.append(_Number(identity, keys, trio.current_time() + KEPT_S))
            self._moved.set()

    async def _tell(self) -> None:
        while True:
            self._moved = trio.Event()
            while self._waiting and not self._asked and self._waiting[0].until <= trio.current_time():
                self._waiting.popleft()
            if self._asked or not self._waiting:
                await self._moved.wait()
                continue
            _, theirs = next(itertools.groupby(self._waiting, lambda number: number.identity))
            now_told = [" ".join(number.keys) for number in itertools.islice(theirs, AT_ONCE)]
            wish = PRESSED + quoted(", ".join(now_told))
            self._asked = wish, len(now_told)
            with trio.CancelScope() as self._asking:
                await self.requests.send(ReplyCreate(wish))

    async def _watch(self) -> None:
        async for happening in self.happenings:
            match happening:
                case AskSent(request=ReplyCreate(instructions=said)) if self._is_ours(said):
                    for _ in range(self._asked[1] if self._asked else 0):
                        self._waiting.popleft()
                case AskGivenUp(request=ReplyCreate(instructions=said)) if self._is_ours(said):
                    pass  # try again
                case CallEnded():
                    self._waiting.clear()
                    self._keys.clear()
                    self._asking.cancel()
                case _:
                    continue
            self._asked = None
            self._moved.set()

    def _is_ours(self, said: str | None) -> bool:
        # Taps may see it, without its keys.
        return self._asked is not None and said in (self._asked[0], without_keys(self._asked[0]))
