"""Questions and answers: reads talk.toml once, and matches it with what was said.

A turn is matched in three ways, the surest first: it consists of known questions and hardly more ("no, stop,
what time is it"); it fits a question with a {gap}; or it has all the words of a question, in order, and few
others. A word that the recogniser spelled slightly differently counts as the word it is close to.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import attrs
import msgspec
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from playground.dialogue.turn import Slots
from playground.dialogue.words import plain

__all__ = ["BOOK", "Book", "BookEntry", "Story", "read_book"]

_MOST_WORDS = 40
"""Of a turn that is looked up as a question; a longer one is none."""
_ALIKE = 85
"""Percent of two words that must be the same for them to be one."""
_SHORTEST_ALIKE = 4
"""Letters; of shorter words, too many are alike."""
_SURPLUS = 0.5
"""How many words more than the question a turn may have, per word of the question."""
_SKIPPABLE = 0.2
"""How many words of a turn of several questions may belong to none of them."""
_GAP = re.compile(r"\{(\w+)\}")
_LACKS_A_WORD = 1000


class BookEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ways to say one thing, and what comes of it."""

    asked: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    answers: tuple[str, ...] = ()
    means: str = ""
    does: str = ""
    by_chance: bool = False


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A story, by its title."""

    title: str
    text: str


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written; its comments say what is what."""

    small_words: frozenset[str]
    offers: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    as_said: frozenset[str]
    slots: Mapping[str, tuple[str, ...]]
    steering: tuple[BookEntry, ...]
    talk: tuple[BookEntry, ...]
    sums: Mapping[str, str]
    misheard_numbers: Mapping[str, int]
    days: Mapping[str, int]
    feasts: Mapping[str, str]
    story: Annotated[tuple[Story, ...], msgspec.Meta(min_length=1)]


@attrs.frozen
class Book:
    """The file, ready to be looked up."""

    file: File
    _entries: tuple[BookEntry, ...] = attrs.field(init=False)
    _questions: Mapping[tuple[str, ...], int] = attrs.field(init=False)
    """The number of the entry by the telling words of a question without gaps."""
    _gapped: tuple[tuple[int, re.Pattern[str]], ...] = attrs.field(init=False)
    """The numbers of the entries, with their questions that have gaps."""
    _vocabulary: frozenset[str] = attrs.field(init=False)

    @_entries.default
    def _(self) -> tuple[BookEntry, ...]:
        return (*self.file.steering, *self.file.talk)

    @_questions.default
    def _(self) -> Mapping[tuple[str, ...], int]:
        known: dict[tuple[str, ...], int] = {}
        for number, question in self._asked():
            if not _GAP.search(question):
                known.setdefault(self._without_small(plain(question)), number)
        return MappingProxyType(known)

    @_gapped.default
    def _(self) -> tuple[tuple[int, re.Pattern[str]], ...]:
        return tuple(
            (number, self._pattern(question)) for number, question in self._asked() if _GAP.search(question)
        )

    @_vocabulary.default
    def _(self) -> frozenset[str]:
        return frozenset(word for question in self._questions for word in question)

    def whole(self, words: str) -> BookEntry | None:
        """The entry of the last question of a turn that is made up of known questions, and hardly more."""
        left, last = self._telling(words), None
        skippable = int(len(left) * _SKIPPABLE)
        while left:
            length = next((size for size in range(len(left), 0, -1) if left[:size] in self._questions), 0)
            if length:
                last = self._questions[left[:length]]
            elif not skippable:
                return None
            skippable -= not length
            left = left[length or 1 :]
        return None if last is None else self._entries[last]

    def with_gaps(self, words: str, said: str, *, steering: bool) -> Iterator[tuple[BookEntry, Slots]]:
        """The entries of which a question with gaps fits, from the top, with what fills the gaps."""
        for number, question in self._gapped:
            if (number < len(self.file.steering)) == steering and (found := question.match(words)):
                yield self._entries[number], self._filled(question, found, said)

    def near(self, words: str) -> BookEntry | None:
        """The entry of the question that has almost the words of the turn."""
        telling = self._telling(words)
        surplus = (
            (Levenshtein.distance(one, telling, weights=(1, _LACKS_A_WORD, _LACKS_A_WORD)) / len(one), number)
            for one, number in self._questions.items()
            if len(one) > 1
        )
        least, number = min(surplus)
        return self._entries[number] if telling and least <= _SURPLUS else None

    def is_steering(self, entry: BookEntry) -> bool:
        """Whether an entry steers the conversation."""
        return entry in self.file.steering

    def _asked(self) -> Iterator[tuple[int, str]]:
        return ((number, question) for number, entry in enumerate(self._entries) for question in entry.asked)

    def _pattern(self, question: str) -> re.Pattern[str]:
        text, *rest = _GAP.split(question)
        pattern = re.escape(text)
        for gap, behind in zip(rest[::2], rest[1::2], strict=True):
            of = "|".join(map(re.escape, self.file.slots.get(gap, ()))) or (".+?" if behind else ".+")
            pattern += rf"(?P<{gap}>{of}){re.escape(behind)}"
        try:
            return re.compile(f"{pattern}$")
        except re.error as error:
            raise ValueError(f"talk.toml, {question!r} has gaps that cannot be told apart: {error}") from None

    def _filled(self, question: re.Pattern[str], found: re.Match[str], said: str) -> Slots:
        slots = found.groupdict()
        for gap in self.file.as_said & slots.keys():
            before = r"\W+".join(re.escape(word) for word in found.string[: found.start(gap)].split())
            as_said = re.search(rf"(?is)\b{before}\b\W*(.+)", said)
            slots[gap] = as_said[1] if as_said else slots[gap]
        return slots

    def _telling(self, words: str) -> tuple[str, ...]:
        """The words without the small ones, spelled as the file spells them; none if they are too many."""
        telling = self._without_small(words)
        return tuple(map(self._spelled, telling)) if len(telling) <= _MOST_WORDS else ()

    def _without_small(self, words: str) -> tuple[str, ...]:
        return tuple(word for word in words.split() if word not in self.file.small_words)

    def _spelled(self, word: str) -> str:
        if word in self._vocabulary or len(word) < _SHORTEST_ALIKE:
            return word
        alike = process.extractOne(word[:40], self._vocabulary, scorer=fuzz.ratio, score_cutoff=_ALIKE)
        return alike[0] if alike else word


def read_book(path: Path) -> Book:
    """Reads such a file; a `ValueError` names what is wrong, and where."""
    return Book(msgspec.convert(tomllib.loads(path.read_text("utf-8")), File))


BOOK = read_book(Path(__file__).with_name("talk.toml"))
