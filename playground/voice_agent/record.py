"""What one server received and sent, and when: for tests and benches to look at, bounded.

Times are `trio.current_time()`, so that they are exact on a mock clock. Beyond `limit` entries, or
64 MiB of sound, the oldest entries go and are counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

import attrs
import trio

__all__ = ["Record", "RecordedMessage"]

T = TypeVar("T")
_MOST_BYTES = 64 * 2**20


@attrs.frozen
class RecordedMessage(Generic[T]):
    """One thing that crossed a socket."""

    at_s: float
    """`trio.current_time()`."""
    connection: int
    """Counted from 1 in the order of the upgrades."""
    what: T


class Record(Generic[T]):
    """The latest entries, in order. Iterate over it, or wait for one.

    Args:
        limit: how many entries are kept; 0 keeps none (but counts).
    """

    def __init__(self, limit: int) -> None:
        self.total = 0
        self.forgotten = 0
        self._limit = limit
        self._bytes = 0
        self._entries: deque[RecordedMessage[T]] = deque()
        self._waiting = trio.lowlevel.ParkingLot()

    def add(self, connection: int, what: T) -> None:
        """Keeps it, with the time."""
        self.total += 1
        self._entries.append(RecordedMessage(trio.current_time(), connection, what))
        self._bytes += _size(what)
        while self._entries and (len(self._entries) > self._limit or self._bytes > _MOST_BYTES):
            self._bytes -= _size(self._entries.popleft().what)
            self.forgotten += 1
        self._waiting.unpark_all()

    def of(self, kind: type[T] | str, connection: int | None = None) -> list[RecordedMessage[T]]:
        """The kept entries of a class or of a wire type such as `session.update`."""

        def fits(what: T) -> bool:
            return getattr(what, "type", None) == kind if isinstance(kind, str) else isinstance(what, kind)

        entries = [entry for entry in self._entries if connection in (None, entry.connection)]
        return [entry for entry in entries if fits(entry.what)]

    async def until(
        self, kind: type[T] | str, count: int = 1, connection: int | None = None
    ) -> RecordedMessage[T]:
        """Waits until there were `count` of a kind; gives the last of these. Bound it by a scope."""
        while len(found := self.of(kind, connection)) < count:
            await self._waiting.park()
        return found[count - 1]

    def __iter__(self) -> Iterator[RecordedMessage[T]]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


def _size(what: object) -> int:
    sound = getattr(what, "audio", None) or getattr(what, "data", None)
    return len(sound) if isinstance(sound, bytes) else 0
