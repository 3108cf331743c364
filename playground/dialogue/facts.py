"""What the person wants remembered: their name, what "my …" is, and notes. For this session only."""

from __future__ import annotations

import re

import attrs

from playground.dialogue.turn import Answer, Memory, Turn, first_answer, when
from playground.dialogue.words import quotable, spoken_list

__all__ = ["TOPIC"]

_MOST = 20
"""Facts and notes each; the oldest are forgotten."""
_WHAT = r"(?P<what>[^\W\d]+(?: [^\W\d]+){0,4}?)"
"""Up to five words."""
_TELL_ME = r"(?:do you (?:remember|know) |tell me )?"
_NO_NAMES = frozenset(
    "a an the not so very in on at from here there back sure sorry fine good well okay glad happy sad "
    "tired hungry thirsty sick cold hot bored busy done ready late lost alone going trying looking just "
    "still".split()
)


def _take_name(turn: Turn, match: re.Match[str]) -> Answer | None:
    words = match["name"].split()
    if len(words) > 3 or words[0] in _NO_NAMES:
        return None
    name = " ".join(_as_written(word, turn.said) for word in words)
    memory = attrs.evolve(turn.memory, person=name)
    return Answer(f"Nice to meet you, {name}.", memory)


def _take_name_if_capital(turn: Turn, match: re.Match[str]) -> Answer | None:
    """Takes "I am Anton", but not "I am tired": the recogniser writes names with a capital letter."""
    written = re.search(rf"\b{re.escape(match['name'])}\b", turn.said, re.IGNORECASE)
    return _take_name(turn, match) if written and written[0][0].isupper() else None


def _as_written(word: str, said: str) -> str:
    found = re.search(rf"\b{re.escape(word)}\b", said, re.IGNORECASE)
    written = found[0] if found else word
    return written if any(letter.isupper() for letter in written) else written.capitalize()


def _tell_name(turn: Turn, _: re.Match[str]) -> Answer:
    if turn.memory.person:
        return Answer(f"Your name is {turn.memory.person}.")
    return Answer("You have not told me your name yet.")


def _take_fact(turn: Turn, match: re.Match[str]) -> Answer:
    what, verb, value = match["what"], match["verb"], quotable(match["value"])
    facts = {**{key: one for key, one in turn.memory.facts.items() if key != what}, what: f"{verb} {value}"}
    facts = dict(list(facts.items())[-_MOST:])
    return Answer(f"I will remember that your {what} {verb} {value}.", attrs.evolve(turn.memory, facts=facts))


def _tell_fact(turn: Turn, match: re.Match[str]) -> Answer:
    what = match["what"]
    known = turn.memory.facts.get(what)
    if known is not None:
        return Answer(f"Your {what} {known}.")
    note = next((note for note in reversed(turn.memory.notes) if what in note.lower()), None)
    if note is not None:
        return Answer(f"You told me: {note}.")
    return Answer(f"You have not told me about your {quotable(what, 8)}.")


def _take_note(turn: Turn, match: re.Match[str]) -> Answer | None:
    said = re.search(r"(?is)\b(?:remember|note|mind)\b[\s,:]*(?:this|that)?[\s,:]*(.+)", turn.said)
    note = quotable(said[1]) if said else ""
    if not note:
        return None
    notes = (*turn.memory.notes, note)[-_MOST:]
    return Answer(f"I will remember: {note}.", attrs.evolve(turn.memory, notes=notes))


def _tell_all(turn: Turn, _: re.Match[str]) -> Answer:
    known = _known(turn.memory)
    if not known:
        return Answer("You have not told me anything to remember yet.")
    return Answer(f"{spoken_list(known[:8])}.")


def _known(memory: Memory) -> list[str]:
    name = [f"Your name is {memory.person}"] if memory.person else []
    facts = [f"your {what} {value}" for what, value in memory.facts.items()]
    notes = [f"you said: {note}" for note in memory.notes]
    first, *others = [*name, *facts, *notes] or [""]
    return [first[:1].upper() + first[1:], *others] if first else []


def _forget(turn: Turn, match: re.Match[str]) -> Answer:
    forgotten = attrs.evolve(turn.memory, person="")
    if match["what"] != "my name":
        forgotten = attrs.evolve(forgotten, facts={}, notes=())
    return Answer("Forgotten.", forgotten)


TOPIC = first_answer(
    (
        when(
            r"^(?:my name is|i am called|i am named|call me|people call me|i go by) (?P<name>[^\d@]+)$",
            then=_take_name,
        ),
        when(r"^(?:hello |hi )?(?:i am|this is|it is) (?P<name>[^\W\d]+)$", then=_take_name_if_capital),
        when(
            r"\b(?:what is|what was|who is|remember|know|say|tell me|what) my name\b",
            r"^my name$",
            r"^who am i$",
            then=_tell_name,
        ),
        when(r"^forget (?P<what>everything|all|that|it|my name|what i (?:said|told you))\b", then=_forget),
        when(
            r"\bwhat (?:do you (?:know|remember)|did i (?:say|tell you)|have i told you)(?: about me)?$",
            then=_tell_all,
        ),
        when(
            r"^what did i (?:ask|tell|want) you to remember$", r"^what should you remember$", then=_tell_all
        ),
        when(
            r"^(?:remember |note |know )?(?:that )?my "
            + _WHAT
            + r" (?P<verb>is|are|was|were) (?P<value>.+)$",
            then=_take_fact,
        ),
        when(
            r"^" + _TELL_ME + r"(?:what|who|where|when|how|which) (?:is|are|was|were) my " + _WHAT + r"$",
            r"^" + _TELL_ME + r"(?:what |who |where )?my " + _WHAT + r"(?: is| are| was| were)?$",
            then=_tell_fact,
        ),
        when(r"^(?:remember|note|keep in mind)\b(?! me\b)", then=_take_note),
    )
)
