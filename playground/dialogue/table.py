"""Who answers a turn, in order: what steers the conversation, the session's tools, the book, and a way out.

A tool that is clearly meant comes before the book, since whoever registered it wants to see it called. To
teach the dialogue something new, write it into talk.toml (docs/dialogue.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

import attrs

from playground.dialogue import tools
from playground.dialogue.book import BOOK, Book, BookEntry
from playground.dialogue.days import spoken_date, spoken_time
from playground.dialogue.skills import SKILLS, freshest
from playground.dialogue.turn import Answer, Memory, Slots, Turn
from playground.dialogue.words import plain, quotable, spoken_list

__all__ = ["answer", "checked"]

_BRACES = re.compile(r"\{(\w+)\}")
_CLAUSE_ENDS = re.compile(r"[.,;:!?] ")
_CLAUSES = 5
"""So many at the end of a turn are looked at: a long one is not worth the time."""
_NOT_SAID: Slots = {}


def answer(turn: Turn) -> Answer:
    """What to say to a turn. Pure, and never without a word that can be spoken."""
    for given in _answers(turn):
        if given is not None and any(letter.isalnum() for letter in "".join(given.sentences)):
            return _remembered(turn, given)
    return _not_understood(turn)


def _answers(turn: Turn) -> Iterator[Answer | None]:
    """What each has to say, the most important first; one is asked only if those before gave nothing."""
    whole = BOOK.whole(turn.words)
    if whole is not None and BOOK.is_steering(whole):
        yield _of_entry(turn, whole)
    yield tools.open_question(turn)
    if whole is None:
        for entry, slots in BOOK.with_gaps(turn.words, turn.said, steering=True):
            yield _of_entry(turn, entry, slots)
    yield tools.fits_well(turn)
    yield from _of_book(turn)
    yield tools.fits_a_little(turn)
    if rest := _behind_what_is_known(turn.said):
        yield from _answers(attrs.evolve(turn, said=rest))


def _behind_what_is_known(said: str) -> str:
    """What follows the last known question of a turn: of "Stop. What is 3 times 4?" the sum."""
    for end in reversed([*_CLAUSE_ENDS.finditer(said)][-_CLAUSES:]):
        if BOOK.whole(plain(said[: end.start()])) is not None:
            return said[end.end() :]
    return ""


def _of_book(turn: Turn, *, restated: bool = False) -> Iterator[Answer | None]:
    whole = BOOK.whole(turn.words)
    if whole is not None:
        yield _of_entry(turn, whole, restated=restated)
    for entry, slots in BOOK.with_gaps(turn.words, turn.said, steering=False):
        yield _of_entry(turn, entry, slots, restated=restated)
    near = BOOK.near(turn.words)
    if near is not None:
        yield _of_entry(turn, near, restated=restated)


def _of_entry(
    turn: Turn, entry: BookEntry, slots: Slots = _NOT_SAID, *, restated: bool = False
) -> Answer | None:
    if entry.means:
        if restated:  # Once, so that no two entries send a turn to and fro.
            return None
        said = _BRACES.sub(lambda gap: slots[gap[1]], entry.means)
        given = _of_book(attrs.evolve(turn, said=said), restated=True)
        return next((one for one in given if one is not None), None)
    chosen = _chosen(turn, entry) if entry.answers else None
    if not entry.does:
        return chosen
    done = SKILLS[entry.does](turn, slots)
    return attrs.evolve(done, sentences=(*chosen.sentences, *done.sentences)) if chosen and done else done


def _chosen(turn: Turn, entry: BookEntry) -> Answer:
    """One of the answers: of those that can be filled, those with the most that is known."""
    known, memory = _known(turn), turn.memory
    fitting = _fitting(entry, known)
    most = max(len(_BRACES.findall(one)) for one in fitting)
    fitting = [one for one in fitting if len(_BRACES.findall(one)) == most]
    if entry.by_chance:
        one = fitting[min(int(turn.luck * len(fitting)), len(fitting) - 1)]
    else:
        one = freshest(memory.told, fitting)
        if len(fitting) > 1:
            memory = attrs.evolve(memory, told=(*(told for told in memory.told if told != one), one))
    return Answer(_BRACES.sub(lambda name: known[name[1]], one), memory)


def _fitting(entry: BookEntry, known: Mapping[str, str]) -> list[str]:
    return [one for one in entry.answers if all(known[name] for name in _BRACES.findall(one))]


def _known(turn: Turn) -> Mapping[str, str]:
    """What {braces} in answers stand for; "" for what is not known."""
    now, memory = turn.now, turn.memory
    return {
        "my_name": memory.my_name,
        "person": memory.person,
        "prompt_words": str(memory.prompt_words or ""),
        "tools": spoken_list([tools.human_name(str(tool.get("name", ""))) for tool in memory.tools[:5]]),
        "time": spoken_time(now),
        "date": spoken_date(now),
        "month": f"{now:%B}",
        "year": str(now.year),
        "part_of_day": "morning" if now.hour < 12 else "afternoon" if now.hour < 18 else "evening",
    }


def _not_understood(turn: Turn) -> Answer:
    """What is left to say, always: what was caught, and two things that would be understood."""
    misses, offers = turn.memory.misses, BOOK.file.offers
    first, second = (offers[(2 * misses + one) % len(offers)] for one in range(2))
    memory = attrs.evolve(turn.memory, misses=misses + 1)
    if any(letter.isalnum() for letter in turn.said):
        why = "I can't answer that" if misses else "that's beyond me without a language model"
        caught = f'I heard "{quotable(turn.said)}", but {why}.'
    else:
        caught = "I heard a sound, but no words."
    return Answer(f'{caught} You can say "{first}" or "{second}".', memory)


def _remembered(turn: Turn, given: Answer) -> Answer:
    """The answer with its memory: an open question is over unless it was asked now."""
    memory = turn.memory if given.memory is None else given.memory
    open_question = memory.question if memory.question is not turn.memory.question else None
    return attrs.evolve(given, memory=attrs.evolve(memory, misses=0, question=open_question))


def checked(book: Book) -> Book:
    """The book as it is; an entry that could not be answered in a call is a `ValueError` that says why."""
    for entry in (*book.file.steering, *book.file.talk):
        for fault in _faults(entry):
            raise ValueError(f"talk.toml, the entry that begins with {entry.asked[0]!r}: {fault}")
    return book


def _faults(entry: BookEntry) -> Iterator[str]:
    turn = Turn("", Memory(), datetime(2026, 1, 1))
    known = _known(turn)
    if not (entry.answers or entry.means or entry.does):
        yield "it needs `answers`, `means` or `does`"
    for name in _BRACES.findall(" ".join(entry.answers)):
        if name not in known:
            yield f"{{{name}}} is not known; use one of {', '.join(known)}"
    if entry.answers and not _fitting(entry, known):
        yield "one of its answers must work without anything that may be unknown"
    if entry.does and entry.does not in SKILLS:
        yield f"does = {entry.does!r} is not known; use one of {', '.join(SKILLS)}"
    for asked in entry.asked:
        gaps = dict.fromkeys(_BRACES.findall(asked), "x")
        spoken = _BRACES.sub("x", asked)
        if gaps and plain(spoken) != spoken:
            yield f"{asked!r} has to be in plain words: {plain(spoken)!r}, where x is a gap"
        try:
            _of_entry(turn, entry, gaps)
        except KeyError as missing:
            yield f"{asked!r} needs the gap {{{missing.args[0]}}}"


checked(BOOK)
