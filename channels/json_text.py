"""JSON of others, and for others: one reader and one writer for whatever a peer, a model or a file says."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["MOST_NESTED", "is_nested_deeper", "read_json", "write_json"]

MOST_NESTED = 64
"""Objects and lists in each other. Whoever walks through more may run out of stack."""

_MOST_DIGITS = 4300
"""Of a whole number: Python reads and writes no longer ones."""


def read_json(text: str | bytes, *, strict: bool = False) -> Any:
    """What a text says in JSON. Half a surrogate pair, which nobody could write again, is a question mark.

    Args:
        text: UTF-8, if it is bytes.
        strict: refuses what is no number of JSON, or one that nobody means; else that is None. Whoever is
            strict looks for deep nesting where it matters.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
        RecursionError: it is nested much too deeply.
    """
    text = text if isinstance(text, str) else text.decode()
    try:
        content = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        # Python's reader takes what many a service writes and msgspec refuses.
        content = _read_loosely(text, _refused if strict else _as_null)
    if not strict and is_nested_deeper(content, MOST_NESTED):
        raise ValueError("nested too deeply")
    return content


def write_json(content: Any, *, or_else: Callable[[Any], Any] | None = None) -> str:
    """One line of JSON. Half a surrogate pair is a question mark.

    Args:
        content: anything that JSON has, or msgspec knows; bytes are base64.
        or_else: says with that what they do not know, or raises TypeError.
    """
    try:
        return msgspec.json.encode(content, enc_hook=or_else).decode()
    except UnicodeEncodeError:
        # Two halves that came one after the other become the character they are.
        return write_json(_read_loosely(json.dumps(content, default=or_else), _as_null))


def is_nested_deeper(content: Any, most: int) -> bool:
    """Whether more than so many objects and lists are in each other."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(most):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for group in inner for each in group if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _read_loosely(text: str, or_what: Callable[[str], object]) -> Any:
    content = json.loads(
        text,
        parse_constant=or_what,
        parse_int=lambda number: int(number) if len(number) <= _MOST_DIGITS else or_what(number),
        parse_float=lambda number: value if math.isfinite(value := float(number)) else or_what(number),
    )
    return json.loads(json.dumps(content, ensure_ascii=False).encode(errors="replace"))


def _as_null(_: str) -> object:
    return None


def _refused(number: str) -> object:
    raise ValueError(f"{number[:40]} is no number of JSON")
