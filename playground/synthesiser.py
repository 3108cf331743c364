"""Sound out of phonemes: hibari's network (Apache-2.0, one American voice in the wheel), bent into others.

The network gives, for every 12.5 ms, the pitch of the voice, the spectrum that filters its pulses, and a
spectrum of breath and noise. Another voice is made of it in two independent ways:

- *Vocal tract*: the sound is resampled, which moves all formants (0.85: a longer throat, a man's); the
  network is asked to speak faster or slower by as much, so that the pace stays.
- *Pitch*: the pitch is multiplied before the pulses are made. The filter has learnt the harmonics of the
  original pitch: between them it is arbitrary. So it is read at these harmonics only and drawn smoothly
  through them (without this, voices come out twice as loud and an octave off in places, measured).

The network also knows how long each phoneme lasts but does not say so: its graph computes the durations and
has no output for them. `_with_output` adds the output to the graph's bytes, so that word times are exact.
"""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
import soxr

from sound.models import open_model, wheel_file
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["Timbre", "synthesise"]

_DURATIONS = b"/Round_output_0"
"""The value in hibari 0.2's graph that holds the duration of each phoneme, in units of two frames."""

_BIN_HZ = 20.0
"""Distance of the spectrum's 601 bins (FFT of 1,200 points at 24 kHz)."""
_VOICED_HZ = 40.0
"""Pitch below which a frame has none (hibari's own limit)."""
_HIGHEST_HARMONIC_HZ = 11_000.0
"""hibari's own limit."""
_BREATH = -0.3
"""Damping (ln) of the breath in voiced frames when the pitch is moved: it holds traces of the old pitch."""

_Floats = npt.NDArray[np.float32]


@attrs.frozen
class Timbre:
    """How a voice differs from hibari's own (a woman's, about 183 Hz)."""

    pitch: float = 1.0
    """Factor of its pitch."""
    tract: float = 1.0
    """Factor of its formants: below 1 a longer vocal tract."""
    speed: float = 1.0
    """Factor of its pace."""


def synthesise(phonemes: list[int], timbre: Timbre) -> tuple[_Floats, _Floats]:
    """Speaks phonemes (ids of hibari's vocabulary, without the padding). The same ids sound the same.

    Returns:
        The samples (24 kHz, about -1 to 1) and the bounds of the phonemes in it, in samples: where each
        begins and, last, where the last one ends.
    """
    ids = np.array([[0, *phonemes, 0]], np.int64)
    speed = np.array([timbre.speed / timbre.tract], np.float32)
    *spectra, pitch, durations = (part for part in _network().run(None, {"ids": ids, "speed": speed}))
    filters, phases, noise, breath, breath_phases = (part[0] for part in spectra)
    pitch = pitch[0]
    shift = timbre.pitch / timbre.tract
    if shift != 1:
        _smooth(filters, pitch)
        _smooth(phases, pitch)
        breath = np.where(pitch > _VOICED_HZ, breath + _BREATH, breath)
    rng = np.random.default_rng(len(phonemes))
    samples = _dsp().synth(filters, phases, noise, breath, breath_phases, pitch * shift, rng)
    if timbre.tract != 1:
        samples = soxr.resample(samples, SAMPLE_RATE_HZ * timbre.tract, SAMPLE_RATE_HZ)
    ends = np.cumsum(durations) * (len(samples) / durations.sum())
    return samples, ends[:-1]


def _smooth(spectrum: _Floats, pitch: _Floats) -> None:
    """Reads each voiced frame at the harmonics of its pitch and draws lines between them. In place."""
    bins = np.arange(len(spectrum), dtype=np.float64)
    for frame in np.flatnonzero(pitch > _VOICED_HZ):
        harmonics = np.arange(pitch[frame], _HIGHEST_HARMONIC_HZ, pitch[frame]) / _BIN_HZ
        levels = np.interp(harmonics, bins, spectrum[:, frame])
        spectrum[:, frame] = np.interp(bins, harmonics, levels)


@functools.cache
def _network() -> Any:
    return open_model(_with_output(wheel_file("hibari", "assets/hibari.onnx").read_bytes(), _DURATIONS))


@functools.cache
def _dsp() -> Any:
    from hibari import dsp  # late: it loads scipy

    return dsp


def _with_output(model: bytes, value: bytes) -> bytes:
    """Adds an inner value of an ONNX model to its outputs.

    ONNX is a protobuf: `ModelProto.graph` is field 7, `GraphProto.output` is field 12 and repeated, so
    that one more may simply be appended; `ValueInfoProto.name` is field 1, its type may be left out.
    """
    out = bytearray()
    at = 0
    while at < len(model):
        begin = at
        tag, at = _varint(model, at)
        if tag & 7 == 2:  # length, then bytes
            length, at = _varint(model, at)
            body = model[at : at + length]
            at += length
            if tag >> 3 == 7:
                body += _field(12, _field(1, value))
                out += _field(7, body)
                continue
        else:  # at this level all others are numbers
            _, at = _varint(model, at)
        out += model[begin:at]
    return bytes(out)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at


def _field(number: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    length.append(rest)
    return bytes([number << 3 | 2, *length]) + body
