"""What was said, as plain words: the form in which it is compared with what is known.

A recogniser writes the same thing in many ways ("What's 5 times 3?", "Um, whats five times three, please").
Here all of them become "what is 5 times 3": small letters, no punctuation that only helps the eye, no
fillers, contractions written out, and the politeness in front of a request taken away.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["cut", "plain", "quotable", "spoken_list", "stem"]

_LONGEST = 1500
"""Characters of a turn that are looked at: a minute and a half of fast talk."""

_CONTRACTIONS = {
    "can't": "can not",
    "won't": "will not",
    "let's": "let us",
    "whats": "what is",
    "wheres": "where is",
    "whos": "who is",
    "hows": "how is",
    "thats": "that is",
    "im": "i am",
    "dont": "do not",
    "didnt": "did not",
    "cant": "can not",
}
_ENDINGS = (
    ("n't", " not"),
    ("'m", " am"),
    ("'re", " are"),
    ("'ve", " have"),
    ("'ll", " will"),
    ("'d", " would"),
)
_IS = re.compile(r"\b(what|who|where|when|how|which|that|it|there|he|she|name|here)'s\b")

_FILLERS = re.compile(r"\b(?:u+m+|u+h+|uh+m+|e+r+m*|eh+m*|h+m+|please|kindly)\b")
_OPENERS = re.compile(
    r"^(?:(?:and|so|well|okay|ok|oh|hey|now|then|alright|all right|right|but|yes|yeah) )+(?=.)"
)
_POLITE = re.compile(
    r"^(?:(?:can|could|would|will) you (?:just |also |maybe )?|i (?:want|would like|need) you to |just )(?=.)"
)
_TAIL = re.compile(r"(?<=.)(?: (?:for me|if you can|right now|thank you|thanks))+$")


def cut(said: str) -> str:
    """What is looked at of what was said."""
    return said[:_LONGEST]


def plain(text: str) -> str:
    """The words of a turn in their plain form, joined by single spaces; "" if there are none."""
    text = unicodedata.normalize("NFKC", text[:_LONGEST]).lower().replace("\u2019", "'")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)  # 1,234
    text = re.sub(r"\bto-(?=day|night|morrow)", "to", text)  # as the recogniser likes to write it
    text = re.sub(r"(?<=[^\W\d])-(?=[^\W\d])", " ", text)  # twenty-one
    text = _IS.sub(r"\1 is", text)
    text = re.sub(r"[^\w\s'+*/×÷^%=.@-]|(?<!\d)\.|\.(?!\d)", " ", text)
    text = " ".join(_written_out(word) for word in text.split())
    text = _FILLERS.sub(" ", text)
    text = " ".join(text.split())
    for surplus in (_OPENERS, _POLITE, _OPENERS, _TAIL):
        text = surplus.sub("", text)
    return text


def _written_out(word: str) -> str:
    if word in _CONTRACTIONS:
        return _CONTRACTIONS[word]
    for ending, whole in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending):
            return word[: -len(ending)] + whole
    return word.strip("'_") if word.strip("'_") else ""


def quotable(text: str, most: int = 25) -> str:
    """What was said, fit to be said again: one line, no final punctuation, at most so many words."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST])
    words = [word[:60] for word in shown.replace('"', "'").split()]
    cut = " ".join(words[:most]).strip(" .,;:!?-\u2026")
    return f"{cut}, and more" if len(words) > most else cut


def spoken_list(things: list[str]) -> str:
    """Things in a row, as one says them: `a, b and c`."""
    return " and ".join(part for part in (", ".join(things[:-1]), *things[-1:]) if part)


def stem(word: str) -> str:
    """A word without its commonest endings: `bookings`, `booked` and `booking` are `book`."""
    for ending in ("ings", "ing", "ies", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word
