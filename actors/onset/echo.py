"""Whether the microphone hears the agent's own voice. No I/O, no clock.

An echo canceller helps only if there is an echo. Without one (headphones, or a client that cancels it itself)
it has nothing to learn from, takes the person for an echo and half suppresses them: measured, an onset over
the agent's voice is then noticed after 550 to 1,300 ms instead of 82. So the two streams are compared. An
echo has the waveform of the original voice, late and faint, so their cross-correlation (whitened, "GCC-PHAT")
has a peak at the echo's delay; two different voices have none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import define, field

from sound.pcm import SAMPLE_RATE_HZ, ms_of_bytes

__all__ = ["EchoWatch", "likeness"]

HEARD_SAMPLES = SAMPLE_RATE_HZ * 8 // 10
"""The microphone's sound that is compared: long enough to find an echo of -40 dB."""

LONGEST_DELAY_SAMPLES = SAMPLE_RATE_HZ // 2
"""A later echo is not found, and WebRTC's canceller could not cancel it either."""

PLAYED_SAMPLES = HEARD_SAMPLES + LONGEST_DELAY_SAMPLES

LIKE = 6.0
"""From this peak (in RMS of its surroundings) the microphone still hears the agent. Measured: without echo 4
in the median, and in 99 of 100 comparisons below 5.1 (6.3 while a person speaks too); with an echo of -20 dB
14 in a room of 100 ms reverberation and 7.7 in one of 400 ms."""

LIKE_AGAIN = 7.0
"""From this one it hears the agent again: more than a chance likeness of two voices (1 in 1,000)."""

LIKE_AGAIN_MS = 400.0
"""For so long in a row: a chance likeness lasts for a few comparisons, since their windows overlap."""

UNLIKE_MS = 1000.0
"""After this long without a match, while the agent speaks and the person does not, there is no echo."""

EVERY_MS = 100.0
"""How often the streams are compared; 0.5 ms of CPU each time."""

_AUDIBLE_RMS = 100.0
_SILENT_RMS = 8.0
"""Below it there is no echo to be heard: that of a soft voice (RMS 1,000) at -40 dB has 10."""
_MOST = 0.5
"""Of the blocks that are compared: a few syllables on either side are like anything."""
_SOME = 0.3
_WHITENING = 0.7
"""1 gives every frequency the same weight, 0 its loudness: in noise, the frequencies that have voice in
them should count for more."""
_BLOCK_SAMPLES = SAMPLE_RATE_HZ // 50
_FFT_SAMPLES = 32768
_FREQUENCIES = np.fft.rfftfreq(_FFT_SAMPLES, 1 / SAMPLE_RATE_HZ)
_VOICE = (_FREQUENCIES > 200) & (_FREQUENCIES < 4000)

Samples = npt.NDArray[np.float32]


def likeness(played: Samples, heard: Samples) -> float:
    """How far the cross-correlation's peak stands out, for delays up to `LONGEST_DELAY_SAMPLES`.

    Args:
        played: the last `PLAYED_SAMPLES` of what was played.
        heard: the last `HEARD_SAMPLES` of what was heard.
    """
    later = np.pad(_evened(heard), (PLAYED_SAMPLES - HEARD_SAMPLES, 0))
    cross = np.fft.rfft(later, _FFT_SAMPLES) * np.conj(np.fft.rfft(_evened(played), _FFT_SAMPLES))
    cross[~_VOICE] = 0
    cross /= (np.abs(cross) + 1e-9) ** _WHITENING
    correlation = np.fft.irfft(cross)[:LONGEST_DELAY_SAMPLES]
    return float(np.abs(correlation).max() / (np.sqrt(np.mean(correlation**2)) + 1e-12))


def _evened(samples: Samples) -> Samples:
    # Otherwise a single loud syllable would dominate, and any two vowels are alike.
    blocks = samples.reshape(-1, _BLOCK_SAMPLES)
    evened: Samples = blocks / (np.sqrt(np.mean(blocks**2, axis=1, keepdims=True)) + 1)
    return evened.reshape(-1)


@define
class EchoWatch:
    """Follows the two streams. It assumes an echo until it knows that there is none."""

    echo: bool = field(default=True, init=False)
    _unlike_ms: float = field(default=0.0, init=False)
    _like_ms: float = field(default=0.0, init=False)
    _new_played: bytearray = field(factory=bytearray, init=False)
    _new_heard: bytearray = field(factory=bytearray, init=False)
    """Since the last comparison."""
    _played: Samples = field(factory=lambda: np.zeros(PLAYED_SAMPLES, np.float32), init=False)
    _heard: Samples = field(factory=lambda: np.zeros(HEARD_SAMPLES, np.float32), init=False)

    def take(self, played: bytes, heard: bytes, *, person: bool) -> None:
        """Takes as much of what was played as of what was heard (PCM16 mono 24 kHz).

        Args:
            played: by the agent.
            heard: by the microphone.
            person: whether the person speaks, who would drown an echo.
        """
        self._new_played += played
        self._new_heard += heard
        passed_ms = ms_of_bytes(len(self._new_heard))
        if passed_ms < EVERY_MS:
            return
        self._played, self._new_played = _after(self._played, self._new_played), bytearray()
        self._heard, self._new_heard = _after(self._heard, self._new_heard), bytearray()
        if _share(self._played, _AUDIBLE_RMS) < _MOST:
            return
        if _share(self._heard, _SILENT_RMS) < _SOME:
            self._note_unlike(passed_ms)
            return
        like = likeness(self._played, self._heard)
        if self.echo:
            if like >= LIKE:
                self._unlike_ms = 0.0
            elif not person:
                self._note_unlike(passed_ms)
            return
        self._like_ms = self._like_ms + passed_ms if like >= LIKE_AGAIN else 0.0
        if self._like_ms >= LIKE_AGAIN_MS:
            self.echo, self._unlike_ms = True, 0.0

    def _note_unlike(self, passed_ms: float) -> None:
        self._unlike_ms += passed_ms
        if self._unlike_ms >= UNLIKE_MS:
            self.echo, self._like_ms = False, 0.0


def _after(before: Samples, pcm: bytearray) -> Samples:
    return np.concatenate([before, np.frombuffer(pcm, "<i2").astype(np.float32)])[-len(before) :]


def _share(samples: Samples, rms: float) -> float:
    """How many of the blocks of 20 ms are louder than that, 0 to 1."""
    blocks = samples[: len(samples) // _BLOCK_SAMPLES * _BLOCK_SAMPLES].reshape(-1, _BLOCK_SAMPLES)
    return float(np.mean(np.sqrt(np.mean(blocks**2, axis=1)) > rms))
