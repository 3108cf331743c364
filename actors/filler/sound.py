"""What is played while a tool runs: a soft tone, or the WAV file of a user, as PCM16 mono 24 kHz."""

from __future__ import annotations

import functools
import math
import wave
from array import array
from pathlib import Path

import numpy as np
import soxr

from channels.errors import SettingsError
from channels.settings import FillerSound
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["load_filler", "tone"]

LONGEST_S = 20.0
"""Nobody waits longer than this for a tool, and a longer file is a mistake."""

TONE_HZ = 392.0
TONE_MS = 220
TONE_LEVEL = 1000
"""Of 32767: about 30 dB below a voice at full scale, so it is heard but not distracting."""

_EVERY_S = 1.8
"""From tone to tone: slow enough not to sound like an alarm."""


def load_filler(written: str) -> FillerSound | None:
    """The sound that `tools.filler` names: `off`, `tone`, or a WAV file.

    Raises:
        SettingsError: the file does not exist, or is not a 16-bit WAV file.
    """
    match written:
        case "off":
            return None
        case "tone":
            return FillerSound(tone(), _EVERY_S)
        case _:
            return FillerSound(_read(Path(written)), None)


@functools.cache
def tone() -> bytes:
    """A soft tone that swells and fades, so that it neither begins nor ends with a click.

    Made once a process: it takes milliseconds, in which nobody else is heard.
    """
    count = SAMPLE_RATE_HZ * TONE_MS // 1000
    swell = (math.sin(math.pi * at / count) ** 2 for at in range(count))
    return array(
        "h",
        (
            round(TONE_LEVEL * level * math.sin(2 * math.pi * TONE_HZ * at / SAMPLE_RATE_HZ))
            for at, level in enumerate(swell)
        ),
    ).tobytes()


def _read(path: Path) -> bytes:
    what = f"tools.filler is {path}"
    fix = "write off, tone, or the path of a WAV file with 16 bits per sample"
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise SettingsError(f"{what}, which has {8 * file.getsampwidth()} bits per sample", fix)
            rate, channels, count = file.getframerate(), file.getnchannels(), file.getnframes()
            if rate <= 0 or not 0 < count <= LONGEST_S * rate:
                raise SettingsError(f"{what}, which is empty or longer than {LONGEST_S:g} s", fix)
            samples = np.frombuffer(file.readframes(count), dtype="<i2")
    except FileNotFoundError:
        raise SettingsError(f"{what}, which does not exist", fix) from None
    except (OSError, EOFError, wave.Error):
        raise SettingsError(f"{what}, which is not a readable WAV file", fix) from None
    mono = samples[: len(samples) // channels * channels].reshape(-1, channels).mean(axis=1)
    resampled = soxr.resample(mono.astype(np.float32), rate, SAMPLE_RATE_HZ)
    return bytes(np.clip(np.rint(resampled), -32768, 32767).astype("<i2").tobytes())
