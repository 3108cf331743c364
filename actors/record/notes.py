"""What a record is made of: what was overheard, and what a record says of itself.

Sound and its reports come many times a second and say little each, so they are joined into runs, which
tell how many they were and the longest gap between two: what was regular is short, what was not is seen.
"""

from __future__ import annotations

from typing import Any

import attrs

__all__ = [
    "BOOKKEEPING",
    "Ended",
    "Lost",
    "MicrophoneRun",
    "PlayRun",
    "PlayingRun",
    "RecordLine",
    "ReplyAudioRun",
]


@attrs.frozen
class RecordLine:
    """One line of a record."""

    t: float
    """Seconds since the record began."""
    on: str
    what: Any


@attrs.frozen
class PlayingRun:
    """`Playing` reports that followed one another; the line's own time is the last one's."""

    reply_id: str
    audible: bool
    since: float
    """The time of the first."""
    count: int
    from_ms: float
    """What had been played at the first of them."""
    played_ms: float
    """And at the last."""
    longest_gap_ms: float = 0.0
    reports: tuple[tuple[float, float], ...] = ()
    """When each was seen (s), and what had been played by then (ms)."""


@attrs.frozen
class PlayRun:
    """`Play` orders that followed one another."""

    reply_id: str
    since: float
    count: int
    length: int
    """Bytes of sound, together."""


@attrs.frozen
class ReplyAudioRun:
    """Sound of a reply as the service sent it, each piece with its time: nothing of it is rounded off."""

    reply_id: str | None
    since: float
    pieces: tuple[tuple[float, int, int | None], ...]
    """When each was seen (s), its bytes, and at which of them it becomes audible, if it does."""


@attrs.frozen
class MicrophoneRun:
    """Frames of the person's sound that followed one another, to the service or to the onset detector."""

    since: float
    count: int
    length: int
    longest_gap_ms: float = 0.0
    frames: tuple[tuple[float, int, int], ...] = ()
    """With a sound file: when each frame passed, or was judged (s), its first sample, and its samples."""


@attrs.frozen
class Lost:
    """So many things passed that the recorder was too slow to write down."""

    count: int


@attrs.frozen
class Ended:
    """The record is whole: the conversation was over."""


BOOKKEEPING = (PlayingRun, PlayRun, ReplyAudioRun, MicrophoneRun, Lost, Ended)
"""What stands in a record and is no message."""
