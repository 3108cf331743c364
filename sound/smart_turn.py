"""Whether somebody has finished speaking, by the sound alone: Smart Turn v3.2 (BSD-2) on onnxruntime.

The network hears the last eight seconds of a turn as Whisper does, in 80 bands of a mel scale every 10 ms,
and gives the probability that the turn is complete. It was trained on pauses of some 200 ms. Who uses it
says where the file is (`playground.turn_model`).

The features are those of `transformers.WhisperFeatureExtractor` with `chunk_length=8` and `do_normalize`,
as pipecat computes them for it (`pipecat/audio/turn/smart_turn/_whisper_features.py`), to the last bit: the
sound is made to have mean 0 and variance 1, cut into Hann windows of 25 ms, and brought to Slaney's mel
scale; the logarithm keeps 80 dB below the loudest band.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sound.models import open_model

__all__ = ["SECONDS", "SmartTurn", "features"]

_RATE_HZ = 16_000
SECONDS = 8
"""What the network hears; of less, the beginning is silence."""
_SAMPLES = SECONDS * _RATE_HZ
_WINDOW, _STEP = 400, 160
_BANDS = 80
_LEAST_VARIANCE = 1e-7
_LEAST_POWER = 1e-10
_SPAN = 8.0
"""Powers of ten below the loudest that are told apart."""

_Floats = npt.NDArray[np.float64]


class SmartTurn:
    """Judges ends of turns. Blocking, some 35 ms of CPU; safe to call from several threads at once.

    Args:
        model: its file.
    """

    def __init__(self, model: Path) -> None:
        """Loads the model."""
        self._network: Any = open_model(model)

    def probability(self, pcm: bytes) -> float:
        """How likely it is that this turn (PCM16 mono 16 kHz, any length) is complete, 0 to 1."""
        (judged,) = self._network.run(None, {"input_features": features(pcm)[np.newaxis]})
        return float(np.ravel(judged)[0])


def features(pcm: bytes) -> npt.NDArray[np.float32]:
    """What the network sees of the last eight seconds: 80 bands, 800 steps of 10 ms."""
    heard = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")[-_SAMPLES:].astype(np.float32) / np.float32(32768)
    sound = np.zeros(_SAMPLES, np.float32)
    sound[_SAMPLES - len(heard) :] = heard
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(_LEAST_VARIANCE))
    around = np.pad(sound.astype(np.float64), _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(around, _WINDOW)[::_STEP][:-1]
    power = np.abs(np.fft.rfft(windows * _hann())) ** 2
    bands = np.log10(np.maximum(power @ _filters(), _LEAST_POWER)).T
    kept = (np.maximum(bands, bands.max() - _SPAN) + 4) / 4
    seen: npt.NDArray[np.float32] = kept.astype(np.float32)
    return seen


@functools.cache
def _hann() -> _Floats:
    window: _Floats = np.hanning(_WINDOW + 1)[:-1]
    return window


@functools.cache
def _filters() -> _Floats:
    """Triangles on Slaney's mel scale from 0 to 8 kHz, each of area 1: a row a frequency, a column a band."""
    edges = _hertz(np.linspace(0, _mel(_RATE_HZ / 2), _BANDS + 2))
    frequencies = np.linspace(0, _RATE_HZ / 2, _WINDOW // 2 + 1)[:, np.newaxis]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    triangles: _Floats = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return triangles


_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0
_MEL_A_FACTOR = 27 / np.log(6.4)
"""Slaney's scale: a mel is 200/3 Hz up to 1 kHz, and 27 mel are a factor of 6.4 above."""


def _mel(hertz: float) -> float:
    if hertz < _KNEE_HZ:
        return 3 * hertz / 200
    return float(_KNEE_MEL + np.log(hertz / _KNEE_HZ) * _MEL_A_FACTOR)


def _hertz(mel: _Floats) -> _Floats:
    above: _Floats = _KNEE_HZ * np.exp((mel - _KNEE_MEL) / _MEL_A_FACTOR)
    return np.where(mel < _KNEE_MEL, 200 * mel / 3, above)
