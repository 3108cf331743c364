"""How far ahead of real time live sound may be sent: when the next piece of it may go. No I/O, no clock.

The service documents that it drops what is more than about a second of sound in a second of time, and says
`audio_rate_violation` then; seen was that it took three times real time for seven seconds without a word. So
what a stall held up may follow at once, as long as that is less than the second. Once the service has said
that it was too fast, nothing is sent ahead any more.
"""

from __future__ import annotations

from attrs import define, field

__all__ = ["AHEAD_MS", "JITTER_MS", "Pace"]

AHEAD_MS = 880.0
"""A second, less a frame of 50 ms and the jitter."""

JITTER_MS = 60.0
"""So much earlier a frame may go that has just come: else what a busy machine delays now and then would add
up to a delay, and so would what is left of a stall when it is less than a frame."""


@define
class Pace:
    """Lets sound pass at its own speed, all in all.

    In any span of t ms no more than t + `ahead_ms` + `JITTER_MS` + one frame of sound passes.
    """

    ahead_ms: float = AHEAD_MS
    _due: float = field(default=float("-inf"), init=False)
    """When the next frame would be sent at exactly real time, in seconds."""

    def pass_at(self, now: float, *, waited: bool = False) -> float:
        """When the next frame may be sent (seconds; not before `now`).

        Args:
            now: in seconds.
            waited: whether it is one that had to wait.
        """
        ahead_ms = self.ahead_ms + (0.0 if waited else JITTER_MS)
        return max(now, self._due - ahead_ms / 1000)

    def room_ms(self, now: float) -> float:
        """How much may be sent at once; less than nothing where even the next frame has to wait."""
        return self.ahead_ms + JITTER_MS - max(0.0, self._due - now) * 1000

    def passed(self, now: float, ms: float) -> None:
        """A frame of `ms` has been sent, however long the sending took."""
        self._due = max(now, self._due) + ms / 1000

    def slow_down(self, now: float, ms: float) -> None:
        """The service finds that sound comes too fast: nothing passes for `ms`, then only real time."""
        self.ahead_ms = 0.0
        self._due = now + (ms + JITTER_MS) / 1000
