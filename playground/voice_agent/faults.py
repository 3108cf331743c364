"""What goes wrong on purpose, and which reply it happens to."""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["Faults", "Mishaps"]


@attrs.frozen
class Faults:
    """What goes wrong on purpose. The default: nothing."""

    refuse_start_with: Literal["at_capacity", "concurrency_exceeded", "internal_error"] | None = None
    """Refuse the first `session.update` with this code; 1011 for `internal_error`, else 1008."""
    refuse_starts: int | None = None
    """How many starts are refused before one succeeds; None: all."""
    close_1011_after_s: float | None = None
    """Close with 1011, no event before it, so many seconds after `session.ready`."""
    never_ready: bool = False
    """`session.ready` never comes."""
    pcm_16k: Literal["invalid_value", "never_ready", "internal_error"] = "invalid_value"
    """The answer to a PCM format of 16 kHz; the other two were seen live."""
    silent_replies: bool = False
    """Replies carry silence for sound, and no text (a tool's preamble was seen to)."""
    empty_next: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    """So many replies from now on are empty: `reply.started`, `reply.done{completed}`, nothing between (seen
    live). A greeting never is."""
    empty_every: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(attrs.validators.ge(1))
    )
    """One reply in so many is empty, the last of each run of that many; 1: all. A greeting never is."""
    tool_calls_sent: int = attrs.field(default=1, validator=[attrs.validators.ge(1), attrs.validators.le(6)])
    """So often each tool call is sent, each time with an id of its own: up to 6 were seen live in a turn. The
    model acts on the result of the first."""
    unknown_event: bool = False
    """An event that no protocol has follows every `session.ready` and every `reply.started`."""
    reply_error: Literal["with_done", "alone"] | None = None
    """Every reply fails after `reply.started` with `reply.error`; `reply.done` follows, or nothing more does.
    Both are guesses: the event is in the service's schema only."""
    late_audio_ms: int = 0
    """Sound of an interrupted reply that still comes after its `reply.done`; never seen live."""
    http_tool_call: bool = False
    """Every reply announces a tool that the service runs itself: a client must not answer it."""


@attrs.define
class Mishaps:
    """Counts one session's replies, and says which of them are empty. No I/O, no clock."""

    _faults: Faults
    _asked: int = attrs.field(default=0, init=False)

    def empties(self) -> bool:
        """Whether the next reply is empty."""
        self._asked += 1
        if self._asked <= self._faults.empty_next:
            return True
        every = self._faults.empty_every
        return every is not None and self._asked % every == 0
