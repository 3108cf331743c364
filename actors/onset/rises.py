"""When something rises out of the room's noise: sooner than anybody could say what it is. No I/O, no clock.

A voice detector needs a window of voiced sound; a phrase begins with a breath, an "h" or an "s". Those are
louder than the room, and that is known after 20 ms. What it costs is that a key that is struck is louder,
too: so a rise is good for no more than to lower the agent's voice for a moment, and one that was no voice is
remembered, so that a second of its kind is no news.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from attrs import define, field

from sound.pcm import bytes_of_ms

__all__ = ["STEP_MS", "Rises"]

STEP_MS = 10
"""Sound is looked at in steps of this length."""

ABOVE_DB = 10.0
"""So far above the room's noise sound is a rise. Measured (`bench.onsets`): 6 dB is 5 ms sooner where the
room is quiet, and finds many more rises in music and in an office; 15 dB is up to 40 ms later in a noisy
one."""

STEPS = 2
"""So many steps in a row: a click of less is not heard as a sound of its own."""

QUIETEST_DB = -62.0
"""Of full scale: below it nobody says anything."""

_FALLS_DB = 1.0
_CLIMBS_DB = 0.04
"""A step, towards the sound: the noise of a room is what is there between sounds, so it follows what is
quieter in 0.1 s and what is louder by 4 dB a second."""

NEWS_DB = 6.0
"""What was no voice is news again when it is so much louder."""

FORGOTTEN_AFTER_S = 6.0
"""Or so long afterwards, however loud it was."""

_DIGITAL_DB = -99.0
"""No room is so quiet: a track that is muted, or missing. It tells nothing of the room."""

_LOWEST_DB = QUIETEST_DB - ABOVE_DB
"""A quieter room makes no difference, and to climb out of it takes time."""

_STEP_BYTES = bytes_of_ms(STEP_MS)


@define
class Rises:
    """Follows one stream of sound."""

    _left: bytearray = field(factory=bytearray, init=False)
    _noise_db: float = field(default=0.0, init=False)
    _steps: int = field(default=0, init=False)
    """So far."""
    _known: deque[tuple[int, float]] = field(factory=deque, init=False)
    """What rose and was no voice: at which step it was over, and how loud it was. A later one that is louder
    takes the place of those before it, so the first is the loudest that is not forgotten."""
    _loud: int = field(default=0, init=False)
    _peak_db: float = field(default=-math.inf, init=False)
    """Of what rose last and has not fallen yet."""
    _risen: bool = field(default=False, init=False)
    _voice: bool = field(default=False, init=False)

    def take(self, pcm: bytes, *, voice: bool) -> bool:
        """Whether something has risen in this sound (PCM16 mono 24 kHz, of any length).

        Args:
            pcm: the next of it.
            voice: whether somebody is known to speak.
        """
        self._left += pcm
        risen = False
        while len(self._left) >= _STEP_BYTES:
            step = np.frombuffer(bytes(self._left[:_STEP_BYTES]), "<i2").astype(np.float32)
            del self._left[:_STEP_BYTES]
            risen |= self._step(10 * math.log10(float(step @ step) / len(step) / 2**30 + 1e-10), voice)
        return risen

    def _step(self, db: float, voice: bool) -> bool:
        self._steps += 1
        while self._known and (self._steps - self._known[0][0]) * STEP_MS > FORGOTTEN_AFTER_S * 1000:
            self._known.popleft()
        if db > _DIGITAL_DB:
            self._noise_db += min(_CLIMBS_DB, max(-_FALLS_DB, db - self._noise_db))
            self._noise_db = max(self._noise_db, _LOWEST_DB)
        loud = db >= max(self._noise_db + ABOVE_DB, QUIETEST_DB)
        self._voice |= voice
        if self._risen:
            self._peak_db = max(self._peak_db, db)
            self._loud = 0 if loud else self._loud + 1  # steps since it was loud
            if self._loud >= STEPS:
                if not self._voice:
                    self._know(self._peak_db)
                self._risen, self._loud = False, 0
            return False
        self._loud = self._loud + 1 if loud else 0
        self._peak_db = max(self._peak_db, db) if self._loud > 1 else db
        if self._loud < STEPS:
            return False
        self._risen, self._loud, self._voice = True, 0, voice
        return not voice and (not self._known or self._peak_db > self._known[0][1] + NEWS_DB)

    def _know(self, db: float) -> None:
        while self._known and self._known[-1][1] <= db:
            self._known.pop()
        self._known.append((self._steps, db))
