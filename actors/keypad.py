"""Keypad: tells the model which keys a caller pressed on their phone.

In: what comes out of the room. Out: requests to the service, which has no message for keys. Keys of one
number belong together: they are told when no more came for a while, or at once after #, as phones have it.
"""

from __future__ import annotations

import math

import trio
from attrs import define, evolve, field, frozen

from channels.bounded import Receiver, Sender
from channels.quoting import PRESSED, quoted
from channels.texts import Pressed, RoomText
from channels.wire.messages import ClientMessage, ReplyCreate

__all__ = ["Keypad", "Keys"]

PAUSE_S = 2.0
"""Between two keys of one number: callers look at a card in between."""

MOST_KEYS = 64


@frozen
class Keys:
    """The keys of one caller that belong together. Pure."""

    pressed: str = ""
    over_at: float = math.inf
    """When no more are expected (s)."""

    def press(self, key: str, now: float) -> tuple[Keys, str | None]:
        """Takes a key; gives the keys that are complete with it, if any."""
        pressed = (self.pressed + key)[-MOST_KEYS:]
        if key == "#":
            return Keys(), pressed
        return evolve(self, pressed=pressed, over_at=now + PAUSE_S), None


@define
class Keypad:
    """Passes on what is pressed."""

    texts: Receiver[RoomText]
    requests: Sender[ClientMessage]
    _keys: dict[str, Keys] = field(factory=dict, init=False)
    """By identity."""

    async def run(self) -> None:
        """Passes on until the texts end."""
        async with self.texts, self.requests:
            while True:
                until = min((keys.over_at for keys in self._keys.values()), default=math.inf)
                with trio.move_on_at(until):
                    try:
                        text = await self.texts.receive()
                    except trio.EndOfChannel:
                        return
                    if isinstance(text, Pressed):
                        await self._press(text)
                    continue
                for identity, keys in list(self._keys.items()):
                    if keys.over_at <= trio.current_time():
                        del self._keys[identity]
                        await self._tell(keys.pressed)

    async def _press(self, text: Pressed) -> None:
        before = self._keys.get(text.identity, Keys())
        keys, complete = before.press(text.key, trio.current_time())
        if complete is None:
            self._keys[text.identity] = keys
        else:
            self._keys.pop(text.identity, None)
            await self._tell(complete)

    async def _tell(self, keys: str) -> None:
        await self.requests.send(ReplyCreate(PRESSED + quoted(" ".join(keys))))
