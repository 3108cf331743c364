"""Letters: "spell lighthouse", "spell my name", "how many letters are in banana"."""

from __future__ import annotations

import re

from playground.dialogue.turn import Answer, Turn, first_answer, when

__all__ = ["TOPIC"]

_LONGEST = 40


def _word(turn: Turn, said: str) -> str:
    """The word that is meant by these plain words."""
    name = {"my name": turn.memory.person, "your name": turn.memory.my_name}.get(said, said)
    return name.strip()[:_LONGEST].strip()


def _letters(word: str) -> str:
    return ", ".join("apostrophe" if letter == "'" else letter.upper() for letter in word)


def _spell(turn: Turn, match: re.Match[str]) -> Answer:
    word = _word(turn, match["word"])
    letters = [part for part in re.findall(r"[\w']+", word) if part.strip("'_")]
    if not letters:
        return Answer("I do not know what to spell.")
    return Answer(f"{word[:1].upper()}{word[1:]}: {', then '.join(_letters(part) for part in letters)}.")


def _spell_backwards(turn: Turn, match: re.Match[str]) -> Answer | None:
    letters = "".join(re.findall(r"[^\W_]", _word(turn, match["word"])))
    return Answer(f"Backwards: {_letters(letters[::-1])}.") if letters else None


def _how_many(turn: Turn, match: re.Match[str]) -> Answer:
    word = _word(turn, match["word"])
    count = sum(letter.isalpha() for letter in word)
    return Answer(f"{word[:1].upper()}{word[1:]} has {count} {'letter' if count == 1 else 'letters'}.")


_WHAT = r"(?:the word |the name )?(?P<word>\S.*?)"

TOPIC = first_answer(
    (
        when(r"^spell(?: out)? " + _WHAT + r" backwards?$", then=_spell_backwards),
        when(r"^how (?:do|would|can|should) (?:you|i|we) spell " + _WHAT + r"$", then=_spell),
        when(r"^how is " + _WHAT + r" (?:spelled|spelt|written)$", then=_spell),
        when(r"^spell(?: out)? " + _WHAT + r"$", then=_spell),
        when(
            r"^how many letters (?:are(?: there)?|is|does|has)?(?: in)? ?" + _WHAT + r"(?: have)?$",
            then=_how_many,
        ),
    )
)
