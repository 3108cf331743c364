"""Instructions, as far as they can be obeyed without a language model: for one reply, and for the session.

Pure. Of a system prompt only a name is taken.

Applications ask for few things in such instructions: to say a text, to take leave, to go on after
a break, to ask whether somebody is still there. These are done; anything else is admitted not to be.
"""

from __future__ import annotations

import re

from playground.dialogue.words import quotable
from playground.sentences import sentences

__all__ = ["name_in", "obeyed"]

_SAY = re.compile(
    r"""(?isx)^\s*(?:please\s+)?(?:say|speak|repeat)
    (?:[\s,]+(?:exactly|just|only|this|the\s+following|word\s+for\s+word|verbatim|aloud|and|nothing\s+else))*
    \s*:\s*(?P<text>.+)$"""
)
"""A text to be said, with the ways in which one asks for no other."""

_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?is)\b{pattern}"), answer)
    for pattern, answer in (
        (r"connection was lost for a moment and is there again\b", "I am back. Where were we?"),
        (r"ask\b.*\bstill (?:there|here|on the line)\b", "Are you still there?"),
        (
            r"(?:call|conversation|session) (?:will end|ends) in (about )?(\d{1,4}) (seconds?|minutes?)\b",
            "This call will end in {0}{1} {2}.",
        ),
        (r"longest time\b.*\bsay good ?bye\b", "We have come to the end of our time. Goodbye!"),
        (r"say good ?bye\b", "Goodbye!"),
        (r"pressed these keys on their phone: \"?([\d*#a-d ]{1,80})", "You pressed {0}."),
    )
)


def obeyed(instructions: str) -> tuple[str, ...]:
    """What to say, sentence by sentence."""
    say = _SAY.match(instructions)
    if say and any(letter.isalnum() for letter in say["text"]):
        return tuple(sentences(_printable(say["text"])))
    for pattern, answer in _KNOWN:
        found = pattern.search(instructions)
        if found:
            return tuple(sentences(answer.format(*(part or "" for part in found.groups()))))
    asked = quotable(instructions, 40)
    if not any(letter.isalnum() for letter in asked):
        return ("I was asked to say something, and nobody said what.",)
    return (f"I was asked to do this: {asked}.", "I have no language model to do it with.")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\n" if letter == "\n" else " " for letter in text)


_NAME = re.compile(
    r"(?:\b[Yy]our name is|\b[Yy]ou(?: are|'re|\u2019re)(?: called| named)?|\b(?:called|named)"
    r"|\b[Cc]all yourself)\s+"
    r"[\"'\u201c]?((?:[A-Z][\w'\u2019-]*)(?:\s+[A-Z][\w'\u2019-]*){0,2})"
)
_NO_NAME = re.compile(
    r"^(?:A|An|The|I|In|On|At|Not|NOT|Always|Never|Now|Here|Very|Your|Our|My|If|To|All|AI|An?\s.*)$"
)


def name_in(system_prompt: str) -> str:
    """The agent's name by its system prompt ("You are Ada, …", "Your name is Ada"); "" if it gives none."""
    for found in _NAME.finditer(system_prompt[:20_000]):
        first = found[1].split()[0]
        if not _NO_NAME.match(first):
            return found[1][:60].rstrip("'\u2019-")
    return ""
