"""How likely it is that somebody speaks, for every 32 ms of sound: Silero VAD v6 (MIT) on onnxruntime.

Sound comes in at 24 kHz in chunks of any length; it is resampled to 16 kHz and cut into windows of 512
samples, which is what Silero was trained on. Each window is given together with the last 64 samples of
the one before and with the network's memory, as Silero's own streaming wrapper does.

The same sound gives the same windows, bit for bit, however it was cut into chunks: the network is always
given one window at a time, and what is left over waits for the next chunk, half a sample included. The
resampler is ours, since soxr's holds back up to 36 ms (measured), by which the agent would fall silent later.
"""

from __future__ import annotations

import functools
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from sound.models import open_model, own_file
from sound.pcm import SAMPLE_BYTES, bytes_of_ms
from sound.resampling import ToSixteenKilohertz

__all__ = ["WINDOW_MS", "WINDOW_RATE_HZ", "Vad", "Window", "warm"]

WINDOW_RATE_HZ = 16_000
WINDOW_MS = 32
"""512 samples at 16 kHz: the only window that Silero v5 and v6 take at this rate."""

_WINDOW_SAMPLES = WINDOW_RATE_HZ * WINDOW_MS // 1000
_CONTEXT_SAMPLES = 64
_MEMORY_SHAPE = (1, 1, 128)


@attrs.frozen
class Window:
    """32 ms of sound, judged."""

    probability: float
    """That somebody speaks in it, 0 to 1."""
    pcm: bytes = attrs.field(repr=False)
    """The sound: PCM16 mono **16 kHz**, 1,024 bytes."""


class Vad:
    """Judges one stream of sound. Takes about 4 ms of CPU a second of sound; not for several threads.

    Raises:
        ModelMissing: on creation, when the model is not installed.
    """

    def __init__(self) -> None:
        """Begins a stream; loads the model if `warm` has not."""
        self._model = _silero()
        self._resampler = ToSixteenKilohertz()
        self._heard = bytearray()
        """At 24 kHz: it is resampled once it completes a window, not each time that some of it comes."""
        self._unjudged = bytearray()
        self._hidden = self._cell = np.zeros(_MEMORY_SHAPE, np.float32)
        self._context: npt.NDArray[np.float32] = np.zeros(_CONTEXT_SAMPLES, np.float32)

    def feed(self, pcm: bytes) -> list[Window]:
        """Takes sound (PCM16 mono 24 kHz, any number of bytes); gives the windows that are complete.

        A window keeps back up to 32 ms, the resampler 1 ms.
        """
        self._heard += pcm
        windows: list[Window] = []
        size = _WINDOW_SAMPLES * SAMPLE_BYTES
        threes = len(self._heard) // (3 * SAMPLE_BYTES)
        if len(self._unjudged) + 2 * threes * SAMPLE_BYTES < size:
            return windows
        self._unjudged += self._resampler.convert(bytes(self._heard[: 3 * threes * SAMPLE_BYTES]))
        del self._heard[: 3 * threes * SAMPLE_BYTES]
        while len(self._unjudged) >= size:
            window = bytes(self._unjudged[:size])
            del self._unjudged[:size]
            windows.append(Window(self._judge(window), window))
        return windows

    def _judge(self, pcm: bytes) -> float:
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / np.float32(32768)
        seen = np.concatenate([self._context, samples])[np.newaxis]
        self._context = samples[-_CONTEXT_SAMPLES:]
        probabilities, self._hidden, self._cell = self._model.run(
            None, {"input": seen, "h": self._hidden, "c": self._cell}
        )
        return float(probabilities[0])


def warm() -> None:
    """Loads the model, so that the first stream need not wait for it. Blocking, about 0.1 s."""
    Vad().feed(bytes(bytes_of_ms(4 * WINDOW_MS)))


@functools.cache
def _silero() -> Any:
    return open_model(own_file("silero_vad/silero_vad_16k.onnx"))
