"""Instructions, as far as they can be obeyed without a language model: for one reply, and for the session.

No I/O, no clock. Of a system prompt only a name is taken.

Applications ask for few things in such instructions: to say a text, to take leave, to go on after
a break, to ask whether somebody is still there. These are done; anything else is admitted not to be.
"""

from __future__ import annotations

import re

from channels.instructions import GO_ON, PRESSED, SAY_GOODBYE, seconds_left, unquoted
from playground.dialogue.words import quotable
from playground.sentences import sentences

__all__ = ["name_in", "obeyed"]

_SAY = re.compile(
    r"""(?isx)^\s*(?:please\s+)?(?:say|speak|repeat)
    (?:[\s,]+(?:exactly|just|only|this|the\s+following|word\s+for\s+word|verbatim|aloud|and|nothing\s+else))*
    \s*:\s*(?P<text>.+)$"""
)
"""A text to be said, with the ways in which one asks for no other."""

_OF_OTHERS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"(?is)\b{pattern}"), answer)
    for pattern, answer in (
        (r"ask\b.*\bstill (?:there|here|on the line)\b", "Are you still there?"),
        (
            r"(?:call|conversation|session) (?:will end|ends) in (about )?(\d{1,4}) (seconds?|minutes?)\b",
            "This call will end in {0}{1} {2}.",
        ),
        (r"say good ?bye\b", "Goodbye!"),
    )
)


def obeyed(instructions: str) -> tuple[str, ...]:
    """What to say, sentence by sentence."""
    say = _SAY.match(instructions)
    if say and any(letter.isalnum() for letter in say["text"]):
        return tuple(sentences(_printable(say["text"])))
    ours = _to_ours(instructions)
    if ours:
        return tuple(sentences(ours))
    for pattern, answer in _OF_OTHERS:
        found = pattern.search(instructions)
        if found:
            return tuple(sentences(answer.format(*(part or "" for part in found.groups()))))
    asked = quotable(instructions, 40)
    if not any(letter.isalnum() for letter in asked):
        return ("I was asked to say something, but not what.",)
    return (f"I was asked to do this: {asked}.", "I don't have a language model to do it with.")


def _to_ours(instructions: str) -> str:
    """What to say to a wish of the agent itself."""
    if instructions.startswith(GO_ON):
        return "I'm back. Where were we?"
    if instructions == SAY_GOODBYE:
        return "We have come to the end of our time. Goodbye!"
    if keys := unquoted(instructions, PRESSED):
        return f"You pressed {keys}."
    seconds = seconds_left(instructions)
    return f"This call will end in about {seconds} seconds." if seconds else ""


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
