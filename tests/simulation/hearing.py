"""Hearing: when the simulated service decides that the person speaks, and that a turn is over.

It decides on the sound that it was sent, so that an agent whose uplink has died is never answered. Like
the live service it takes its time: a second or two of voice before it calls it an interruption.
"""

from __future__ import annotations

import enum
from random import Random

from attrs import define, field

__all__ = ["Decision", "Hearing"]

FRAME_MS = 50
BREATH_MS = 300
"""Silence within what is still one sound."""


class Decision(enum.Enum):
    """What the service decides."""

    STARTED = "started"
    STOPPED = "stopped"


@define
class Hearing:
    """Listens to one session."""

    random: Random
    calm: bool = False
    sounding: bool = field(default=False, init=False)
    _voiced_ms: int = field(default=0, init=False)
    _silent_ms: int = field(default=0, init=False)
    _needs_ms: float = field(default=300, init=False)
    _pause_ms: float = field(default=600, init=False)

    def hear(self, voiced: bool, *, agent_speaks: bool) -> Decision | None:
        """Takes a frame of 50 ms; gives what follows."""
        if voiced:
            if self._voiced_ms == 0:
                self._draw(agent_speaks)
            self._voiced_ms += FRAME_MS
            self._silent_ms = 0
            if not self.sounding and self._voiced_ms >= self._needs_ms:
                self.sounding = True
                return Decision.STARTED
            return None
        self._silent_ms += FRAME_MS
        if self.sounding and self._silent_ms >= self._pause_ms:
            self.sounding, self._voiced_ms = False, 0
            return Decision.STOPPED
        if not self.sounding and self._silent_ms >= BREATH_MS:
            self._voiced_ms = 0
        return None

    def _draw(self, agent_speaks: bool) -> None:
        if self.calm:
            self._needs_ms, self._pause_ms = 300, 600
        else:
            self._needs_ms = (
                self.random.uniform(1070, 2200) if agent_speaks else self.random.uniform(300, 800)
            )
            self._pause_ms = self.random.uniform(400, 1500)
