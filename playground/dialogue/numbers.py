"""Numbers as people say them, in digits: "two hundred and five" is "205", "3.5 million" is "3500000"."""

from __future__ import annotations

import re

from text_to_num import alpha2digit

__all__ = ["in_digits", "number", "written"]

_SCALED = re.compile(r"\b(\d{1,9}(?:\.\d{1,6})?) (dozen|1000(?:000){0,3})\b")
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,12})?")
_MOST_DECIMALS = 4
"""Further ones help nobody who listens."""


def in_digits(words: str) -> str:
    """Plain words with every number in digits, and every ordinal as "3rd"."""
    text: str = alpha2digit(re.sub(r"\ba dozen\b", "twelve", words), "en", 0)
    text = re.sub(r"\ban? (?=\d)", "", text)  # a hundred
    text = re.sub(r"\b(19|20|21) (\d\d)\b", r"\1\2", text)  # twenty twenty six
    return _SCALED.sub(_multiplied, text)


def _multiplied(found: re.Match[str]) -> str:
    return f"{float(found[1]) * (12 if found[2] == 'dozen' else int(found[2])):.12g}"


def number(word: str) -> int | float | None:
    """The number that a word is, of at most 15 digits; None if it is none."""
    if not _NUMBER.fullmatch(word):
        return None
    return float(word) if "." in word and not float(word).is_integer() else int(word.partition(".")[0])


def written(value: float) -> str:
    """A number as the voice reads it well: `1,234`, `-0.5`, `0.3333`."""
    shown = round(value, _MOST_DECIMALS) + 0
    return f"{int(shown):,}" if shown == int(shown) else f"{shown:,.{_MOST_DECIMALS}f}".rstrip("0")
