"""Numbers as people say them: "two hundred and five", "3.5 million", "a dozen", "twenty first".

Reads from lists of plain words (`words.plain`). Values are exact fractions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

import attrs

__all__ = ["HOMOPHONES", "Spoken", "numbers_in", "read_number", "read_ordinal", "written"]

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
_SMALL = {name: value for value, name in enumerate((_UNITS + " sixteen seventeen eighteen nineteen").split())}
_SMALL |= {"nought": 0, "naught": 0, "nil": 0}
_TENS = {
    name: 10 * tens
    for tens, name in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
}
_TENS |= {"fourty": 40}
_SCALES = {"dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
HOMOPHONES = {"to": 2, "too": 2, "for": 4, "fore": 4, "won": 1, "ate": 8, "oh": 0, "o": 0, "tree": 3}
"""What a recogniser writes for a number where a number is meant."""

_ORDINALS = {
    name: value
    for value, name in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
        "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        1,
    )
} | {"thirtieth": 30}

_DIGITS = re.compile(r"\d{1,15}(?:\.\d{1,12})?")
_NUMBERED = re.compile(r"(\d{1,3})(?:st|nd|rd|th)")
_MOST_DECIMALS = 4
"""Further ones help nobody who listens."""


@attrs.frozen
class Spoken:
    """A number and the words between which it stands."""

    value: Fraction
    first: int
    """Index of its first word …"""
    end: int
    """… and of the word behind it."""


def read_number(words: Sequence[str], at: int = 0, *, homophones: bool = False) -> Spoken | None:
    """The number that begins at a word; None if none does.

    Args:
        words: plain words.
        at: where to read.
        homophones: whether "to" is two, and so on, where nothing else fits.
    """
    total, place, smallest = Fraction(0), at, 10**18
    while (group := _group(words, place)) is not None:
        value, after = group
        if value >= smallest:
            break
        scale = _SCALES.get(_word(words, after))
        if scale is None or scale >= smallest:
            total, place = total + value, after
            break
        total, place, smallest = total + value * scale, after + 1, scale
        if _word(words, place) == "and" and _group(words, place + 1) is not None and scale > 12:
            place += 1
            if _number_then_scale(words, place):  # "a thousand and two million" are two numbers
                place -= 1
                break
    if place == at:
        alike = HOMOPHONES.get(_word(words, at)) if homophones else None
        return None if alike is None else Spoken(Fraction(alike), at, at + 1)
    return _with_decimals(words, Spoken(total, at, place))


def numbers_in(words: Sequence[str]) -> list[Spoken]:
    """All numbers in the words, in order."""
    found: list[Spoken] = []
    at = 0
    while at < len(words):
        number = read_number(words, at)
        if number is None:
            at += 1
        else:
            found.append(number)
            at = number.end
    return found


def read_ordinal(words: Sequence[str], at: int) -> tuple[int, int] | None:
    """The ordinal ("3rd", "twenty first") that begins at a word, and where it ends; None if none does."""
    word = _word(words, at)
    numbered = _NUMBERED.fullmatch(word)
    if numbered:
        return int(numbered[1]), at + 1
    if word in _ORDINALS:
        return _ORDINALS[word], at + 1
    tens, unit = _TENS.get(word), _ORDINALS.get(_word(words, at + 1), 10)
    return (tens + unit, at + 2) if tens is not None and unit < 10 else None


def written(value: Fraction) -> str:
    """A number as the voice reads it well: `1,234`, `-0.5`, `0.3333`."""
    if value.denominator == 1:
        return f"{value.numerator:,}"
    return f"{float(value):,.{_MOST_DECIMALS}f}".rstrip("0").rstrip(".")


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""


def _group(words: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    """What stands before a scale: "two hundred and five", "3.5", "a" (in "a thousand")."""
    if _word(words, at) in ("a", "an") and _word(words, at + 1) in ("hundred", *_SCALES):
        value, at = Fraction(1), at + 1
    else:
        small = _small(words, at)
        if small is None:
            return None
        value, at = small
    if _word(words, at) != "hundred":
        return value, at
    value, at = value * 100, at + 1
    rest = _small(words, at + 1 if _word(words, at) == "and" else at)
    if rest is not None and rest[0] < 100 and _word(words, rest[1]) != "hundred":
        return value + rest[0], rest[1]
    return value, at


def _small(words: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    word = _word(words, at)
    if _DIGITS.fullmatch(word):
        return Fraction(word), at + 1
    if word in _SMALL:
        return Fraction(_SMALL[word]), at + 1
    if word in _TENS:
        unit = _SMALL.get(_word(words, at + 1), 0)
        return (Fraction(_TENS[word] + unit), at + 2) if 0 < unit < 10 else (Fraction(_TENS[word]), at + 1)
    return None


def _number_then_scale(words: Sequence[str], at: int) -> bool:
    group = _group(words, at)
    return group is not None and _word(words, group[1]) in _SCALES


def _with_decimals(words: Sequence[str], whole: Spoken) -> Spoken:
    if _word(words, whole.end) != "point" or whole.value.denominator != 1:
        return whole
    digits, at = "", whole.end + 1
    while len(digits) < 12:
        word = _word(words, at)
        digit = str(_SMALL[word]) if _SMALL.get(word, 10) < 10 else "0" if word in ("oh", "o") else word
        if not (digit.isascii() and digit.isdigit()):
            break
        digits, at = digits + digit, at + 1
    return (
        Spoken(whole.value + Fraction(int(digits), 10 ** len(digits)), whole.first, at) if digits else whole
    )
