"""The table of topics, in the order in which they are asked: the first that has an answer gives it.

To teach it something new, write a topic beside the others (a file with one table of patterns, see `spelling`
for a short one) and name it here. Order matters where two could answer: what steers the conversation comes
first, then a tool that is clearly meant, since whoever registered it wants to see it called.
"""

from __future__ import annotations

import attrs

from playground.dialogue import (
    arithmetic,
    chance,
    control,
    dates,
    facts,
    identity,
    manners,
    spelling,
    stories,
    tools,
)
from playground.dialogue.turn import Answer, Topic, Turn
from playground.dialogue.words import quotable

__all__ = ["TOPICS", "answer"]

_HINT_EVERY = 3


def _not_understood(turn: Turn) -> Answer:
    """What is left to say, always."""
    caught = quotable(turn.said)
    if not any(letter.isalnum() for letter in caught):
        return Answer("I only caught a sound, and no words.")
    misses = turn.memory.misses
    hint = (
        ""
        if misses % _HINT_EVERY
        else " I have no language model, so that is beyond me. Ask me what I can do."
    )
    return Answer(f'I only caught "{caught}".{hint}', attrs.evolve(turn.memory, misses=misses + 1))


TOPICS: tuple[Topic, ...] = (
    control.TOPIC,
    tools.open_question,
    tools.fits_well,
    manners.TOPIC,
    identity.TOPIC,
    facts.TOPIC,
    dates.TOPIC,
    spelling.TOPIC,
    stories.TOPIC,
    chance.TOPIC,
    arithmetic.TOPIC,
    tools.fits_a_little,
)


def answer(turn: Turn) -> Answer:
    """What to say to a turn. Pure, and never without a word that can be spoken."""
    for topic in TOPICS:
        given = topic(turn)
        if given is not None and any(letter.isalnum() for letter in "".join(given.sentences)):
            return _remembered(turn, given)
    return _not_understood(turn)


def _remembered(turn: Turn, given: Answer) -> Answer:
    """The answer with its memory: an open question is over unless it was asked now."""
    memory = turn.memory if given.memory is None else given.memory
    open_question = memory.question if memory.question is not turn.memory.question else None
    return attrs.evolve(given, memory=attrs.evolve(memory, misses=0, question=open_question))
