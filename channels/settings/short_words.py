"""What people say in a second while the agent speaks: what stops it, and what only says that they listen."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

import attrs

__all__ = ["Phrase", "ShortWords", "language_of", "plain", "words_of"]

DEFAULT_LANGUAGE = "en"
"""Where a session names none."""

LONGEST_TEXT = 500
"""Characters that are looked at: far more than anybody says in the two seconds of a short sound."""

Phrase = tuple[str, ...]
"""Words as `plain` gives them."""


@attrs.frozen
class ShortWords:
    """What short utterances mean."""

    languages: tuple[str, ...] = (DEFAULT_LANGUAGE,)
    """Codes of those whose words these are."""
    stops: frozenset[Phrase] = frozenset()
    back_channels: frozenset[Phrase] = frozenset()

    def __or__(self, other: ShortWords) -> ShortWords:
        return ShortWords(
            tuple(dict.fromkeys((*self.languages, *other.languages))),
            self.stops | other.stops,
            self.back_channels | other.back_channels,
        )

    def stops_in(self, words: Phrase) -> bool:
        """Whether one of the `stops` stands in it."""
        longest = _longest(self.stops)
        return any(
            words[at : at + length] in self.stops
            for at in range(len(words))
            for length in range(1, longest + 1)
        )

    def are_back_channels(self, words: Phrase) -> bool:
        """Whether it is made of `back_channels`, one or several, and nothing else."""
        longest = _longest(self.back_channels)
        made = [True]  # of the first so many words
        for end in range(1, len(words) + 1):
            begins = range(max(0, end - longest), end)
            made.append(any(made[at] and words[at:end] in self.back_channels for at in begins))
        return bool(words) and made[-1]


def plain(text: str) -> Phrase:
    """Its words, without case, punctuation, apostrophes and hyphens; of a very long text, the first ones."""
    return tuple(re.findall(r"[^\W_]+", re.sub(r"['’-]", "", text[:LONGEST_TEXT].casefold())))


def language_of(code: str) -> str:
    """The code of the language alone: "en" of "EN", "en-GB" and "en_US"."""
    return re.split("[-_]", code, maxsplit=1)[0].casefold()


def words_of(words: Mapping[str, ShortWords], codes: Iterable[str] | None) -> ShortWords:
    """Those of some languages together; codes may name a region, too. No codes: the default language's."""
    languages = dict.fromkeys(language_of(code) for code in codes or (DEFAULT_LANGUAGE,))
    known = [words.get(code, ShortWords((code,))) for code in languages]
    return functools.reduce(ShortWords.__or__, known)


def _longest(phrases: Iterable[Phrase]) -> int:
    return max(map(len, phrases), default=0)
