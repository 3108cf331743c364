"""Sound between the wire and the ears, and between the voice and the wire.

Inside, sound is PCM16 mono 24 kHz. `Uplink` turns a client's frames into it; `Downlink` turns a voice's
into what the client asked for, cut into chunks of the pacer's choice. G.711 has 8,000 Hz.
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

from channels.wire.session import SoundFormat
from sound.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from sound.pcm import SAMPLE_RATE_HZ
from sound.resampling import ToTwentyFourKilohertz

__all__ = ["BadAudio", "Downlink", "RateGate", "Uplink"]

_G711_HZ = 8_000


class BadAudio(Exception):
    """Sound that is none: PCM16 with half a sample."""


class Uplink:
    """Decodes the input of one session.

    Args:
        format: of the wire.
    """

    def __init__(self, format: SoundFormat) -> None:
        self._format = format
        self._resampler = None if format.encoding == "audio/pcm" else ToTwentyFourKilohertz()

    def duration_ms(self, audio: bytes) -> float:
        """How long a frame lasts."""
        return len(audio) / (48 if self._resampler is None else 8)

    def decode(self, audio: bytes) -> bytes:
        """A frame as PCM16 mono 24 kHz. G.711 comes out 1 ms late.

        Raises:
            BadAudio: half a sample.
        """
        if self._resampler is None:
            if len(audio) % 2:
                raise BadAudio
            return audio
        samples = ulaw_decode(audio) if self._format.encoding == "audio/pcmu" else alaw_decode(audio)
        return self._resampler.convert(samples).astype("<i2").tobytes()


def _pcm(samples: npt.NDArray[np.float32]) -> bytes:
    return np.rint(samples).clip(-32768, 32767).astype("<i2").tobytes()


@attrs.frozen
class Downlink:
    """Encodes the output of one session."""

    format: SoundFormat

    @property
    def samples_per_ms(self) -> int:
        """On the wire."""
        return (SAMPLE_RATE_HZ if self.format.encoding == "audio/pcm" else _G711_HZ) // 1000

    def convert(self, pcm: bytes) -> bytes:
        """PCM16 mono 24 kHz as PCM16 in the wire's rate."""
        if self.format.encoding == "audio/pcm":
            return pcm
        # Late: most sessions need none. In floats: with integers it would add dither to silence.
        import soxr

        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        return _pcm(soxr.resample(samples, SAMPLE_RATE_HZ, _G711_HZ))

    def encode(self, pcm: bytes, volume: float | None) -> bytes:
        """PCM16 in the wire's rate as the bytes of the wire; `volume` 100 or None leaves it as it is."""
        if volume is None and self.format.encoding == "audio/pcm":
            return pcm
        samples = np.frombuffer(pcm, "<i2").astype(np.int16)
        if volume is not None:
            samples = np.rint(samples * (volume / 100)).astype(np.int16)
        match self.format.encoding:
            case "audio/pcmu":
                return ulaw_encode(samples)
            case "audio/pcma":
                return alaw_encode(samples)
            case _:
                return samples.astype("<i2").tobytes()


@attrs.define
class RateGate:
    """Lets no more sound in than time passes, and one second at a time more. No I/O, no clock."""

    _credit_ms: float = 1000.0
    _at_s: float | None = None

    def admits(self, ms: float, now_s: float) -> bool:
        """Whether a frame of `ms` may pass at `now_s`; if so it is counted."""
        if self._at_s is not None:
            self._credit_ms = min(1000.0, self._credit_ms + (now_s - self._at_s) * 1000)
        self._at_s = now_s
        if ms > self._credit_ms + 1e-6:
            return False
        self._credit_ms -= ms
        return True
