"""Which sounds are short, known before the pause that ends a sound. No I/O, no clock."""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from channels.messages import HeardWindow
from sound.vad import WINDOW_MS

__all__ = ["Followed", "GoesOn", "ShortSound"]

LOOK_AFTER_MS = 4 * WINDOW_MS
"""A pause of this length may be the end. Silero takes some 70 ms to notice one, so that 128 ms of it are
200 ms of silence: longer than the stops within a word. What goes on after it was none."""

LONGEST_MS = 2000.0
"""Longer sounds are not judged: the service names a sound within 2.2 s of its beginning, so that it has, or
will have before `linger_ms` is over."""

VOICE = 0.5
"""Windows of this probability follow one another in a voice; of a lower one, where that is enough for an
onset."""

LEAD = 6
"""Windows before the first one that made the onset: soft beginnings ("h", "s") are no voice yet."""

LONGEST_ONSET = 32
"""Windows that may make an onset: a second of them (`min_speech_ms`)."""

GOES_ON = 2
"""So many windows in a row that may be a voice go on with a sound, or a single one that is; the tail of a
cough flickers."""


@frozen
class ShortSound:
    """A sound that may be over."""

    at: float
    """When it began."""
    length_ms: float
    voice_ms: float
    """The longest stretch of it that is a voice."""
    pcm: bytes = field(repr=False)
    """With a little before and behind it; PCM16 mono 16 kHz."""
    body: bytes = field(repr=False)
    """Without."""


@frozen
class GoesOn:
    """It was not over."""

    at: float
    """When the whole of it began."""


@define
class Followed:
    """Follows the windows of one microphone.

    Args:
        threshold: the probability of the windows that make an onset.
    """

    threshold: float = VOICE
    _before: deque[HeardWindow] = field(factory=lambda: deque(maxlen=LEAD + LONGEST_ONSET), init=False)
    _lead: list[HeardWindow] = field(factory=list, init=False)
    _sound: list[HeardWindow] = field(factory=list, init=False)
    """While there is one: from the windows on that made its onset, as much as is judged."""
    _began: float = field(default=0.0, init=False)
    _looked: bool = field(default=False, init=False)
    _going_on: int = field(default=0, init=False)
    """Windows in a row without a pause."""

    def take(self, window: HeardWindow) -> ShortSound | GoesOn | None:
        """What is known with this window and was not before it."""
        if window.pause_ms is None:
            self._before.append(window)
            self._sound, self._looked = [], False
            return None
        if not self._sound:
            self._begin(window)
        if len(self._sound) * WINDOW_MS <= LONGEST_MS + LOOK_AFTER_MS:
            self._sound.append(window)
        self._going_on = self._going_on + 1 if window.pause_ms == 0 else 0
        if self._looked and (
            self._going_on >= GOES_ON or (self._going_on and window.probability >= self._voice)
        ):
            self._looked = False
            return GoesOn(self._began)
        if self._looked or window.pause_ms < LOOK_AFTER_MS:
            return None
        self._looked = True
        body = self._sound[: -round(window.pause_ms / WINDOW_MS)]
        if len(body) * WINDOW_MS > LONGEST_MS or self._sound[-1] is not window:
            return None
        return ShortSound(
            self._began,
            len(body) * WINDOW_MS,
            _longest_run([each.probability >= self._voice for each in body]) * WINDOW_MS,
            b"".join(each.pcm for each in (*self._lead, *self._sound)),
            b"".join(each.pcm for each in body),
        )

    def _begin(self, window: HeardWindow) -> None:
        """The last of the windows that make an onset."""
        before = list(self._before)
        first = len(before)
        while first and before[first - 1].probability >= self.threshold:
            first -= 1
        self._lead, self._sound = before[max(0, first - LEAD) : first], before[first:]
        # As the detector has it, so that one can be told from another.
        self._began = window.at - (len(self._sound) + 1) * WINDOW_MS / 1000
        self._before.clear()

    @property
    def _voice(self) -> float:
        return min(VOICE, self.threshold)


def _longest_run(those: list[bool]) -> int:
    longest = run = 0
    for one in those:
        run = run + 1 if one else 0
        longest = max(longest, run)
    return longest
