"""Sound that a client recorded by itself, as LiveKit's clients write it, to the house's. Hostile until read.

Phones send PCM16 at the rate and with the channels that the attributes name.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from channels.errors import VoiceAgentError
from channels.resampling import to_twenty_four_kilohertz
from channels.sound import SAMPLE_BYTES, bytes_of_ms

__all__ = ["LONGEST_S", "Recording", "RecordingUnreadable"]

LONGEST_S = 10.0
"""So long LiveKit's clients record before they give up; of a longer one the end counts."""

RATES_HZ = range(8_000, 96_001)
CHANNELS = range(1, 3)
LONGEST_NUMBER = 6
"""Digits."""


class RecordingUnreadable(VoiceAgentError):
    """A recording is not what it says, or says nothing."""


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

    @classmethod
    def of(cls, mime_type: str, attributes: Mapping[str, str]) -> Recording:
        """As its byte stream says.

        Args:
            mime_type: empty, or `application/octet-stream`: PCM16.
            attributes: `trackId`, `sampleRate` and `channels`.
        """
        if mime_type.split(";")[0].strip().lower() not in ("", "application/octet-stream", "audio/pcm"):
            raise RecordingUnreadable("it is not PCM16", "record it as PCM16")
        track_sid = attributes.get("trackId", "")
        if not 0 < len(track_sid) <= 64:
            raise RecordingUnreadable(
                "trackId is not the id of a track", "name the track that goes on with it"
            )
        return cls(
            track_sid,
            _number("sampleRate", attributes, RATES_HZ),
            _number("channels", attributes, CHANNELS),
        )

    @property
    def most_bytes(self) -> int:
        """More of it is not needed, and what is first is not."""
        return int(LONGEST_S * self.rate_hz) * self.channels * SAMPLE_BYTES

    def read(self, written: bytes) -> bytes:
        """It as PCM16 mono 24 kHz, its end if it is longer than `LONGEST_S`."""
        frame_bytes = self.channels * SAMPLE_BYTES
        whole = written[: len(written) // frame_bytes * frame_bytes][-self.most_bytes :]
        samples = np.frombuffer(whole, "<i2").reshape(-1, self.channels)
        mono = samples[:, 0] if self.channels == 1 else samples.mean(axis=1)
        pcm = to_twenty_four_kilohertz(mono.astype(np.int16), self.rate_hz).astype("<i2").tobytes()
        return pcm[-bytes_of_ms(LONGEST_S * 1000) :]


def _number(name: str, attributes: Mapping[str, str], among: range) -> int:
    written = attributes.get(name, "")
    if len(written) <= LONGEST_NUMBER and written.isascii() and written.isdigit() and int(written) in among:
        return int(written)
    raise RecordingUnreadable(
        f"{name} is {written[:20]!r}", f"give a whole number from {among.start} to {among.stop - 1}"
    )
