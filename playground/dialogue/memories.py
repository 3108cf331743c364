"""What the person wants remembered: their name, what "my …" is, and notes. For this session only."""

from __future__ import annotations

import re

import attrs

from playground.dialogue.turn import Answer, Memory, Slots, Turn
from playground.dialogue.words import quotable, spoken_list

__all__ = [
    "forget_everything",
    "forget_name",
    "take_fact",
    "take_name",
    "take_name_if_capital",
    "take_note",
    "tell_everything",
    "tell_fact",
]

_MOST = 20
"""Facts and notes each; the oldest are forgotten."""
_MOST_WORDS = 5
"""Of what "my …" is."""
_NO_NAMES = frozenset(
    "a an the not so very in on at from here there back sure sorry fine good well okay glad happy sad "
    "tired hungry thirsty sick cold hot bored busy done ready late lost alone going trying looking just "
    "still".split()
)


def take_name(turn: Turn, slots: Slots) -> Answer | None:
    """Remembers the person's name."""
    words = slots["name"].split()
    if len(words) > 3 or words[0] in _NO_NAMES or re.search(r"[\d@]", slots["name"]):
        return None
    name = " ".join(_as_written(word, turn.said) for word in words)
    return Answer(f"Nice to meet you, {name}.", attrs.evolve(turn.memory, person=name))


def take_name_if_capital(turn: Turn, slots: Slots) -> Answer | None:
    """Takes "I am Anton", but not "I am tired": the recogniser writes names with a capital letter."""
    written = re.search(rf"\b{re.escape(slots['name'])}\b", turn.said, re.IGNORECASE)
    one_word = " " not in slots["name"]
    return take_name(turn, slots) if one_word and written and written[0][0].isupper() else None


def _as_written(word: str, said: str) -> str:
    found = re.search(rf"\b{re.escape(word)}\b", said, re.IGNORECASE)
    written = found[0] if found else word
    return written if any(letter.isupper() for letter in written) else written.capitalize()


def take_fact(turn: Turn, slots: Slots) -> Answer | None:
    """Remembers what "my …" is."""
    what, verb, value = slots["what"], slots["verb"], quotable(slots["value"])
    if len(what.split()) > _MOST_WORDS:
        return None
    facts = {**{key: one for key, one in turn.memory.facts.items() if key != what}, what: f"{verb} {value}"}
    facts = dict(list(facts.items())[-_MOST:])
    return Answer(f"I will remember that your {what} {verb} {value}.", attrs.evolve(turn.memory, facts=facts))


def tell_fact(turn: Turn, slots: Slots) -> Answer | None:
    """Says what "my …" is."""
    what = slots["what"]
    if len(what.split()) > _MOST_WORDS:
        return None
    known = turn.memory.facts.get(what)
    if known is not None:
        return Answer(f"Your {what} {known}.")
    note = next((note for note in reversed(turn.memory.notes) if what in note.lower()), None)
    if note is not None:
        return Answer(f"You told me: {note}.")
    return Answer(f"You haven't told me about your {quotable(what, 8)}.")


def take_note(turn: Turn, slots: Slots) -> Answer | None:
    """Remembers what was said, as it was said."""
    note = quotable(slots["note"])
    if not note or note.split()[0] == "me":
        return None
    notes = (*turn.memory.notes, note)[-_MOST:]
    return Answer(f"I will remember: {note}.", attrs.evolve(turn.memory, notes=notes))


def tell_everything(turn: Turn, slots: Slots) -> Answer:
    """Says all that it remembers."""
    known = _known(turn.memory)
    return Answer(f"{spoken_list(known[:8])}." if known else "You haven't told me anything to remember yet.")


def _known(memory: Memory) -> list[str]:
    name = [f"Your name is {memory.person}"] if memory.person else []
    facts = [f"your {what} {value}" for what, value in memory.facts.items()]
    notes = [f"you said: {note}" for note in memory.notes]
    first, *others = [*name, *facts, *notes] or [""]
    return [first[:1].upper() + first[1:], *others] if first else []


def forget_name(turn: Turn, slots: Slots) -> Answer:
    """Forgets the name only."""
    return Answer("Forgotten.", attrs.evolve(turn.memory, person=""))


def forget_everything(turn: Turn, slots: Slots) -> Answer:
    """Forgets all that was told."""
    return Answer("Forgotten.", attrs.evolve(turn.memory, person="", facts={}, notes=()))
