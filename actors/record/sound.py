"""The sound of a call in one WAV file: the person left, the agent right, on the record's own clock.

Sample n is second n / 24,000 of the record. The person's frames are put where they were spoken, as far as
their arrival tells it; jitter does not tear them apart. The agent's sound is what the room's queue let out:
what was cleared before its time is not there.
"""

from __future__ import annotations

import os
import wave
from io import FileIO
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt
from attrs import define, field

from channels.messages import Sounding
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["SoundFile", "read_sound"]

REACH_S = 6
"""What lies longer ago can change no more: the room's queue holds 2 s at most, and a batch about one."""

JITTER_S = 0.25
"""A frame that comes no later than this after the end of the one before belongs right after it."""


@define
class SoundFile:
    """Writes both voices as they become final."""

    file: FileIO
    _wave: wave.Wave_write = field(init=False)
    _written: int = field(default=0, init=False)
    """Samples in the file."""
    _pending: npt.NDArray[np.int16] = field(init=False)
    """Those after it, that may still change."""
    _person_until: int = field(default=0, init=False)
    _agent_until: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._wave = wave.open(cast(BinaryIO, self.file), "wb")  # noqa: SIM115 (closed by `close`)
        self._wave.setnchannels(2)
        self._wave.setsampwidth(SAMPLE_BYTES)
        self._wave.setframerate(SAMPLE_RATE_HZ)
        self._pending = np.zeros((2 * REACH_S * SAMPLE_RATE_HZ, 2), np.int16)

    def put_person(self, at: float, pcm: bytes) -> tuple[int, int]:
        """Puts a frame that came at `at`; gives its first sample and how many they are."""
        samples = _samples(pcm)
        spoken_at = round(at * SAMPLE_RATE_HZ) - len(samples)
        first = self._person_until
        if spoken_at - first > JITTER_S * SAMPLE_RATE_HZ:
            first = spoken_at
        self._put(0, first, samples)
        self._person_until = first + len(samples)
        return first, len(samples)

    def put_agent(self, sounding: Sounding) -> None:
        """Puts what the room's queue plays, in the place of what it was to play."""
        samples = _samples(sounding.pcm)
        first = round(sounding.at * SAMPLE_RATE_HZ)
        if self._agent_until > first:
            self._put(1, first, np.zeros(self._agent_until - first, np.int16))
        self._put(1, first, samples)
        self._agent_until = first + len(samples)

    def settle(self, at: float) -> None:
        """Writes what can change no more by `at` (s)."""
        self._write_until(round((at - REACH_S) * SAMPLE_RATE_HZ))

    def close(self, at: float) -> None:
        """Writes the rest, up to `at` (s), and closes the file."""
        try:
            self._write_until(max(round(at * SAMPLE_RATE_HZ), self._person_until))
        finally:
            self._wave.close()
            self.file.close()

    def _put(self, side: int, first: int, samples: npt.NDArray[np.int16]) -> None:
        if first + len(samples) - self._written > len(self._pending):
            self._write_until(first + len(samples) - len(self._pending) // 2)
        begin = first - self._written
        late = min(max(0, -begin), len(samples))  # that is in the file already, as silence
        room = self._pending[begin + late : max(0, begin + len(samples)), side]
        room[:] = samples[late : late + len(room)]

    def _write_until(self, sample: int) -> None:
        while (count := min(sample - self._written, len(self._pending))) > 0:
            self._wave.writeframes(self._pending[:count].astype("<i2").tobytes())
            rest = self._pending[count:].copy()
            self._pending[:] = 0
            self._pending[: len(rest)] = rest
            self._written += count
        self.file.flush()


def read_sound(path: Path) -> npt.NDArray[np.int16]:
    """Both voices, as rows of (person, agent) samples.

    Raises:
        OSError, EOFError, wave.Error: the file cannot be read, or is none of ours.
    """
    with wave.open(os.fspath(path), "rb") as file:
        if file.getparams()[:3] != (2, SAMPLE_BYTES, SAMPLE_RATE_HZ):
            raise wave.Error("not 16 bit stereo at 24,000 Hz")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16).reshape(-1, 2)


def _samples(pcm: bytes) -> npt.NDArray[np.int16]:
    return np.frombuffer(pcm, "<i2", count=len(pcm) // SAMPLE_BYTES).astype(np.int16)
