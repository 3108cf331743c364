"""Cuts a reply into sentences, so that the first can be heard while the others are still being synthesised.

A sentence ends at a mark (. ! ? or dots, with closing quotes or brackets behind it) where white space
follows, or at the end of a line. Not every full stop ends one: not behind a title or an abbreviation
("Dr. Smith", "e.g. this"), an initial ("J. K. Rowling") or the number of a list item ("1. Milk"), nor
before a small letter ("at 5 p.m. sharp"). A decimal ("3.5") or a domain has no space behind its point.
"""

from __future__ import annotations

import re

__all__ = ["sentences"]

_CLOSING = "\"'\u201d\u2019)]*_"
_OPENING = "\"'\u201c\u2018([*_"
# From the first of several marks only: else a row of dots is looked at for each of its dots.
_END = re.compile(rf"(?<![.!?\u2026])[.!?\u2026]+[{re.escape(_CLOSING)}]*(?=\s)|[\u3002\uff01\uff1f]")

_LONGEST_GAP = 80
"""Letters behind an end in which the next word begins."""

_LONGEST_WORD = 80
"""Letters before an end that are looked at: what is longer is no abbreviation. To look at the whole sentence
each time would cost the square of its length."""

_ABBREVIATION = re.compile(
    r"""(?:mr|mrs|ms|dr|prof|st|rev|hon|gen|col|capt|lt|sgt|mt|ft|vs|vol|ch|figs?|pp|cf|ca|approx|dept|est|tel
    |jan|feb|apr|jun|jul|aug|sept|oct|nov|dec|e\.g|i\.e)$""",
    re.VERBOSE | re.IGNORECASE,
)
"""These want something after them."""
_ABBREVIATION_BEFORE_NUMBER = re.compile(r"(?:nos?|mar|sep|p|art)$", re.IGNORECASE)
"""These want a number after them; otherwise they are words, or the end."""


def sentences(text: str) -> list[str]:
    """The sentences of `text` in order, none empty; joined with spaces they have the words of the text."""
    found: list[str] = []
    for line in text.splitlines():
        begin = 0
        for end in _END.finditer(line):
            last = line[max(begin, end.end() - _LONGEST_WORD) : end.end()]
            if _is_end(last, line[end.end() : end.end() + _LONGEST_GAP].lstrip()):
                found.append(line[begin : end.end()])
                begin = end.end()
        found.append(line[begin:])
    return [sentence.strip() for sentence in found if sentence.strip()]


def _is_end(sentence: str, following: str) -> bool:
    if following[:1].islower():
        return False
    sentence = sentence.rstrip(_CLOSING)
    if not sentence.endswith(".") or sentence.endswith(".."):
        return True
    words = sentence[:-1].split() or [""]
    last = words[-1].lstrip(_OPENING)
    if _ABBREVIATION.match(last) or (_ABBREVIATION_BEFORE_NUMBER.match(last) and following[:1].isdigit()):
        return False
    initial = len(last) == 1 and last.isupper() and last != "I"
    list_item = last.isdigit() and len(words) == 1
    return not (initial or list_item)
