"""Steering the conversation: stop, say that again, go on, and "say …"."""

from __future__ import annotations

import re

import attrs

from playground.dialogue.turn import Answer, Turn, first_answer, when
from playground.dialogue.words import quotable

__all__ = ["TOPIC"]

_REPEATED = 3
"""Sentences that are said again: of a longer answer, the latest."""
_STOP_WHAT = (
    r"(?: (?:it|that|this|talking|speaking|now|stop|of (?:it|that)|a (?:moment|minute|second)"
    r"|the (?:story|counting)))*$"
)


def _stop(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer("Okay.", attrs.evolve(turn.memory, question=None))


def _again(turn: Turn, _: re.Match[str]) -> Answer:
    said = turn.memory.said[-_REPEATED:]
    return Answer(said) if said else Answer("I have not said anything yet.")


def _go_on(turn: Turn, _: re.Match[str]) -> Answer:
    if not turn.memory.rest:
        return Answer("There is nothing that I broke off. Ask me for a story, if you like.")
    return Answer(("I was here.", *turn.memory.rest), intro=1, reading=True)


def _say(turn: Turn, match: re.Match[str]) -> Answer | None:
    said = re.search(r"(?is)\b(?:repeat after me|say after me|repeat|say|echo)\b[\s,.:]*(.+)", turn.said)
    what = quotable(said[1], most=80) if said else ""
    return Answer(f"{what}.") if what else None


TOPIC = first_answer(
    (
        when(
            r"^(?:no |stop )*(?:stop|halt|cancel|pause|leave it)" + _STOP_WHAT,
            r"^(?:no )*(?:be )?(?:quiet|silent|silence|still|shut up|shush|hush)" + _STOP_WHAT,
            r"^(?:no )*(?:wait|hold on|never mind|forget it)" + _STOP_WHAT,
            r"^(?:no )*(?:that is |i have heard )?enough" + _STOP_WHAT,
            then=_stop,
        ),
        when(
            r"^(?:say|repeat|tell me) (?:that|it|this|what you said)(?: (?:again|once more|one more time))?$",
            r"^repeat$",
            r"^(?:pardon|come again|once more|again|what|sorry what|excuse me|what was that)(?: me)?$",
            r"\bwhat did you (?:just )?say\b",
            r"\bi did not (?:hear|catch|understand|get) (?:that|you|it)\b",
            then=_again,
        ),
        when(
            r"^(?:go on|carry on|continue|keep going|resume|go ahead|proceed)\b(?: (?:with|from)\b.*)?$",
            r"^(?:tell me )?more$",
            r"^(?:what happened (?:next|then)|then what|what then)$",
            then=_go_on,
        ),
        when(
            r"^(?:repeat after me|say after me|repeat|say|echo)\b(?! (?:something|a |your |my ))", then=_say
        ),
    )
)
