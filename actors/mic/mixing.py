"""Mixes all voices into one stream: a frame of each, added up, every `frame_ms`.
No I/O, no clock: the caller has a clock and calls `mix`.

Why not `rtc.AudioMixer`: it awaits its streams, so one that stalls holds up everybody's sound by its timeout
(100 ms, every round); it has no clock, mixes whatever has come, and clips hard. Here each voice has its own
small buffer, and a frame is mixed when it is due, from whatever is there.

- **Alignment.** A voice begins once `CUSHION_FRAMES` of it are there, and so stays about one frame behind its
  arrival: jitter up to a frame is not heard. A voice that runs dry is left out and begins anew; one that
  piles up loses its oldest frames, so that no voice is ever later than `MOST_FRAMES`.
- **Loudness.** Nobody gets quieter because others are there: voices are added at their own level. A single
  voice is passed on bit for bit.
- **Clipping.** Two or more voices go through a soft limiter: below -3 dB of full scale it changes nothing,
  above that it bends smoothly towards full scale and never exceeds it. It has no memory, so nothing pumps.
- **Edges.** A voice that begins fades in over 5 ms, one that breaks off fades out as fast: no clicks.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt
from attrs import define, field

from sound.pcm import bytes_of_ms

__all__ = ["CUSHION_FRAMES", "MOST_FRAMES", "Mixing", "limit"]

CUSHION_FRAMES = 2
MOST_FRAMES = 4

_KNEE = 0.7079
"""-3 dB of full scale."""
_FADE_SAMPLES = bytes_of_ms(5) // 2

_Sound = npt.NDArray[np.float32]


def limit(sound: _Sound) -> _Sound:
    """Bends what is above -3 dB smoothly towards full scale (1.0), however loud it is."""
    size = np.abs(sound)
    bent = _KNEE + (1 - _KNEE) * np.tanh((size - _KNEE) / (1 - _KNEE))
    return np.where(size <= _KNEE, sound, np.sign(sound) * bent).astype(np.float32)


@define
class _Voice:
    frames: deque[bytes] = field(factory=deque)
    begun: bool = False
    ended: bool = False
    """No more will come: what is there is still played."""
    last: float = 0.0
    """The last sample that was played, -32768 to 32767."""

    def next(self) -> bytes | None:
        if not self.begun and (len(self.frames) < CUSHION_FRAMES and not (self.ended and self.frames)):
            return None
        if not self.frames:
            return self._break_off()
        pcm = self.frames.popleft()
        if not self.begun:
            self.begun = True
            pcm = _shaped(pcm, np.linspace(0, 1, _FADE_SAMPLES, dtype=np.float32))
        self.last = float(np.frombuffer(pcm[-2:], np.int16)[0])
        return pcm

    def _break_off(self) -> bytes | None:
        self.begun = False
        last, self.last = self.last, 0.0
        return _ramp_down(last) if last else None


def _shaped(pcm: bytes, fade: _Sound) -> bytes:
    samples = np.frombuffer(pcm, np.int16).astype(np.float32)
    samples[: len(fade)] *= fade[: len(samples)]
    return samples.astype("<i2").tobytes()


def _ramp_down(last: float) -> bytes:
    return np.linspace(last, 0, _FADE_SAMPLES, dtype=np.float32).astype("<i2").tobytes()


@define
class Mixing:
    """Mixes voices.

    Args:
        frame_ms: the length of a frame, in and out.
    """

    frame_ms: int
    dropped: int = field(default=0, init=False)
    """Frames of voices that had piled up."""
    _voices: dict[str, _Voice] = field(factory=dict, init=False)

    def take(self, sid: str, pcm: bytes) -> None:
        """Takes a frame of a track."""
        voice = self._voices.setdefault(sid, _Voice())
        voice.ended = False
        voice.frames.append(pcm)
        if len(voice.frames) > MOST_FRAMES:
            voice.frames.popleft()
            self.dropped += 1

    def forget(self, sid: str) -> None:
        """A track is gone; the sound that has arrived is still played."""
        if sid in self._voices:
            self._voices[sid].ended = True

    def mix(self) -> bytes:
        """The next frame; silence if nobody has one."""
        parts = [part for voice in self._voices.values() if (part := voice.next()) is not None]
        self._voices = {
            sid: voice
            for sid, voice in self._voices.items()
            if voice.frames or voice.begun or not voice.ended
        }
        size = bytes_of_ms(self.frame_ms)
        parts = [part for part in parts if part.strip(b"\0")]
        if not parts:
            return bytes(size)
        if len(parts) == 1:
            return parts[0].ljust(size, b"\0")[:size]
        total = np.zeros(size // 2, np.float32)
        for part in parts:
            samples = np.frombuffer(part[:size], np.int16)
            total[: len(samples)] += samples.astype(np.float32) / 32768
        return np.rint(limit(total) * 32767).astype("<i2").tobytes()
