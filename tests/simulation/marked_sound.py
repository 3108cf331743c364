"""Marked sound: each sample of a reply says which reply it is of, and at which place, even after a fade.

A reply is a noise of its own whose samples are all of the same loudness and differ in their signs only. A
few dozen of them in a row occur nowhere else, so any piece that the room hears can be placed; a fade changes
the loudness and leaves the signs. Replies begin with near-silence: the same, hardly audible.
"""

from __future__ import annotations

import numpy as np

from sound.pcm import SAMPLE_BYTES

__all__ = ["is_faded_from", "is_loud", "is_lowered_from", "is_risen_from", "marked_sound", "unpadded"]

_LOUD, _QUIET = 8000, 20
"""Full scale is 32767; -41 dB, below which the agent calls it silence, is 300."""

_RISE = 10 * 24 * SAMPLE_BYTES
"""A voice that goes on rises for 10 ms."""

_BLOCK = 2**16


def marked_sound(number: int, samples: int, silent: int) -> bytes:
    """The whole sound of a reply, with so many near-silent samples first."""
    blocks = -(-samples // _BLOCK)
    bits = np.unpackbits(np.frombuffer(np.random.default_rng(number).bytes(blocks * _BLOCK // 8), np.uint8))
    noise = np.where(bits[:samples], _LOUD, -_LOUD).astype("<i2")
    noise[:silent] = np.where(bits[: min(silent, samples)], _QUIET, -_QUIET)
    return noise.tobytes()


def is_loud(pcm: bytes) -> bool:
    """Whether somebody could hear it, a voice that is lowered included."""
    samples = np.frombuffer(pcm, "<i2")
    return bool((abs(samples) >= _LOUD // 5).any())


def unpadded(pcm: bytes) -> bytes:
    """The sound without the silence at its end that fills up a step of the SDK."""
    length = len(pcm.rstrip(b"\0"))
    return pcm[: length + length % SAMPLE_BYTES]


def is_faded_from(pcm: bytes, sound: bytes | bytearray) -> bool:
    """Whether `pcm` is the beginning of `sound`, or a piece of it, with less loudness."""
    if len(sound) < len(pcm):
        return False
    heard, said = np.frombuffer(pcm, "<i2"), np.frombuffer(bytes(sound[: len(pcm)]), "<i2")
    return bool(((np.sign(heard) == np.sign(said)) | (heard == 0)).all() and (abs(heard) <= abs(said)).all())


def is_lowered_from(pcm: bytes, sound: bytes | bytearray) -> bool:
    """Whether `pcm` is the beginning of `sound`, softer by no more than the 12 dB of a lowered voice."""
    if len(sound) < len(pcm):
        return False
    heard = np.frombuffer(pcm, "<i2").astype(int)
    said = np.frombuffer(bytes(sound[: len(pcm)]), "<i2").astype(int)
    loudness = heard * np.sign(said)
    return bool(((loudness >= abs(said) * 0.25 - 1) & (loudness <= abs(said))).all())


def is_risen_from(pcm: bytes, sound: bytes | bytearray) -> bool:
    """Whether `pcm` is the beginning of `sound`, but that it rises out of silence."""
    if len(sound) < len(pcm):
        return False
    said = np.frombuffer(bytes(sound[: min(len(pcm), _RISE)]), "<i2").astype(int)
    rising = (said * np.arange(1, len(said) + 1) // max(1, len(said))).astype("<i2").tobytes()
    return rising + bytes(sound[len(rising) : len(pcm)]) == pcm
