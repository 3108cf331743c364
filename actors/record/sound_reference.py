"""Sound as a record refers to it: its length, and where it can first be heard. No I/O, no clock."""

from __future__ import annotations

import numpy as np

from sound.pcm import SAMPLE_BYTES

__all__ = ["AUDIBLE", "first_audible", "stand_in"]

AUDIBLE = 300
"""Of 32767, -41 dB: what the speaker, too, takes for the first sound that a person could hear."""

_CONSTANT = b"\x20"
"""0x2020 wherever the samples begin, a quarter of full scale."""

LONGEST_BYTES = 2**26
"""Far beyond any message; more is a broken record."""


def first_audible(pcm: bytes, before: bytes = b"") -> int | None:
    """Where the first sample that a person could hear begins, in bytes; None if there is none.

    Args:
        pcm: sound.
        before: the half sample that the sound before it ended with, if it did.
    """
    whole = before + pcm
    samples = np.frombuffer(whole, "<i2", count=len(whole) // SAMPLE_BYTES).astype(np.int32)
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    return max(0, int(loud[0]) * SAMPLE_BYTES - len(before)) if len(loud) else None


def stand_in(length: int, audible_from: int | None) -> bytes:
    """Sound of so many bytes that becomes audible at that byte.

    Raises:
        ValueError: no message is that long.
    """
    if not 0 <= length <= LONGEST_BYTES:
        raise ValueError(f"{length} bytes of sound")
    silent = length if audible_from is None else min(length, audible_from)
    return bytes(silent) + _CONSTANT * (length - silent)
