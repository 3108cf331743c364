"""A caller: a participant whose microphone is always open, and may hear the agent's own voice.

In the room stands a real listener (`bench.guest`); the caller speaks with its microphone, frame by frame, on
a clock of its own. An echo is what a client without a canceller makes: the sound that arrived, after its
sound buffer, through a room of 100 ms reverberation, at a given level, back into the microphone.
"""

from __future__ import annotations

import time

import attrs
import numpy as np
import numpy.typing as npt
import trio

from bench.guest import Guest
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms

__all__ = ["Caller"]

Samples = npt.NDArray[np.float64]

_FRAME_MS = 20
_FRAME_SAMPLES = SAMPLE_RATE_HZ * _FRAME_MS // 1000
_AHEAD_MS = 40
"""Lies in the microphone's queue, so that a busy machine makes no holes in it."""
_BUFFER_SAMPLES = SAMPLE_RATE_HZ * 60 // 1000
"""What a client keeps of what arrived before it plays it."""
_MOST_BUFFERED_SAMPLES = SAMPLE_RATE_HZ * 160 // 1000
"""Beyond it a client catches up: a delay that once came would otherwise stay for the rest of the call."""
_REVERBERATION_SAMPLES = SAMPLE_RATE_HZ // 10


@attrs.define
class Caller:
    """Someone who calls.

    Args:
        guest: the participant.
        echo_db: how loud the agent's voice is in the microphone, beside how it arrived; None: headphones.
        noise_rms: of the room's own noise, of 32767.
    """

    guest: Guest
    echo_db: float | None = None
    noise_rms: float = 0.0
    _said: bytes = b""
    _said_at: float = 0.0
    _began: trio.Event = attrs.field(factory=trio.Event)
    _read: int = 0
    """Of what the guest heard, the frames that have gone into the room."""
    _playing: bytearray = attrs.field(factory=bytearray)
    _primed: bool = False
    _tail: Samples = attrs.field(factory=lambda: np.zeros(_REVERBERATION_SAMPLES - 1))

    async def run(self) -> None:
        """Keeps the microphone open until cancelled."""
        await self.guest.capture(bytes(bytes_of_ms(_AHEAD_MS)))
        start, number = trio.current_time(), 0
        room, random = _room(), np.random.default_rng(2)
        while True:
            frame = random.normal(size=_FRAME_SAMPLES) * self.noise_rms
            if self.echo_db is not None:
                frame += self._echo(room) * 10 ** (self.echo_db / 20)
            if self._said:
                if not self._began.is_set():
                    self._said_at = time.monotonic() + _AHEAD_MS / 1000
                    self._began.set()
                piece = np.frombuffer(self._said[: bytes_of_ms(_FRAME_MS)], "<i2")
                self._said = self._said[bytes_of_ms(_FRAME_MS) :]
                frame[: len(piece)] += piece
            await self.guest.capture(frame.clip(-32768, 32767).astype("<i2").tobytes())
            number += 1
            await trio.sleep_until(start + number * _FRAME_MS / 1000)

    async def sound(self, pcm: bytes) -> float:
        """Makes a sound; gives the time (`time.monotonic()`) of its first sample in the microphone."""
        self._said, self._began = pcm, trio.Event()
        await self._began.wait()
        return self._said_at

    def hush(self) -> None:
        """Stops in the middle of a sound."""
        self._said = b""

    def _echo(self, room: Samples) -> Samples:
        arrived = self.guest.heard[self._read :]
        self._read += len(arrived)
        for each in arrived:
            self._playing += each.pcm
        if len(self._playing) // 2 > _MOST_BUFFERED_SAMPLES:
            del self._playing[: len(self._playing) - 2 * _BUFFER_SAMPLES]
        if len(self._playing) // 2 >= _BUFFER_SAMPLES:
            self._primed = True
        played = np.zeros(_FRAME_SAMPLES)
        if self._primed and len(self._playing) >= 2 * _FRAME_SAMPLES:
            played[:] = np.frombuffer(bytes(self._playing[: 2 * _FRAME_SAMPLES]), "<i2")
            del self._playing[: 2 * _FRAME_SAMPLES]
        else:
            self._primed = False
        around = np.concatenate([self._tail, played])
        self._tail = around[-len(self._tail) :]
        echo: Samples = np.convolve(around, room, "valid")
        return echo


def _room() -> Samples:
    random = np.random.default_rng(1)
    decay = np.exp(-6.9 * np.arange(_REVERBERATION_SAMPLES) / _REVERBERATION_SAMPLES)
    response = random.normal(size=_REVERBERATION_SAMPLES) * decay
    response[0] = 4.0
    normal: Samples = response / np.sqrt(np.sum(response**2))
    return normal
