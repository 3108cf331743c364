"""Text to phonemes, word by word, by hibari's own rules: so that every word of a text has its sound.

The words are the ones that white space separates: what a transcript shows. Each is first cleaned of what
nobody reads aloud (Markdown, emoji, brackets), then hibari writes out numbers, dates and units ("5 km":
five kilometers) and finds phonemes. Where that changes the number of words, the written-out ones are dealt
out among the ones they came from. A word without any sound gets no phonemes and stays in the list.
"""

from __future__ import annotations

import difflib
import functools
import re
import threading
import unicodedata
from typing import Any

import attrs

from sound.models import wheel_file

__all__ = ["BLANK", "PAUSES", "Pronounced", "pronounce"]

BLANK = 16
"""The id of the space between two words in hibari's vocabulary."""
PAUSES = frozenset(range(1, BLANK + 1))
"""The ids of punctuation and of the space: they are heard as pauses, not as part of a word."""

_LONGEST_RUN = 40
"""Letters of one word that are read at once; an address or a key beyond that is read in parts."""

_UNREAD = re.compile(r"[*_`#~|<>\[\]{}^\\]+")
_HEARD = "%&+@=$€£" + ",;:.!?\u2013\u2014\u2026"
"""Signs that are said or that make a pause, also where they stand alone."""
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_RUN = re.compile(rf"(\S{{{_LONGEST_RUN}}})(?=\S)")
_LONG_NUMBER = re.compile(r"\d{13,}")
"""Beyond billions: a card or account number, read digit by digit."""


@attrs.frozen
class Pronounced:
    """A word as it is written, and its sound."""

    text: str
    phonemes: tuple[int, ...]
    """Ids of hibari's vocabulary, punctuation included; empty if nothing of it can be said."""


def pronounce(text: str) -> list[Pronounced]:
    """The words of `text` with their phonemes. Safe to call from several threads at once."""
    written = text.split()
    cleaned = [_clean(word) for word in written]
    spoken = _spoken(" ".join(word for word in cleaned if word))
    readable = [index for index, word in enumerate(cleaned) if word]
    shares = _dealt([cleaned[index] for index in readable], spoken)
    phonemes: list[tuple[int, ...]] = [()] * len(written)
    for index, share in zip(readable, shares, strict=True):
        phonemes[index] = _ids(" ".join(sound for _, sound in share))
    return [Pronounced(word, sound) for word, sound in zip(written, phonemes, strict=True)]


def _clean(word: str) -> str:
    word = _UNREAD.sub("", _LINK.sub(r"\1", unicodedata.normalize("NFKC", word)))
    kept = "".join(_plain(letter) for letter in word)
    if not any(letter.isalnum() or letter in _HEARD for letter in kept):
        return ""
    return _LONG_NUMBER.sub(lambda digits: " ".join(digits[0]), _RUN.sub(r"\1 ", kept))


def _plain(letter: str) -> str:
    """A character as hibari can read it: digits of all scripts as 0 to 9, pictures and the invisible not."""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if letter.isdigit():
        return ""
    unseen = unicodedata.category(letter) in ("Cc", "Cf", "Cn", "Co", "Cs", "Mc", "Me", "Mn", "So")
    return "" if unseen and letter != "°" else letter.replace("\u2044", "/")


def _spoken(text: str) -> list[tuple[str, str]]:
    """The words that are actually said, each with its phonemes."""
    if not text:
        return []
    with _one_at_a_time:  # hibari's rules keep notes while they read
        g2p, normalize = _rules()
        tokens = g2p.phonemize_tokens(g2p.tokenize(normalize(text)))
    words: list[tuple[str, str]] = []
    glued = False
    for token in tokens:
        sound = token.phonemes or ""
        if glued:
            words[-1] = (words[-1][0] + token.text, words[-1][1] + sound)
        else:
            words.append((token.text, sound))
        glued = not token.whitespace
    return words


def _dealt(written: list[str], spoken: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Deals the words that are said out among the ones that are written, keeping their order."""
    shares: list[list[tuple[str, str]]] = [[] for _ in written]
    matcher = difflib.SequenceMatcher(None, written, [text for text, _ in spoken], autojunk=False)
    for _, begin, end, first, last in matcher.get_opcodes():
        for position in range(first, last):
            if begin == end:  # said, but not written: goes with the word before it
                owner = max(0, begin - 1)
            else:
                owner = begin + (position - first) * (end - begin) // (last - first)
            shares[owner].append(spoken[position])
    return shares


def _ids(phonemes: str) -> tuple[int, ...]:
    vocabulary = _vocabulary()
    return tuple(vocabulary[symbol] for symbol in phonemes if symbol in vocabulary)


_one_at_a_time = threading.Lock()


@functools.cache
def _rules() -> tuple[Any, Any]:
    from hibari.g2p import G2P  # late: dictionaries, a third of a second
    from hibari.g2p.normalize import normalize

    return G2P(), normalize


@functools.cache
def _vocabulary() -> dict[str, int]:
    import json

    loaded: dict[str, int] = json.loads(wheel_file("hibari", "assets/vocab.json").read_text(encoding="utf-8"))
    return loaded
