"""Taps: a channel of happenings with many readers, none of which can hold up the conversation.

Each has a buffer of its own, and a slow one loses its oldest happenings, counted. Publishing never waits.
"""

from __future__ import annotations

from collections.abc import Callable

from channels.bounded import Channel, ChannelStatistics, Receiver, Watched
from channels.happenings import Happening

__all__ = ["Taps"]


class Taps:
    """Hands every published happening to every tap.

    Args:
        cover: turns a happening into what taps may see. It must not raise.
    """

    def __init__(self, cover: Callable[[Happening], Happening] | None = None) -> None:
        self._cover = cover
        self._of_the_room = Watched[Happening]("happenings")
        self._to_the_end = Watched[Happening]("happenings")

    def tap(self, name: str, *, capacity: int = 256, to_the_end: bool = False) -> Receiver[Happening]:
        """A new reader's end. 256 happenings are about a minute of lively talk.

        One `to_the_end` goes on after `close`, until `end`.
        """
        kind = self._to_the_end if to_the_end else self._of_the_room
        return kind.tap(f"tap {name}", capacity=capacity)

    def overhear(self, listener: Callable[[Happening], None]) -> None:
        """Calls `listener` with every happening from now on, as `Watched.overhear` does."""
        self._to_the_end.overhear(listener)

    def publish(self, happening: Happening) -> None:
        """Tells every tap. Never waits; a tap that is closed or has lost its reader is forgotten."""
        told = happening if self._cover is None else self._cover(happening)
        self._to_the_end.show(told)
        self._of_the_room.show(told)

    def close(self) -> None:
        """The conversation is over: ends the taps, so that their readers end when they have read them."""
        self._of_the_room.end_taps()

    def end(self) -> None:
        """All is over: ends those taps, too, that go on to the end."""
        self.close()
        self._to_the_end.end_taps()

    @property
    def channels(self) -> list[Channel[Happening]]:
        """Those of the taps."""
        return [*self._to_the_end.taps, *self._of_the_room.taps]

    def statistics(self) -> list[ChannelStatistics]:
        """What each tap has carried."""
        return [channel.statistics() for channel in self.channels]
