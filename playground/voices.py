"""The voices of the offline service: the names of the real one, spoken by one small network on the CPU.

`say` cuts a text into sentences, each sentence into words with phonemes (`pronunciation`), speaks them
(`synthesiser`) and trims the silence around each sentence to a breath. Every word of the text, as white
space separates them, comes back with its time in the sound, taken from the durations that the network
itself used; a word that has no sound (an emoji) has no length.

All voices speak American English here, whatever their language at the service: hibari's wheel holds one
voice, from which pitch, vocal tract and pace make eighteen. The same text in the same voice is the same
sound, byte for byte.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import attrs
import numpy as np
import numpy.typing as npt

from channels.errors import PlaygroundFault
from playground.pronunciation import BLANK, PAUSES, Pronounced, pronounce
from playground.sentences import sentences
from playground.synthesiser import Timbre, synthesise
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["VOICES", "Speech", "SpokenWord", "Voice", "VoiceCard", "sentences", "voice", "warm"]


@attrs.frozen
class SpokenWord:
    """A word as it is written, and where in the sound it is."""

    text: str
    start_ms: int
    end_ms: int


@attrs.frozen
class Speech:
    """Sound and its words."""

    pcm: bytes = attrs.field(repr=False)
    """PCM16 mono 24 kHz."""
    words: tuple[SpokenWord, ...]
    """In order, never overlapping, within the sound."""


@attrs.frozen
class VoiceCard:
    """One entry of the catalogue."""

    name: str
    at_the_service: str
    """The language (and accent, where known) of this name at AssemblyAI."""
    timbre: Timbre
    here: str = "American English"
    """What it speaks in the playground."""


def _card(name: str, at_the_service: str, pitch: float, tract: float, speed: float) -> tuple[str, VoiceCard]:
    return name, VoiceCard(name, at_the_service, Timbre(pitch, tract, speed))


VOICES: Mapping[str, VoiceCard] = MappingProxyType(
    dict(
        # Women have a tract of 0.95 and more, men 0.90 and less. Neighbours in the list differ clearly.
        # With speed / tract above 1.22 the recogniser made two to four times as many errors (26 sentences):
        # the network rounds durations to 25 ms, and short phonemes become too short.
        (
            # name, at the service, pitch (1: 183 Hz), tract, speed
            _card("alba", "English", 1.00, 1.00, 1.00),
            _card("anna", "English (UK)", 1.16, 1.05, 0.97),
            _card("charles", "English (UK)", 0.58, 0.86, 0.98),
            _card("estelle", "French", 1.24, 1.02, 1.04),
            _card("eve", "English", 0.88, 0.96, 1.05),
            _card("george", "English", 0.54, 0.86, 1.00),
            _card("giovanni", "Italian", 0.70, 0.88, 1.03),
            _card("iris", "English", 1.10, 1.10, 1.02),
            _card("jane", "English", 0.94, 1.02, 0.95),
            _card("jean", "English", 0.66, 0.86, 1.00),
            _card("juergen", "German", 0.56, 0.88, 1.00),
            _card("lola", "Spanish", 1.20, 1.12, 1.08),
            _card("mary", "English", 0.92, 1.06, 0.98),
            _card("michael", "English", 0.62, 0.89, 1.03),
            _card("paul", "English (UK)", 0.64, 0.83, 0.98),
            _card("rafael", "Portuguese", 0.72, 0.85, 1.00),
            _card("reid", "English", 0.64, 0.90, 1.03),
            _card("vera", "English (UK)", 1.05, 0.97, 0.96),
        )
    )
)
"""By name, in the order in which the live service lists them (protocol reference 11). `alba` is its default.
Which of the English names without an accent are men or women is not documented; the names decide."""

_MOST_PHONEMES = 300
"""Spoken at once, about 20 s: hibari itself cuts at 400, and the network's cost grows with the square."""
_GAIN = 1.6
"""From hibari's level to -22 dBFS RMS, like other speech. Loudest of 180 sentences: a peak of 0.83."""
_SILENCE = 0.004
"""Amplitude (before the gain) below which nothing is heard. Padding was measured to stay below 0.0001."""
_LEAD_MS = 40
_TAIL_MS = 200
"""Silence left before and behind each sentence: together the pause between two, a short breath."""

_Samples = npt.NDArray[np.float32]


@attrs.frozen
class Voice:
    """Somebody who speaks. Blocking; safe to use from several threads at once."""

    card: VoiceCard

    @property
    def name(self) -> str:
        """As in the catalogue."""
        return self.card.name

    def say(self, text: str) -> Speech:
        """Speaks any text; what has no sound gives words without length, and nothing gives nothing.

        Raises:
            ModelMissing: the model is not installed.
        """
        sounds: list[_Samples] = []
        words: list[SpokenWord] = []
        at = 0
        for sentence in sentences(text):
            for part in _parts(pronounce(sentence)):
                sound, spans = _spoken(part, self.card.timbre)
                words += _timed(part, spans, at, len(sound))
                sounds.append(sound)
                at += len(sound)
        pcm = (np.clip(np.concatenate([*sounds, np.zeros(0, np.float32)]), -1, 1) * 32767).astype("<i2")
        return Speech(pcm.tobytes(), tuple(words))


@functools.cache
def voice(name: str) -> Voice:
    """The voice of that name.

    Raises:
        PlaygroundFault: there is none; the text names the nearest ones.
    """
    if name in VOICES:
        return Voice(VOICES[name])
    near = difflib.get_close_matches(name.lower(), VOICES, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}? The voices are" if near else "take one of"
    raise PlaygroundFault(f"there is no voice {name!r}", f"{fix} {', '.join(VOICES)}")


def warm() -> None:
    """Loads what all voices share and says a few words: the first reply is quick then. Blocking, 1 to 2 s."""
    voice("reid").say("Hello there, 5 zyxes.")


def _parts(words: list[Pronounced]) -> Iterator[list[Pronounced]]:
    """Cuts a very long sentence between words, behind a comma if there is one in its second half."""
    while sum(len(word.phonemes) + 1 for word in words) > _MOST_PHONEMES and len(words) > 1:
        fits, count = 0, 0
        while fits < len(words) and count + len(words[fits].phonemes) < _MOST_PHONEMES:
            count += len(words[fits].phonemes) + 1
            fits += 1
        commas = [at for at in range(fits // 2, fits) if words[at].text[-1] in ",;:\u2013\u2014"]
        cut = commas[-1] + 1 if commas else max(fits, 1)
        yield words[:cut]
        words = words[cut:]
    yield words


def _spoken(words: list[Pronounced], timbre: Timbre) -> tuple[_Samples, list[tuple[float, float]]]:
    """The sound of some words, trimmed, and for each word the samples between which it lies."""
    phonemes: list[int] = []
    places: list[tuple[int, int]] = []
    for word in words:
        if phonemes and word.phonemes:
            phonemes.append(BLANK)
        first = len(phonemes)
        phonemes += word.phonemes
        sounding = [at for at in range(first, len(phonemes)) if phonemes[at] not in PAUSES]
        places.append((sounding[0], sounding[-1] + 1) if sounding else (first, first))
    nothing = np.zeros(0, np.float32), [(0.0, 0.0)] * len(words)
    if all(first == last for first, last in places):
        return nothing
    samples, bounds = synthesise(phonemes, timbre)
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    if not len(loud):
        return nothing
    begin = max(0, loud[0] - _LEAD_MS * SAMPLE_RATE_HZ // 1000)
    end = loud[-1] + _TAIL_MS * SAMPLE_RATE_HZ // 1000
    spans = [_sounding(loud, bounds[first], bounds[last]) for first, last in places]
    return samples[begin:end] * _GAIN, [(start - begin, stop - begin) for start, stop in spans]


def _sounding(loud: npt.NDArray[np.intp], start: float, stop: float) -> tuple[float, float]:
    """What is loud between two bounds: hibari puts the silence of a pause into the consonant before it."""
    within = loud[np.searchsorted(loud, start) : np.searchsorted(loud, stop)]
    return (float(within[0]), float(within[-1] + 1)) if len(within) else (start, start)


def _timed(
    words: list[Pronounced], spans: list[tuple[float, float]], at: int, length: int
) -> Iterator[SpokenWord]:
    """Places words, whose spans are in samples of their own sound, into the sound that begins at `at`."""
    earliest, latest = _ms(at), _ms(at + length)
    for word, (first, last) in zip(words, spans, strict=True):
        silent = first == last
        start = earliest if silent else min(max(earliest, _ms(at + first)), latest)
        earliest = start if silent else min(max(start, _ms(at + last)), latest)
        yield SpokenWord(word.text, start, earliest)


def _ms(samples: float) -> int:
    return int(samples * 1000 / SAMPLE_RATE_HZ)
