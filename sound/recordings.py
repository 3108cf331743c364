"""Converts sound that LiveKit's clients recorded to our own format. It is untrusted until it has been read.

Phones send PCM16 at the rate and with the channels that the attributes name. Browsers send Opus in WebM.
Safari's AAC is not read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import attrs
import numpy as np
import numpy.typing as npt

from sound.pcm import SAMPLE_BYTES, bytes_of_ms
from sound.resampling import to_twenty_four_kilohertz
from sound.webm import ogg_of, opus_packets

__all__ = ["LONGEST_S", "Recording", "RecordingUnreadable"]

LONGEST_S = 10.0
"""So long LiveKit's clients record before they give up; of a longer one the end counts."""

RATES_HZ = range(8_000, 96_001)
CHANNELS = range(1, 3)
_OPUS = ("audio/opus", "audio/webm")
_OPUS_RATE_HZ = 48_000
_OPUS_BYTES_A_S = 64_000
"""Its highest rate; browsers take a quarter of that."""
LONGEST_NUMBER = 6
"""Digits."""


class RecordingUnreadable(ValueError):
    """A recording is not what it says, or says nothing; the text is one line that names the fix."""


@attrs.frozen
class Recording:
    """How a recording is written.

    Raises (from `of`):
        RecordingUnreadable: not in a way that this agent knows.
    """

    track_sid: str
    """Of the track that goes on with it."""
    rate_hz: int
    channels: int
    opus: bool = False

    @classmethod
    def of(cls, mime_type: str, attributes: Mapping[str, str]) -> Recording:
        """As its byte stream says.

        Args:
            mime_type: empty, or `application/octet-stream`: PCM16; `audio/webm;codecs=opus`.
            attributes: `trackId`, `sampleRate` and `channels`.
        """
        written = mime_type[:100].split(";")[0].strip().lower()
        if written not in ("", "application/octet-stream", "audio/pcm", *_OPUS):
            raise RecordingUnreadable(f"it is {written[:40]!r}; record PCM16, or Opus in WebM")
        track_sid = attributes.get("trackId", "")
        if not 0 < len(track_sid) <= 64:
            raise RecordingUnreadable("trackId is not the id of a track; name the track that continues it")
        return cls(
            track_sid,
            _number("sampleRate", attributes, RATES_HZ),
            _number("channels", attributes, CHANNELS),
            written in _OPUS,
        )

    @property
    def most_bytes(self) -> int:
        """So many are as long as anybody records."""
        if self.opus:
            return int(LONGEST_S * _OPUS_BYTES_A_S)
        return int(LONGEST_S * self.rate_hz) * self.channels * SAMPLE_BYTES

    def read(self, written: bytes) -> bytes:
        """It as PCM16 mono 24 kHz, its end if it is longer than `LONGEST_S`.

        Raises:
            RecordingUnreadable: it is not written as it says.
        """
        samples = _decoded(written, self.channels) if self.opus else self._as_it_is(written)
        rate_hz = _OPUS_RATE_HZ if self.opus else self.rate_hz
        mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
        mono = mono[-int(LONGEST_S * rate_hz) :].astype(np.int16)
        pcm = to_twenty_four_kilohertz(mono, rate_hz).astype("<i2").tobytes()
        return pcm[-bytes_of_ms(LONGEST_S * 1000) :]

    def _as_it_is(self, written: bytes) -> npt.NDArray[np.int16]:
        frame_bytes = self.channels * SAMPLE_BYTES
        whole = written[: len(written) // frame_bytes * frame_bytes]
        return np.frombuffer(whole, "<i2").astype(np.int16).reshape(-1, self.channels)


def _decoded(webm: bytes, channels: int) -> npt.NDArray[np.int16]:
    """The sound of Opus in WebM, at 48,000 Hz."""
    try:
        import soundfile
    except OSError:  # no wheel for this platform, and no library of the system's
        raise RecordingUnreadable("it is Opus, which libsndfile decodes; install libsndfile") from None
    try:
        ogg = ogg_of(opus_packets(webm), channels)
        samples, rate_hz = soundfile.read(io.BytesIO(ogg), dtype="int16", always_2d=True)
    except (ValueError, RuntimeError) as error:  # RuntimeError: soundfile's own
        raise RecordingUnreadable(f"it is not Opus in WebM ({error}); record it with MediaRecorder") from None
    if rate_hz != _OPUS_RATE_HZ:
        raise RecordingUnreadable("it is Opus at an odd rate; record it with MediaRecorder")
    return np.asarray(samples, np.int16)


def _number(name: str, attributes: Mapping[str, str], among: range) -> int:
    written = attributes.get(name, "")
    if len(written) <= LONGEST_NUMBER and written.isascii() and written.isdigit() and int(written) in among:
        return int(written)
    raise RecordingUnreadable(
        f"{name} is {written[:20]!r}; give a whole number from {among.start} to {among.stop - 1}"
    )
