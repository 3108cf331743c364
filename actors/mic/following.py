"""Puts one voice after another into one stream, without losing first words. No I/O, no clock.

For everybody who is not being heard, the last `PRE_ROLL_MS` are kept. When somebody's turn comes, that goes
out first. It is older than live sound, and since sound is sent no faster than real time, the rest would stay
late by as much. So while anything waits, gaps between words are cut to their first quiet frame. The stream
has caught up after the first few hundred ms of pauses.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from channels.messages import MicrophoneFrame
from sound.loudness import QUIET_DB, level_db

__all__ = ["PRE_ROLL_MS", "Following"]

PRE_ROLL_MS = 500
"""A turn begins 350 to 450 ms after somebody's first sound, if the previous speaker is silent by then."""

WAITS_AT_MOST_MS = 1500
"""Three changes of turn without a single pause; beyond that, the oldest sound is dropped."""


@define
class Following:
    """Puts the frames of those whose turn it is in order.

    Args:
        frame_ms: the length of a frame.
    """

    frame_ms: int
    _heard: str | None = field(default=None, init=False)
    _kept: dict[str, deque[MicrophoneFrame]] = field(factory=dict, init=False)
    """The latest frames of those who are not heard, by track id."""
    _waiting: deque[tuple[MicrophoneFrame, bool]] = field(factory=deque, init=False)
    """What is to be sent, and whether it is quiet."""
    _quiet: bool = field(default=False, init=False)
    """Whether what was sent last is."""

    def hear(self, sid: str | None) -> None:
        """This track's turn has come."""
        if sid == self._heard:
            return
        self._heard = sid
        for frame in self._kept.pop(sid or "", ()):
            self._append(frame)

    def take(self, sid: str, frame: MicrophoneFrame) -> MicrophoneFrame | None:
        """Takes a frame of an open track; returns the frame to send, one per frame of the current speaker."""
        if sid != self._heard:
            self._kept.setdefault(sid, deque(maxlen=PRE_ROLL_MS // self.frame_ms)).append(frame)
            return None
        self._append(frame)
        while len(self._waiting) > 1 and self._quiet and self._waiting[0][1]:
            self._waiting.popleft()
        frame, self._quiet = self._waiting.popleft()
        return frame

    def forget(self, sid: str) -> None:
        """A track is no longer there."""
        self._kept.pop(sid, None)

    @property
    def late_ms(self) -> int:
        """How much waits to be sent."""
        return len(self._waiting) * self.frame_ms

    def _append(self, frame: MicrophoneFrame) -> None:
        self._waiting.append((frame, level_db(frame.untouched) < QUIET_DB))
        if self.late_ms > WAITS_AT_MOST_MS:
            self._waiting.popleft()
