"""Ears and a voice without models: exact, instant, and the same every time. For tests and benches.

The voice hums 440 Hz: 200 ms for each word, 50 ms of silence between words. The ears hear sound that is
louder than a threshold; they count time in samples, not by the clock, so that a test decides by the sound
it sends: 100 ms of it (or the configured delay) are an onset, the configured silence after it ends the
turn, and what was "said" is how long it was.
"""

from __future__ import annotations

import math

import attrs
import numpy as np
import trio

from channels.bounded import Receiver, Sender
from playground.ears import HearingEvent, PartialWords, SpeechOnset, TurnEnded
from playground.turns import TurnRules
from playground.voice_agent.speech import Ears, Utterance, Voice
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms, ms_of_bytes

__all__ = ["CannedVoice", "Hummed", "HummedWord", "HummingVoice", "LoudnessEars", "ToneSpeech", "hum"]

_WORD_MS = 200
_GAP_MS = 50
_LOUD = 500
_ONSET_MS = 100
_PARTIAL_EVERY_MS = 500


def hum(ms: float, hz: float = 440.0) -> bytes:
    """A tone of -12 dB, as PCM16 mono 24 kHz."""
    count = bytes_of_ms(ms) // 2
    wave = np.sin(2 * math.pi * hz / SAMPLE_RATE_HZ * np.arange(count))
    return bytes((wave * 8192).astype("<i2").tobytes())


@attrs.frozen
class HummedWord:
    """A word and its place, in ms."""

    text: str
    start_ms: int
    end_ms: int


@attrs.frozen
class Hummed:
    """A hummed sentence."""

    pcm: bytes = attrs.field(repr=False)
    words: tuple[HummedWord, ...]


class HummingVoice:
    """Hums each word for 200 ms."""

    async def say(self, text: str) -> Utterance:
        """Hums a sentence."""
        await trio.lowlevel.checkpoint()
        pcm = bytearray()
        words = []
        for word in text.split():
            start_ms = round(ms_of_bytes(len(pcm)))
            pcm += hum(_WORD_MS)
            words.append(HummedWord(word, start_ms, start_ms + _WORD_MS))
            pcm += bytes(bytes_of_ms(_GAP_MS))
        return Hummed(bytes(pcm), tuple(words))


@attrs.frozen
class CannedVoice:
    """Says the same sound whatever it is given; the words are spread over it evenly.

    Args:
        pcm: PCM16 mono 24 kHz.
    """

    pcm: bytes = attrs.field(repr=False)

    async def say(self, text: str) -> Utterance:
        """The sound, as if it were that text."""
        await trio.lowlevel.checkpoint()
        names = text.split()
        each_ms = ms_of_bytes(len(self.pcm)) / max(1, len(names))
        return Hummed(
            self.pcm,
            tuple(
                HummedWord(name, round(index * each_ms), round((index + 1) * each_ms))
                for index, name in enumerate(names)
            ),
        )


@attrs.define
class LoudnessEars:
    """Hears whatever is loud.

    Args:
        audio: PCM16 mono 24 kHz.
        heard: where to tell it.
        detection: when a turn begins and ends.
    """

    _audio: Receiver[bytes]
    _heard: Sender[HearingEvent]
    _detection: TurnRules
    _loud_ms: float = attrs.field(default=0.0, init=False)
    _quiet_ms: float = attrs.field(default=0.0, init=False)
    _told_ms: float = attrs.field(default=0.0, init=False)
    _in_turn: bool = attrs.field(default=False, init=False)

    def configure(self, detection: TurnRules) -> None:
        """Changes when a turn begins and ends."""
        self._detection = detection

    async def run(self) -> None:
        """Hears until the sound ends."""
        async with self._audio, self._heard:
            async for pcm in self._audio:
                for event in self._hear(pcm):
                    await self._heard.send(event)

    def _hear(self, pcm: bytes) -> list[HearingEvent]:
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        ms = ms_of_bytes(len(pcm))
        if samples.size and np.abs(samples).max() > _LOUD:
            self._loud_ms += ms
            self._quiet_ms = 0.0
        else:
            self._quiet_ms += ms
        if not self._in_turn:
            if self._quiet_ms:
                self._loud_ms = 0.0
            if self._loud_ms >= max(_ONSET_MS, self._detection.interruption_delay):
                self._in_turn = True
                return [SpeechOnset(ago_ms=round(self._loud_ms))]
            return []
        if self._quiet_ms >= self._detection.min_silence:
            text = f"{round(self._loud_ms)} ms of sound"
            self._in_turn, self._loud_ms, self._told_ms = False, 0.0, 0.0
            return [TurnEnded(text)]
        if self._loud_ms - self._told_ms >= _PARTIAL_EVERY_MS:
            self._told_ms = self._loud_ms
            return [PartialWords(f"{round(self._loud_ms)} ms")]
        return []


class ToneSpeech:
    """Loudness ears and a humming voice: `ServerOptions(speech=ToneSpeech)`."""

    async def load(self) -> None:
        """Nothing to load."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Nothing runs."""

    def ears(self, audio: Receiver[bytes], heard: Sender[HearingEvent], detection: TurnRules) -> Ears:
        """Ears that hear whatever is loud."""
        return LoudnessEars(audio, heard, detection)

    def voice(self, name: str) -> Voice:
        """The humming voice, whatever the name."""
        return HummingVoice()
