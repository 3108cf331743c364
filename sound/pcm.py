"""The only sound format inside the agent: PCM16, mono, 24 kHz, little-endian.

24,000 Hz is the only PCM rate that the Voice Agent API takes (protocol reference, "Audio"), so sound is never
resampled inside the agent: LiveKit's SDK converts it at the edge.
"""

from __future__ import annotations

__all__ = ["BYTES_PER_MS", "SAMPLE_BYTES", "SAMPLE_RATE_HZ", "bytes_of_ms", "ms_of_bytes"]

SAMPLE_RATE_HZ = 24_000
SAMPLE_BYTES = 2
BYTES_PER_MS = SAMPLE_RATE_HZ * SAMPLE_BYTES // 1000


def ms_of_bytes(count: int) -> float:
    """How long `count` bytes of sound last, in ms."""
    return count / BYTES_PER_MS


def bytes_of_ms(ms: float) -> int:
    """How many bytes last `ms`, cut down to whole samples."""
    return int(ms * SAMPLE_RATE_HZ / 1000) * SAMPLE_BYTES
