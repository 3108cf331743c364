"""What is known of each reply of a log, and of the runs of messages that the log sums up in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

__all__ = ["Line", "Reply", "Summary"]

_MOST_SUMMED = 100_000


@attrs.frozen
class Line:
    """A line of the script in the making."""

    connection: int
    at_ms: float
    content: dict[str, Any]


@attrs.define
class Reply:
    """A reply."""

    number: int
    reply_id: str
    connection: int
    started_ms: float
    ended_ms: float | None = None
    """Its `reply.done`, or what ended it otherwise."""
    interrupted: bool = False
    calls_tool: bool = False
    text: str = ""
    """The longest that was told of it."""
    told_ms: float | None = None
    """When it was first told what it said: by then its sound has been sent."""
    deltas: list[Line] = attrs.field(factory=list)
    sound_ms: float = 0.0
    """Of the sound that stands in the log message by message."""

    def take_text(self, text: str, at_ms: float, *, interrupted: bool) -> None:
        """Takes a `transcript.agent`."""
        self.text = max(self.text, text, key=len)
        self.told_ms = at_ms if self.told_ms is None else self.told_ms
        self.interrupted = self.interrupted or interrupted

    @property
    def has_words(self) -> bool:
        """Whether it is known to have said something."""
        return bool(self.text or self.deltas)

    def spans(self, at_ms: float) -> bool:
        """Whether that moment is in it."""
        return self.started_ms <= at_ms <= (self.ended_ms or self.started_ms)


@attrs.frozen
class Summary:
    """Many messages of a kind in one line, over all the replies between two moments."""

    kind: str
    count: int
    first_ms: float
    last_ms: float

    @classmethod
    def read(cls, mark: Mapping[str, Any]) -> Summary | None:
        """Of a whole run; None for any other, which only says again what a part of it was."""
        of = str(mark["of"])
        values = [mark.get(name) for name in ("count", "firstMs", "lastMs")]
        if "whole" not in of or not all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in values
        ):
            return None
        count, first_ms, last_ms = (float(value) for value in values if value is not None)
        if not (0 < count < 1e9 and first_ms <= last_ms):
            return None
        return cls(of.split()[0], int(min(count, _MOST_SUMMED)), first_ms, last_ms)
