"""One voice after another in one stream, with none of the first words lost. No I/O, no clock.

Of everybody who is not heard, the last `PRE_ROLL_MS` are kept. When somebody's turn comes, what was kept goes
out first: it is by then older than live sound, and since sound is sent no faster than real time, the rest
would stay late by as much. So a gap between words is cut short while anything waits: of a gap's quiet frames
the first is kept. The stream is in time again after the first few hundred ms of pauses.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from channels.messages import MicrophoneFrame
from sound.loudness import QUIET_DB, level_db

__all__ = ["PRE_ROLL_MS", "Following"]

PRE_ROLL_MS = 500
"""Somebody is taken 350 to 450 ms after their first sound where the one before was silent by then."""

WAITS_AT_MOST_MS = 1500
"""Three changes of turn without a single pause; beyond, the oldest sound gives way."""


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
        """Takes a frame of an open track; gives the frame to send, one for each frame of the one heard."""
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
