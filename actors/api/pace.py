"""Never faster than real time: when the next piece of live sound may be sent. Pure."""

from __future__ import annotations

from attrs import define, field

__all__ = ["Pace"]


@define
class Pace:
    """Lets sound pass at its own speed.

    A frame may come `slack_ms` early, so that the jitter of a scheduler does not add up to a delay;
    what was not sent during a stall gives no right to send more afterwards. In any span of t ms no more
    than t + slack + one frame of sound passes.
    """

    slack_ms: float = 50.0
    _due: float = field(default=float("-inf"), init=False)
    """When the next frame would be sent at exactly real time, in seconds."""

    def pass_at(self, now: float) -> float:
        """When the next frame may be sent (seconds; not before `now`)."""
        return max(now, self._due - self.slack_ms / 1000)

    def passed(self, now: float, ms: float) -> None:
        """A frame of `ms` has been sent, however long the sending took."""
        self._due = max(now, self._due) + ms / 1000

    def slow_down(self, now: float, ms: float) -> None:
        """The service finds that sound comes too fast: nothing passes for `ms`."""
        self._due = max(now, self._due) + ms / 1000 + self.slack_ms / 1000
