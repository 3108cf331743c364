"""A sound that says which reply it is of, and which place in it: a tone that glides up, very slowly.

It stands in for sound that a recording left out. Each reply has a pitch of its own, so a listener in the room
tells them apart; within a reply no 10 ms are like any others, so a test that has the samples themselves knows
what was heard twice, or not at all.
"""

from __future__ import annotations

import functools

import numpy as np

from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms

__all__ = ["PITCHES", "glide", "pitch_hz"]

PITCHES = 36
"""So many replies have a pitch of their own; then the first comes again."""

_LOWEST_HZ = 300.0
_RISE_HZ_PER_S = 2.0
_LOUDNESS = 8000
"""Of 32767: loud speech."""
_AT_ONCE_MS = 1000


def pitch_hz(pitch: int) -> float:
    """Where the glide of that number begins, in Hz: neighbours are three semitones apart."""
    octaves, rest = divmod(pitch % PITCHES, 12)
    return float(_LOWEST_HZ * 2 ** ((3 * rest + octaves) / 12))


def glide(pitch: int, from_ms: float, ms: float) -> bytes:
    """A piece of a glide, PCM16 mono 24 kHz.

    Args:
        pitch: the number of the glide, from 0 on.
        from_ms: where the piece begins in it.
        ms: how long it is.
    """
    first, count = bytes_of_ms(from_ms), bytes_of_ms(ms)
    out = bytearray()
    step = bytes_of_ms(_AT_ONCE_MS)
    for block in range(first // step, (first + count) // step + 1):
        piece = _block(pitch % PITCHES, block)
        out += piece[max(0, first - block * step) : max(0, first + count - block * step)]
    return bytes(out)


@functools.lru_cache(maxsize=256)
def _block(pitch: int, number: int) -> bytes:
    at_s = (number * _AT_ONCE_MS / 1000) + np.arange(bytes_of_ms(_AT_ONCE_MS) // 2) / SAMPLE_RATE_HZ
    turns = pitch_hz(pitch) * at_s + _RISE_HZ_PER_S / 2 * at_s**2
    return bytes(np.rint(_LOUDNESS * np.sin(2 * np.pi * turns)).astype("<i2").tobytes())
