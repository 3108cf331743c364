"""A turn and its answer, and what is remembered between turns.

All of them are values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import attrs

from playground.brain import CallTool
from playground.dialogue.words import cut, plain
from playground.sentences import sentences

__all__ = ["Answer", "Memory", "Question", "Slots", "Turn"]

Slots: TypeAlias = Mapping[str, str]
"""What fills the gaps of a question, by their names: plain words, or as said where the file wants it."""


@attrs.frozen
class Question:
    """What was asked for, because a tool needs it."""

    tool: str
    arguments: Mapping[str, Any]
    """What is known already."""
    missing: str
    """The argument that was asked for."""
    again: bool = False
    """Whether it was asked for a second time."""


@attrs.frozen
class Memory:
    """What is known of the session."""

    my_name: str = ""
    """The agent's, from the system prompt."""
    prompt_words: int = 0
    """How long the system prompt is."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """As the protocol declares them."""
    person: str = ""
    """The person's name."""
    facts: Mapping[str, str] = attrs.field(factory=dict)
    """What "my …" is."""
    notes: tuple[str, ...] = ()
    """What else shall be remembered, as it was said."""
    said: tuple[str, ...] = ()
    """The sentences of the latest reply that the person heard, the last perhaps in part."""
    rest: tuple[str, ...] = ()
    """What an interruption left unsaid, from the sentence that was cut on."""
    told: tuple[str, ...] = ()
    """Titles of stories, and answers of which there are several, that were told; the latest last."""
    misses: int = 0
    """How many turns in a row were not understood."""
    question: Question | None = None


@attrs.frozen
class Turn:
    """What the person said, and when."""

    said: str = attrs.field(converter=cut)
    """As the recogniser wrote it."""
    memory: Memory
    now: datetime
    """The local time."""
    luck: float = 0.0
    """Decides what chance decides; 0 to 1."""
    words: str = attrs.field(init=False)
    """The same in plain words."""

    @words.default
    def _(self) -> str:
        return plain(self.said)


def _as_sentences(text: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(sentences(text)) if isinstance(text, str) else tuple(text)


@attrs.frozen
class Answer:
    """What to say, to call and to remember."""

    sentences: tuple[str, ...] = attrs.field(converter=_as_sentences)
    """Given as a text or as sentences."""
    memory: Memory | None = None
    """What is known from now on; None: as before."""
    call: CallTool | None = None
    intro: int = 0
    """So many sentences need not be said again when this is continued after an interruption."""
    reading: bool = False
    """It is what "go on" continues; heard to its end, there is nothing left to continue."""
