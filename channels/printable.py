r"""Makes foreign text safe for a terminal: a name, a transcript or an error may contain escape sequences.

All foreign text that is printed or logged goes through here. Characters that have a shape or a width on the
screen stay as they are, and so do the two joiners, which Persian and many emoji need. Everything else
(control characters, including ESC and the 8-bit CSI, characters that change the direction of a line, halves
of surrogate pairs) is shown as Python and JSON write it: `\x1b`, `\u202e`.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from unicodedata import category

__all__ = ["complain", "is_printable", "printable", "printable_json", "tell", "tell_json"]

LONGEST = 20_000
"""Characters that are shown of one text."""

_JOINERS = "\u200c\u200d"


def is_printable(text: str) -> bool:
    """Whether all of a text can be shown as it is."""
    return text.isprintable() or all(map(_can_be_shown, text))


def printable(text: str, *, lines: bool = False, longest: int = LONGEST) -> str:
    """A text as it can be shown.

    Args:
        text: by whomever.
        lines: whether its line breaks and tabs are kept.
        longest: characters of it that are shown.
    """
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(c if _can_be_shown(c) or (lines and c in "\n\t") else _escaped(c) for c in text)


def printable_json(text: str) -> str:
    """JSON with the same value, in which nothing is left that a terminal would obey."""
    if text.isprintable():
        return text
    # Between its strings there is white space only, and in them every character may be escaped.
    return "".join(c if _can_be_shown(c) or c in "\n\t" else json.dumps(c)[1:-1] for c in text)


def tell(text: str) -> None:
    """Prints what was asked for to standard output: foreign text in it is made printable."""
    print(printable(text, lines=True, longest=sys.maxsize), flush=True)


def tell_json(value: Any, *, indent: int | None = None) -> None:
    """Prints JSON to standard output, which has the same value in every encoding."""
    unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    print(printable_json(json.dumps(value, ensure_ascii=not unicode, indent=indent, default=str)), flush=True)


def complain(error: object) -> None:
    """Prints to standard error why something cannot be done."""
    print(printable(str(error), lines=True), file=sys.stderr, flush=True)


def _can_be_shown(character: str) -> bool:
    return character.isprintable() or character in _JOINERS or category(character) == "Zs"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
