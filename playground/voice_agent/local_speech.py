"""Hearing and speaking on this machine: the playground's recogniser and voices behind the server's seams.

One recogniser serves all sessions, one recognition at a time: two cores are not many. Speaking happens
in worker threads. A voice that this server accepts but the catalogue does not have (the names of early
2026) is spoken by one that it has, always the same.
"""

from __future__ import annotations

import zlib

import attrs
import trio

from channels.bounded import Receiver, Sender
from playground.ears import Ears as RecognisingEars
from playground.ears import HearingEvent
from playground.recogniser import Recogniser
from playground.turns import TurnDetection
from playground.voice_agent.speech import Ears, Utterance, Voice
from playground.voices import VOICES, voice, warm
from playground.voices import Voice as LocalVoice

__all__ = ["LocalSpeech"]


@attrs.frozen
class _ThreadedVoice:
    voice: LocalVoice

    async def say(self, text: str) -> Utterance:
        return await trio.to_thread.run_sync(self.voice.say, text, abandon_on_cancel=True)


class LocalSpeech:
    """The real ears and voices. Making one loads nothing yet."""

    def __init__(self) -> None:
        self._recogniser = Recogniser()
        self._limiter = trio.CapacityLimiter(1)

    async def load(self) -> None:
        """Reads the models: one to two seconds.

        Raises:
            PlaygroundFault: a model is not installed.
        """
        for load in (self._recogniser.warm, warm):
            await trio.to_thread.run_sync(load, abandon_on_cancel=True)

    def ears(self, audio: Receiver[bytes], heard: Sender[HearingEvent], detection: TurnDetection) -> Ears:
        """Ears with the shared recogniser."""
        return RecognisingEars(audio, heard, self._recogniser, detection, limiter=self._limiter)

    def voice(self, name: str) -> Voice:
        """The voice of that name, or its stand-in."""
        if name not in VOICES:
            name = list(VOICES)[zlib.crc32(name.encode()) % len(VOICES)]
        return _ThreadedVoice(voice(name))
