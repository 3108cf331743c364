"""What people say in a second while the agent speaks: what stops it, and what only says that they listen."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping

import attrs

__all__ = ["Phrase", "ShortWords", "plain", "words_of"]

DEFAULT_LANGUAGE = "en"
"""Where a session names none."""

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
        return any(words[at : at + len(stop)] == stop for stop in self.stops for at in range(len(words)))

    def are_back_channels(self, words: Phrase) -> bool:
        """Whether it is made of `back_channels`, one or several, and nothing else."""
        made = [True]  # of the first so many words
        for end in range(1, len(words) + 1):
            made.append(any(made[at] and words[at:end] in self.back_channels for at in range(end)))
        return bool(words) and made[-1]


def plain(text: str) -> Phrase:
    """Its words, without case, punctuation, apostrophes and hyphens."""
    return tuple(re.findall(r"[^\W_]+", re.sub(r"['’-]", "", text.casefold())))


def words_of(words: Mapping[str, ShortWords], codes: Iterable[str] | None) -> ShortWords:
    """Those of some languages together; codes may name a region, too ("en-GB")."""
    languages = dict.fromkeys(code.partition("-")[0].casefold() for code in codes or (DEFAULT_LANGUAGE,))
    known = [words.get(code, ShortWords((code,))) for code in languages]
    return functools.reduce(ShortWords.__or__, known)
