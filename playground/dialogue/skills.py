"""What an entry of talk.toml `does`, where a text is not enough: each a pure function of a turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

import attrs

from playground.dialogue import days, memories, sums
from playground.dialogue.book import BOOK
from playground.dialogue.numbers import in_digits, number
from playground.dialogue.turn import Answer, Slots, Turn
from playground.dialogue.words import quotable, spoken_list, stem
from playground.sentences import sentences

__all__ = ["SKILLS", "freshest"]

_REPEATED = 3
"""Sentences that are said again: of a longer answer, the latest."""
_SLOW = 3
"""Words between two breaks for somebody to whom the voice is too fast."""
_FURTHEST = 100
"""Numbers that are counted in one go."""
_A_BREATH = 5
"""Numbers in one sentence, so that an interruption loses no more than these."""
_LONGEST_WORD = 40


def freshest(told: tuple[str, ...], choices: list[str]) -> str:
    """One that was not told yet, else the one that was told the longest ago."""
    new = (choice for choice in choices if choice not in told)
    return next(new, None) or min(choices, key=told.index)


def _again(turn: Turn, slots: Slots) -> Answer:
    said = turn.memory.said[-_REPEATED:]
    return Answer(said) if said else Answer("I haven't said anything yet.")


def _again_slowly(turn: Turn, slots: Slots) -> Answer | None:
    words = " ".join(turn.memory.said[-_REPEATED:]).split()
    pieces = [words[at : at + _SLOW] for at in range(0, len(words), _SLOW)]
    return Answer([f"{' '.join(piece).rstrip('.,;:!?')}." for piece in pieces])


def _go_on(turn: Turn, slots: Slots) -> Answer:
    if not turn.memory.rest:
        return Answer("I was not in the middle of anything. Ask me for a story or a joke, if you like.")
    return Answer(("I was here.", *turn.memory.rest), intro=1, reading=True)


def _say(turn: Turn, slots: Slots) -> Answer | None:
    what = quotable(slots["text"], most=80)
    mine = re.match(r"(?i)(?:something|an?|your|my)\b", what)
    return Answer(f"{what}.") if what and not mine else None


def _story(turn: Turn, slots: Slots) -> Answer:
    wanted = {stem(word) for word in slots.get("about", "").split()} - {"a", "an", "the", "of", "and", "it"}
    stories = {story.title: story.text for story in BOOK.file.story}
    fitting = [title for title in stories if wanted & {stem(word) for word in title.split()}]
    title = fitting[0] if fitting else freshest(turn.memory.told, list(stories))
    memory = attrs.evolve(turn.memory, told=(*(one for one in turn.memory.told if one != title), title))
    intro = (
        f"This is {title}." if fitting or not wanted else f"I don't know one about that, but this is {title}."
    )
    return Answer((intro, *sentences(" ".join(stories[title].split()))), memory, intro=1, reading=True)


def _which_stories(turn: Turn, slots: Slots) -> Answer:
    return Answer(f"I know these: {spoken_list([story.title for story in BOOK.file.story])}.")


def _throw_dice(turn: Turn, slots: Slots) -> Answer:
    count = {"two": 2, "2": 2, "a pair of": 2, "three": 3, "3": 3}.get(slots.get("two_or_three", ""), 1)
    chance = Random(turn.luck)
    thrown = [chance.randint(1, 6) for _ in range(count)]
    together = f", that is {sum(thrown)}" if count > 1 else ""
    return Answer(f"{spoken_list([str(one) for one in thrown])}{together}.")


def _numbers(words: str) -> list[int]:
    return [int(one) for word in in_digits(words).split() if (one := number(word)) is not None]


def _number(turn: Turn, slots: Slots) -> Answer:
    bounds = _numbers(slots.get("bounds", ""))
    low, high = (min(bounds), max(bounds)) if len(bounds) > 1 else (1, (bounds or [10])[0])
    return Answer(f"{Random(turn.luck).randint(min(low, high), max(low, high)):,}.")


def _count(turn: Turn, slots: Slots, *, down: bool = False) -> Answer | None:
    numbers = _numbers(slots["numbers"])
    if not numbers:
        return None
    first, last = numbers[:2] if len(numbers) > 1 else (numbers[0], 1) if down else (1, numbers[0])
    step = 1 if last >= first else -1
    if abs(last - first) >= _FURTHEST:
        return Answer(f"I can only count up to {_FURTHEST} numbers in one go.")
    row = [str(one) for one in range(first, last + step, step)]
    breaths = [row[at : at + _A_BREATH] for at in range(0, len(row), _A_BREATH)]
    return Answer([f"{', '.join(breath)}." for breath in breaths], reading=True)


def _count_down(turn: Turn, slots: Slots) -> Answer | None:
    return _count(turn, slots, down=True)


def _word(turn: Turn, slots: Slots) -> str:
    said = slots["word"].removeprefix("the word ").removeprefix("the name ")
    word = {"my name": turn.memory.person, "your name": turn.memory.my_name}.get(said.lower(), said)
    return word.strip(" '?!.,")[:_LONGEST_WORD].strip()


def _letters(word: str) -> str:
    return ", ".join("apostrophe" if letter == "'" else letter.upper() for letter in word)


def _spell(turn: Turn, slots: Slots) -> Answer:
    word = _word(turn, slots)
    parts = [part for part in re.findall(r"[\w']+", word) if part.strip("'_")]
    if not parts:
        return Answer("I don't know what to spell.")
    return Answer(f"{word[:1].upper()}{word[1:]}: {', then '.join(_letters(part) for part in parts)}.")


def _spell_backwards(turn: Turn, slots: Slots) -> Answer | None:
    letters = "".join(re.findall(r"[^\W_]", _word(turn, slots)))
    return Answer(f"Backwards: {_letters(letters[::-1])}.") if letters else None


def _count_letters(turn: Turn, slots: Slots) -> Answer:
    word = _word(turn, slots)
    count = sum(letter.isalpha() for letter in word)
    return Answer(f"{word[:1].upper()}{word[1:]} has {count} {'letter' if count == 1 else 'letters'}.")


SKILLS: Mapping[str, Callable[[Turn, Slots], Answer | None]] = MappingProxyType(
    {
        "again": _again,
        "again_slowly": _again_slowly,
        "count": _count,
        "count_down": _count_down,
        "days_until": days.days_until,
        "forget_everything": memories.forget_everything,
        "forget_name": memories.forget_name,
        "go_on": _go_on,
        "is_it": days.is_it,
        "letters": _count_letters,
        "number": _number,
        "say": _say,
        "share": sums.share,
        "spell": _spell,
        "spell_backwards": _spell_backwards,
        "story": _story,
        "sum": sums.sum_of,
        "take_fact": memories.take_fact,
        "take_name": memories.take_name,
        "take_name_if_capital": memories.take_name_if_capital,
        "take_note": memories.take_note,
        "tell_everything": memories.tell_everything,
        "tell_fact": memories.tell_fact,
        "throw_dice": _throw_dice,
        "which_day": days.which_day,
        "which_stories": _which_stories,
    }
)
"""By the name that talk.toml uses."""
