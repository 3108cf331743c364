"""What the agent asks of the model for somebody else: our opening, then their words as data.

`reply.create` has one text, the instructions. Words from outside stand in it in quotation marks that they
cannot leave, so that they are never an instruction of ours. The local dialogue reads them by these openings.
"""

from __future__ import annotations

import json

from channels.secret import DOTS

__all__ = [
    "APOLOGY",
    "LONGEST_QUOTE",
    "PRESSED",
    "TYPED",
    "UNANSWERED",
    "VERBATIM",
    "is_second_try",
    "quoted",
    "unquoted",
    "without_keys",
]

LONGEST_QUOTE = 2_000
"""Characters: three minutes of reading."""

TYPED = "The person typed this instead of speaking. Answer it: "
PRESSED = "The person pressed these keys on their phone: "
UNANSWERED = "The person has said this and has had no answer. Answer it now: "
VERBATIM = "Say exactly this, word for word, and nothing else: "
"""Followed by the owner's own text, as it is."""

APOLOGY = f"{VERBATIM}Sorry, I have no answer to that just now. Could you say it again?"


def quoted(text: str) -> str:
    """The words on one line, cut to `LONGEST_QUOTE`, in quotation marks that they cannot leave."""
    return json.dumps(" ".join(text[: 4 * LONGEST_QUOTE].split())[:LONGEST_QUOTE], ensure_ascii=False)


def unquoted(instructions: str, opening: str) -> str | None:
    """The words after this opening; None if the instructions are no such thing."""
    if not instructions.startswith(opening):
        return None
    try:
        words = json.loads(instructions.removeprefix(opening))
    except (ValueError, RecursionError):
        return None
    return words if isinstance(words, str) else None


def without_keys(instructions: str) -> str:
    """The same, with the number of keys in place of the keys, if it tells of any."""
    if not instructions.startswith(PRESSED):
        return instructions
    keys = unquoted(instructions, PRESSED)
    count = "" if keys is None else f"{len(keys.replace(',', '').split())} keys "
    return instructions if instructions.endswith(f"keys {DOTS}") else f"{PRESSED}{count}{DOTS}"


def is_second_try(instructions: str) -> bool:
    """Whether this only makes up for an answer that did not come."""
    return instructions == APOLOGY or instructions.startswith(UNANSWERED)
