"""What of a message may be handed on: neither keys nor tokens, nor more than anybody needs.

A field that is named like a secret goes, whatever is in it; so does a run of characters in a text that no
language has, unless the field is an id. Texts and depths are cut.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["HIDDEN", "without_secrets"]

HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(r"token|secret|authori[sz]ation|api_?key|passw|credential|cookie|signature", re.I)
_SECRET_TEXT = re.compile(r"bearer +[^\s\"']{1,4096}|[\w+/~.-]{28,4096}", re.I)
_LONGEST_TEXT = 20_000
_DEEPEST = 16
_MOST_ENTRIES = 1000


def without_secrets(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message as it may be shown to anybody."""
    return {
        name[:200]: _shown(name, value, 1)
        for name, value in list(message.items())[:_MOST_ENTRIES]
        if not _SECRET_NAME.search(name)
    }


def _shown(name: str, value: object, depth: int) -> object:
    if depth > _DEEPEST:
        return None
    match value:
        case str():
            text = value[:_LONGEST_TEXT]
            return text[:200] if _is_id(name) else _SECRET_TEXT.sub(_hide, text)
        case dict():
            return {
                key[:200]: HIDDEN if _SECRET_NAME.search(key) else _shown(key, inner, depth + 1)
                for key, inner in list(value.items())[:_MOST_ENTRIES]
            }
        case float() if not math.isfinite(value):
            return None  # JSON has no such number
        case list():
            return [_shown(name, inner, depth + 1) for inner in value[:_MOST_ENTRIES]]
        case _:
            return value


def _is_id(name: str) -> bool:
    return name == "id" or name.endswith("_id")


def _hide(found: re.Match[str]) -> str:
    text = found[0]
    looks_made = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    return HIDDEN if looks_made or text.lower().startswith("bearer ") else text
