"""What the server needs from whoever hears and speaks for it, and nothing about how they do it.

The real ones are `playground.ears` and `playground.voices`, reached through `local_speech`, so that a
server that needs no models imports none of the packages that carry them. `tones` has those for tests:
all of it is async here, so that tests in virtual time need no threads, which a mock clock does not see.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from channels.bounded import Receiver, Sender
from playground.ears import HearingEvent
from playground.turns import TurnRules

__all__ = [
    "Ears",
    "Speech",
    "Utterance",
    "Voice",
    "Word",
]


class Word(Protocol):
    """A word and its place in the sound."""

    @property
    def text(self) -> str:
        """The word, with its punctuation."""

    @property
    def start_ms(self) -> int:
        """From the first sample of the utterance."""

    @property
    def end_ms(self) -> int:
        """From the first sample of the utterance."""


class Utterance(Protocol):
    """A piece of speech."""

    @property
    def pcm(self) -> bytes:
        """PCM16 mono 24 kHz."""

    @property
    def words(self) -> Sequence[Word]:
        """The words in it, in order."""


class Voice(Protocol):
    """Speaks."""

    async def say(self, text: str) -> Utterance:
        """Says a sentence."""


class Ears(Protocol):
    """Listens to one session's input."""

    async def run(self) -> None:
        """Hears until the sound ends."""

    def configure(self, detection: TurnRules) -> None:
        """Changes when a turn begins and ends, from now on."""


class Speech(Protocol):
    """Makes ears and voices."""

    async def load(self) -> None:
        """Reads the models, which may take seconds; awaited once, before anything else.

        Raises:
            PlaygroundFault: the models are not there.
        """

    async def aclose(self) -> None:
        """Comes back when nothing of it runs any more: a process that ends before may crash."""

    def ears(self, audio: Receiver[bytes], heard: Sender[HearingEvent], detection: TurnRules) -> Ears:
        """Ears for sound in PCM16 mono 24 kHz, frames of any length."""

    def voice(self, name: str) -> Voice:
        """The voice of that name, or the nearest there is."""
