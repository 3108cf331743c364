"""Timeline: who did what, when, in words. What a person reads when an invariant broke, and what replays.

It holds no addresses, no wall-clock times and no order that a hash decides, so that two runs of one seed
can be compared byte by byte.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen

__all__ = ["Timeline", "TimelineEntry"]


@frozen
class TimelineEntry:
    """One line."""

    at: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at:10.3f}  {self.who:<9} {self.what}"


@define
class Timeline:
    """What happened in one call.

    Args:
        clock: seconds.
    """

    clock: Callable[[], float]
    entries: list[TimelineEntry] = field(factory=list, init=False)

    def note(self, who: str, what: str) -> None:
        """Something happens now."""
        self.entries.append(TimelineEntry(self.clock(), who, what))

    def text(self, *, since: float = 0.0) -> str:
        """As lines."""
        return "\n".join(str(entry) for entry in self.entries if entry.at >= since)
