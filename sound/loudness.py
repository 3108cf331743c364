"""How loud sound is, and where it is only a gap between words."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["QUIET_DB", "SILENCE_DB", "level_db"]

QUIET_DB = -45.0
"""Below it a frame is a gap between words; rooms with a microphone of their own are seldom louder."""

SILENCE_DB = -120.0


def level_db(pcm: bytes) -> float:
    """How loud sound is: its RMS in dB of full scale, -120 for digital silence."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float32)
    power = float(np.mean(samples * samples)) / 32768.0**2 if samples.size else 0.0
    return max(SILENCE_DB, 10 * math.log10(power)) if power > 0 else SILENCE_DB
