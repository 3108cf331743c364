"""The person's sound that has not been sent yet: words wait, and the pauses between them shrink.
No I/O, no clock.

Sound waits while there is no session, while the network stalls, and when more arrives at once than may be
sent. It is sent no faster than it is spoken, so a delay would last for the rest of the call. To catch up,
each gap between words is cut down to one frame (before the first word, to its last frame).

Words are dropped in two cases only. Anything said longer ago than `WORDS_WAIT_S` is no longer part of the
conversation. And if no gap has come for `PATIENCE_S` while sound was being sent, none will: nobody speaks
that long without a breath, so it is music, or a room as loud as its people. Then one waiting frame in
`ONE_IN` is dropped, the quietest first.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from channels.messages import MicrophoneFrame
from sound.loudness import QUIET_DB, level_db
from sound.pcm import ms_of_bytes

__all__ = ["IN_TIME_FRAMES", "PATIENCE_S", "WORDS_WAIT_S", "Backlog"]

WORDS_WAIT_S = 10.0
"""As long as the service may take until it says `session.ready`."""

PATIENCE_S = 3.0
ONE_IN = 4

ROOM_FRAMES = 60
"""3 s, in which a person breathes: the quietest of them is the noise of their room."""
NEAR_THE_ROOM_DB = 6.0
ABOVE_THE_ROOM_DB = 20.0
"""If a voice is this much louder than the room, its gaps can be recognised, however loud the room is."""

IN_TIME_FRAMES = 2
"""On a busy machine one frame sometimes waits for the next: that delay is not worth losing words for."""


@frozen
class _Waiting:
    frame: MicrophoneFrame
    since: float
    db: float
    quiet: bool


@define
class Backlog:
    """Keeps frames in order until they can be sent.

    Args:
        most: frames that may wait.
    """

    most: int
    dropped: int = field(default=0, init=False)
    """Frames, in all."""
    silence_dropped_ms: float = field(default=0.0, init=False)
    speech_dropped_ms: float = field(default=0.0, init=False)
    _waiting: deque[_Waiting] = field(factory=deque, init=False)
    _levels: deque[float] = field(factory=lambda: deque(maxlen=ROOM_FRAMES), init=False)
    _sent_quiet: bool = field(default=True, init=False)
    """Whether what was sent last is quiet."""
    _hopes_until: float | None = field(default=None, init=False)
    """How long to wait for a gap (s)."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def ms(self) -> float:
        """How much sound is waiting."""
        return sum(ms_of_bytes(len(each.frame.pcm)) for each in self._waiting)

    @property
    def since(self) -> float:
        """When the next frame was heard (s); there must be one."""
        return self._waiting[0].frame.at

    def take(self, frame: MicrophoneFrame, now: float) -> None:
        """Takes the next frame, at `now` (s)."""
        db = level_db(frame.untouched)
        self._levels.append(db)
        self._waiting.append(_Waiting(frame, now, db, self._is_quiet(db)))
        while self._waiting[0].since < now - WORDS_WAIT_S:
            self._drop(0)
        if len(self._waiting) > self.most:
            self._drop(next((place for place, each in enumerate(self._waiting) if each.quiet), 0))

    def next(self) -> MicrophoneFrame:
        """The frame to be sent now; there must be one."""
        first = self._waiting.popleft()
        self._sent_quiet = first.quiet
        if len(self._waiting) <= IN_TIME_FRAMES:
            self._hopes_until = None
        return first.frame

    def shorten(self, now: float, *, sending: bool) -> None:
        """Shortens the gaps of sound that cannot be sent at once.

        Args:
            now: s, on the clock of the frames.
            sending: whether sound is being sent, as fast as it may.
        """
        gaps = self._rest_of_gaps()
        for place in reversed(gaps):
            self._drop(place)
        if gaps or not sending or len(self._waiting) <= IN_TIME_FRAMES:
            self._hopes_until = None
        elif self._hopes_until is None:
            self._hopes_until = now + PATIENCE_S
        elif now >= self._hopes_until:
            quietest = min(range(len(self._waiting)), key=lambda place: self._waiting[place].db)
            self._hopes_until = now + ONE_IN * ms_of_bytes(len(self._waiting[quietest].frame.pcm)) / 1000
            self._drop(quietest)

    def clear(self) -> None:
        """Forgets what is waiting: nobody needs it any more."""
        self._waiting.clear()
        self._sent_quiet, self._hopes_until = True, None

    def _rest_of_gaps(self) -> list[int]:
        found, begun, before = [], self._sent_quiet, False
        for place, each in enumerate(self._waiting):
            begun = begun and each.quiet  # the gap before all of it, of which a frame was sent
            after = place + 1 < len(self._waiting) and self._waiting[place + 1].quiet
            if each.quiet and (after if begun else before):
                found.append(place)
            before = each.quiet
        return found

    def _is_quiet(self, db: float) -> bool:
        room = min(self._levels)
        return db < QUIET_DB or (
            db < room + NEAR_THE_ROOM_DB and max(self._levels) > room + ABOVE_THE_ROOM_DB
        )

    def _drop(self, place: int) -> None:
        gone = self._waiting[place]
        del self._waiting[place]
        self.dropped += 1
        ms = ms_of_bytes(len(gone.frame.pcm))
        if gone.quiet:
            self.silence_dropped_ms += ms
        else:
            self.speech_dropped_ms += ms
