"""The words that may be labels of metrics. Anything else that is said becomes `UNKNOWN`."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from channels.messages import Unheard

__all__ = ["JUDGEMENTS", "MISSING", "UNHEARD", "UNKNOWN", "Declined", "known"]

UNKNOWN = "unknown"
"""In place of a word that is none of ours, such as a tool that a model made up."""

JUDGEMENTS = ("no voice", "hummed", "back-channel", "words", "long", "goes on")
"""Of short sounds: `SoundJudged.why`."""

UNHEARD = tuple(why.name.lower() for why in Unheard)
"""`VoiceUnheard.why`."""

MISSING = ("empty", "none")
"""`AnswerMissing.why`."""


class Declined(StrEnum):
    """Why a worker declined a job."""

    FULL = "full"
    """It serves as many rooms as it may."""
    BUSY = "busy"
    """Its CPU has no room for another voice."""
    DRAINING = "draining"
    """It is about to end, and takes nothing new."""
    SERVICE = "service"
    """The Voice Agent API has no place for one more session."""
    METADATA = "metadata"
    """The job's metadata cannot be read."""
    SERVED = "served"
    """The room has its agent."""
    OTHER = "other"


def known(word: str, words: Collection[str]) -> str:
    """The label for a word."""
    return word if word in words else UNKNOWN
