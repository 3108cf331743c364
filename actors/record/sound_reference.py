"""Sound as a record refers to it: its length, and where it can first be heard. Pure."""

from __future__ import annotations

import numpy as np

from channels.sound import SAMPLE_BYTES

__all__ = ["AUDIBLE", "first_audible", "stand_in"]

AUDIBLE = 300
"""Of 32767, -41 dB: what the speaker, too, takes for the first sound that a person could hear."""

_CONSTANT = b"\x20"
"""0x2020 wherever the samples begin, a quarter of full scale."""

LONGEST_BYTES = 2**26
"""Far beyond any message; more is a broken record."""


def first_audible(pcm: bytes) -> int | None:
    """The first sample that a person could hear; None if there is none."""
    samples = np.frombuffer(pcm, "<i2", count=len(pcm) // SAMPLE_BYTES).astype(np.int32)
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    return int(loud[0]) if len(loud) else None


def stand_in(length: int, audible_from: int | None) -> bytes:
    """Sound of so many bytes that becomes audible at that sample.

    Raises:
        ValueError: no message is that long.
    """
    if not 0 <= length <= LONGEST_BYTES:
        raise ValueError(f"{length} bytes of sound")
    silent = length if audible_from is None else min(length, audible_from * SAMPLE_BYTES)
    return bytes(silent) + _CONSTANT * (length - silent)
