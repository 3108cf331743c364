"""When the person is to be heard in the room, by what a log tells of them.

A prober's log says when a clip began and where its voice does. Anybody else's says only what the service
made of it: `input.speech.started` comes with the first recognised word, and `input.speech.stopped` when a
turn is over. So much earlier than these the person began and ended.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import attrs

from playground.recording.replies import Reply

__all__ = ["Heard", "voices"]

_STARTED_AFTER_MS = 888.0
"""From the first sound to `input.speech.started` while the agent is silent: the median of seven."""
_STARTED_OVER_VOICE_AFTER_MS = 1454.0
"""The same while the agent talks: the median of nine."""
_STOPPED_AFTER_MS = 700.0
"""From the last sound to `input.speech.stopped`: what the service waits for, to be sure."""
_SHORTEST_MS = 200.0
_PAUSE_MS = 100.0
_UNENDED_MS = 2000.0
_LONGEST_MS = 60_000.0


@attrs.define
class Heard:
    """What a log tells of the person, in ms."""

    onsets_ms: list[float] = attrs.field(factory=list)
    """Where the voice of a clip begins."""
    started_ms: list[float] = attrs.field(factory=list)
    stopped_ms: list[float] = attrs.field(factory=list)

    @property
    def count(self) -> int:
        """How much that is."""
        return len(self.onsets_ms) + len(self.started_ms) + len(self.stopped_ms)


def voices(heard: Heard, replies: Sequence[Reply], ends_ms: float) -> Iterator[tuple[float, float]]:
    """When the person makes sounds, and how long each lasts, in ms."""
    begins = sorted({*heard.onsets_ms, *_guessed(heard, replies)})
    stops = sorted(heard.stopped_ms)
    for place, begin_ms in enumerate(begins):
        next_ms = begins[place + 1] if place + 1 < len(begins) else ends_ms
        index = bisect_right(stops, begin_ms + _SHORTEST_MS)
        end_ms = begin_ms + _UNENDED_MS
        if index < len(stops):
            end_ms = stops[index] - _STOPPED_AFTER_MS
        end_ms = max(min(end_ms, next_ms - _PAUSE_MS, begin_ms + _LONGEST_MS), begin_ms + _SHORTEST_MS)
        yield begin_ms, end_ms - begin_ms


def _guessed(heard: Heard, replies: Sequence[Reply]) -> Iterator[float]:
    """Where they began to speak without a clip that says so: in a second half of a split sentence, say."""
    for started_ms in heard.started_ms:
        stopped = [stop_ms for stop_ms in heard.stopped_ms if stop_ms < started_ms]
        since_ms = max(stopped, default=float("-inf"))
        if any(since_ms < onset_ms <= started_ms for onset_ms in heard.onsets_ms):
            continue
        over_voice = any(r.started_ms < started_ms < (r.ended_ms or 0.0) and r.has_words for r in replies)
        after_ms = _STARTED_OVER_VOICE_AFTER_MS if over_voice else _STARTED_AFTER_MS
        yield max(0.0, started_ms - after_ms, since_ms - _STOPPED_AFTER_MS + _PAUSE_MS)
