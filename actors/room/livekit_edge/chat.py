"""What people type: text streams, which they may open and never close.

Every open stream is offered every event of the SDK, so a thousand of them would starve the voice (measured:
1,000 held up the loop for 0.6 s, and 6,000 took a whole core). So the number of open streams is limited, per
person and in all; the person with the most open streams loses their oldest, and none stays open longer than a
message takes to arrive.

Text travels faster than the news of who sends it (1.5 s was seen), so text from unknown participants is kept
until they are known.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from livekit import rtc

from channels.texts import Typed

__all__ = ["LONGEST_TEXT", "Chat"]

LONGEST_TEXT = 4000
"""Characters of a typed message that are read; nobody types more in one go."""

MOST_A_SECOND_OF_ONE = 10
"""Beyond it a stream is closed as it comes: to read one costs half a millisecond."""
MOST_OPEN = 16
MOST_OPEN_OF_ONE = 4
"""A client sends a message in one go; a slow network has a few on their way."""
WHOLE_WITHIN_S = 10.0
"""From the opening of a stream to its end, and from there to the news of its sender."""


class Chat:
    """Reads text streams, within bounds.

    Args:
        loop: the SDK's.
        tell: is given each message that came whole.
        is_known: whether it was told that somebody is in the room.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tell: Callable[[Typed], None],
        is_known: Callable[[str], bool],
    ) -> None:
        self._loop = loop
        self._tell = tell
        self._is_known = is_known
        self._early: list[Typed] = []
        """Of those who are not known yet."""
        self._open: dict[rtc.TextStreamReader, str] = {}
        """Who sends it; oldest first."""
        self._reading: set[asyncio.Task[None]] = set()
        self._second = 0
        self._opened: Counter[str] = Counter()
        """In this second, by each."""

    def take(self, reader: rtc.TextStreamReader, identity: str) -> None:
        """A stream was opened."""
        if self._is_flood(identity):
            reader.close()
            return
        self._open[reader] = identity
        if self._of(identity) > MOST_OPEN_OF_ONE:
            self._close_oldest_of(identity)
        elif len(self._open) > MOST_OPEN:
            ((loudest, _),) = Counter(self._open.values()).most_common(1)
            self._close_oldest_of(loudest)
        reading = self._loop.create_task(self._read(reader, identity))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    def forget(self, identity: str) -> None:
        """They left: nothing of theirs comes any more, whatever the SDK waits for."""
        while self._of(identity):
            self._close_oldest_of(identity)
        self._early = [typed for typed in self._early if typed.identity != identity]

    def deliver(self, identity: str) -> None:
        """They are known now."""
        early = [typed for typed in self._early if typed.identity == identity]
        self._early = [typed for typed in self._early if typed.identity != identity]
        for typed in early:
            self._tell(typed)

    def _is_flood(self, identity: str) -> bool:
        second = int(self._loop.time())
        if second != self._second:
            self._second, self._opened = second, Counter()
        self._opened[identity] += 1
        return self._opened[identity] > MOST_A_SECOND_OF_ONE

    def _of(self, identity: str) -> int:
        return sum(each == identity for each in self._open.values())

    def _close_oldest_of(self, identity: str) -> None:
        self._close(next(reader for reader, each in self._open.items() if each == identity))

    def _close(self, reader: rtc.TextStreamReader) -> None:
        self._open.pop(reader, None)
        reader.close()

    async def _read(self, reader: rtc.TextStreamReader, identity: str) -> None:
        overdue = self._loop.call_later(WHOLE_WITHIN_S, self._close, reader)
        text = ""
        try:
            async for chunk in reader:
                text += chunk
                if len(text) > LONGEST_TEXT:
                    break
        except rtc.StreamError:
            return  # its sender went away before it was whole
        finally:
            overdue.cancel()
            whole = self._open.pop(reader, None) is not None
            reader.close()
        if not whole or not text.strip():
            return
        typed = Typed(identity, text[:LONGEST_TEXT])
        if self._is_known(identity):
            self._tell(typed)
        else:
            self._early = [*self._early[-MOST_OPEN + 1 :], typed]
            self._loop.call_later(WHOLE_WITHIN_S, self._give_up, typed)

    def _give_up(self, typed: Typed) -> None:
        self._early = [each for each in self._early if each is not typed]
