"""Where sounds begin and end, from the probabilities of a voice activity detector. No I/O, no clock."""

from __future__ import annotations

import math

from attrs import define, field

from channels.happenings import SoundStarted, SoundStopped
from channels.settings import BargeInSettings

__all__ = ["PAUSE_MS", "Onsets"]

SILENT_BELOW = 0.15
"""A window is silent if its probability is this far below the threshold, as in Silero's own wrapper."""

PAUSE_MS = 300.0
"""Silence of this length ends a sound: longer than the stops within words, shorter than endpointing."""


@define
class Onsets:
    """The beginnings and ends of sounds.

    Args:
        window_ms: the length of the windows that are judged.
        settings: when a sound counts.
    """

    window_ms: float
    settings: BargeInSettings = field(factory=BargeInSettings)
    sounding: bool = field(default=False, init=False)
    _voiced: int = field(default=0, init=False)
    silent_ms: float = field(default=0.0, init=False)
    """So long the sound has paused, while there is one."""

    def take(self, probability: float, ends_at: float) -> SoundStarted | SoundStopped | None:
        """What a window that ends at `ends_at` (s) begins or ends, if anything."""
        threshold = self.settings.activation_threshold
        if self.sounding:
            silent = probability < threshold - SILENT_BELOW
            self.silent_ms = self.silent_ms + self.window_ms if silent else 0.0
            if self.silent_ms >= PAUSE_MS:
                self.sounding, self._voiced = False, 0
                return SoundStopped(ends_at - self.silent_ms / 1000)
            return None
        self._voiced = self._voiced + 1 if probability >= threshold else 0
        if self._voiced >= math.ceil(self.settings.min_speech_ms / self.window_ms):
            self.sounding, self.silent_ms = True, 0.0
            return SoundStarted(ends_at - self._voiced * self.window_ms / 1000)
        return None
