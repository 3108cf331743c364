"""Coins, dice, numbers at random, and counting."""

from __future__ import annotations

import re
from random import Random

from playground.dialogue.numbers import numbers_in
from playground.dialogue.turn import Answer, Turn, first_answer, when
from playground.dialogue.words import spoken_list

__all__ = ["TOPIC"]

_FURTHEST = 100
"""Numbers that are counted in one go."""
_A_BREATH = 5
"""Numbers in one sentence, so that an interruption loses no more than these."""


def _coin(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer("Heads." if turn.luck < 0.5 else "Tails.")


def _dice(turn: Turn, match: re.Match[str]) -> Answer:
    count = {"two": 2, "2": 2, "a pair of": 2, "three": 3, "3": 3}.get(match["count"] or "", 1)
    chance = Random(turn.luck)
    thrown = [chance.randint(1, 6) for _ in range(count)]
    together = f", that is {sum(thrown)}" if count > 1 else ""
    return Answer(f"{spoken_list([str(number) for number in thrown])}{together}.")


def _number(turn: Turn, _: re.Match[str]) -> Answer:
    bounds = sorted(int(number.value) for number in numbers_in(turn.words.split()))
    low, high = (bounds[0], bounds[-1]) if len(bounds) > 1 else (1, (bounds or [10])[0])
    return Answer(f"{Random(turn.luck).randint(min(low, high), max(low, high)):,}.")


def _count(turn: Turn, match: re.Match[str]) -> Answer | None:
    numbers = [int(number.value) for number in numbers_in(turn.words.split())]
    if not numbers:
        return None
    down = bool(match["down"])
    first, last = (numbers[0], numbers[1]) if len(numbers) > 1 else (1, numbers[0])
    if down and len(numbers) == 1:
        first, last = last, 1
    step = 1 if last >= first else -1
    row = list(range(first, last + step, step)) if abs(last - first) < _FURTHEST else []
    if not row:
        return Answer(f"I count up to {_FURTHEST} numbers in one go, no more.")
    breaths = [row[at : at + _A_BREATH] for at in range(0, len(row), _A_BREATH)]
    return Answer([f"{', '.join(str(number) for number in breath)}." for breath in breaths], reading=True)


TOPIC = first_answer(
    (
        when(
            r"\b(?:flip|flipping|toss|throw|spin)(?: a| the| me a)? ?coin\b",
            r"^heads or tails$",
            r"\bcoin toss\b",
            then=_coin,
        ),
        when(
            r"\b(?:roll|throw|rolling|cast)(?: me)? ?(?P<count>a pair of|a|the|two|three|2|3|some)?"
            r" ?(?:die|dice|dies)\b",
            then=_dice,
        ),
        when(
            r"\b(?:pick|choose|give me|say|tell me|think of)(?: me)? (?:a|any)(?: random)? number\b",
            r"^(?:a )?random number\b",
            then=_number,
        ),
        when(r"^(?:start )?count(?:ing)?\b(?P<down> down| backwards?)?", then=_count),
    )
)
