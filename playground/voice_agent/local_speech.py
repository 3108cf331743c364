"""Hearing and speaking on this machine: the playground's recogniser and voices behind the server's seams.

One recogniser serves all sessions, one recognition at a time: two cores are not many. Speaking happens
in worker threads. A voice that this server accepts but the catalogue does not have (the names of early
2026) is spoken by one that it has, always the same.
"""

from __future__ import annotations

import logging
import zlib

import attrs
import trio

from channels.bounded import Receiver, Sender
from playground.ears import Ears as RecognisingEars
from playground.ears import HearingEvent, Judge
from playground.turn_model.fetch import installed
from playground.turns import TurnRules
from playground.voice_agent.speech import Ears, Utterance, Voice
from playground.voices import VOICES, voice, warm
from playground.voices import Voice as LocalVoice
from sound.recogniser import Recogniser
from sound.smart_turn import SmartTurn

__all__ = ["LocalSpeech"]

_log = logging.getLogger("playground.local_speech")

_VOICES = 4
"""Sentences that are synthesised at once, in all sessions together."""
_LAST_WORDS_S = 10.0
"""Longer than anything here takes: loading the models on a busy machine."""


@attrs.frozen
class _ThreadedVoice:
    voice: LocalVoice
    limiter: trio.CapacityLimiter

    async def say(self, text: str) -> Utterance:
        # Abandoned, since an interruption must not wait for a sentence that nobody will hear.
        return await trio.to_thread.run_sync(
            self.voice.say, text, limiter=self.limiter, abandon_on_cancel=True
        )


class LocalSpeech:
    """The real ears and voices. Making one loads nothing yet."""

    def __init__(self) -> None:
        self._recogniser = Recogniser()
        self._judge: Judge | None = None
        self._hearing = trio.CapacityLimiter(1)
        self._judging = trio.CapacityLimiter(1)
        self._speaking = trio.CapacityLimiter(_VOICES)

    async def load(self) -> None:
        """Reads the models: one to two seconds. Who knows the end of a turn by its sound may be missing.

        Raises:
            PlaygroundFault: a model is not installed.
        """
        for load in (self._recogniser.warm, warm, self._load_judge):
            await trio.to_thread.run_sync(load, limiter=self._speaking, abandon_on_cancel=True)

    def _load_judge(self) -> None:
        model = installed()
        if model is None:
            _log.warning("Smart Turn is not there (get online and start again): turns end by their words")
        else:
            judge = SmartTurn(model)
            judge.probability(b"")  # the first run is slow
            self._judge = judge

    async def aclose(self) -> None:
        """Waits for the threads that were abandoned: the interpreter must not end under native code.

        Comes back after ten seconds in any case, also when cancelled.
        """
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _LAST_WORDS_S):
            # A thread holds its limiter's token until it is done, whether anybody waits for it or not.
            for limiter in (self._hearing, self._judging, self._speaking):
                for _ in range(int(limiter.total_tokens)):
                    await limiter.acquire_on_behalf_of(object())

    def ears(self, audio: Receiver[bytes], heard: Sender[HearingEvent], detection: TurnRules) -> Ears:
        """Ears with the shared recogniser, and the shared judge of ends of turns if it is installed."""
        return RecognisingEars(
            audio,
            heard,
            self._recogniser,
            detection,
            limiter=self._hearing,
            judge=self._judge,
            judging=self._judging,
        )

    def voice(self, name: str) -> Voice:
        """The voice of that name, or its stand-in."""
        if name not in VOICES:
            name = list(VOICES)[zlib.crc32(name.encode()) % len(VOICES)]
        return _ThreadedVoice(voice(name), self._speaking)
