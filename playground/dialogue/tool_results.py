"""What a tool returned, in plain words: JSON is read aloud as names and values, the rest as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping

from playground.dialogue.tool_choice import human_name, name_words
from playground.dialogue.words import quotable, spoken_list

__all__ = ["spoken_result"]

_MOST_WORDS = 60
_MOST_THINGS = 6
_DEEPEST = 3
_SELF_EXPLAINING = frozenset("answer text message result summary content output response".split())
"""Names that need not be read aloud where they stand alone."""


def spoken_result(tool: str, result: str, *, is_error: bool) -> str:
    """The sentence or two that tell what came of a call."""
    name = human_name(tool)
    said = quotable(_spoken(_parsed(result)), _MOST_WORDS)
    if is_error:
        return f"I am sorry, {name} failed." + (f" It said: {said}." if said else "")
    return f"{name[:1].upper()}{name[1:]} says: {said}." if said else f"{name[:1].upper()}{name[1:]} is done."


def _parsed(result: str) -> object:
    try:
        return json.loads(result)
    except (ValueError, RecursionError):
        return result


def _spoken(value: object, depth: int = 0) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case Mapping() if depth < _DEEPEST:
            things = [(name, _spoken(one, depth + 1)) for name, one in list(value.items())[:_MOST_THINGS]]
            told = [(" ".join(name_words(str(name))), one) for name, one in things if one]
            if len(told) == 1 and told[0][0] in _SELF_EXPLAINING:
                return told[0][1]
            return ", ".join(f"{name} {one}" for name, one in told)
        case list() if depth < _DEEPEST:
            listed = spoken_list([said for one in value[:_MOST_THINGS] if (said := _spoken(one, depth + 1))])
            return f"{listed}, and {len(value) - _MOST_THINGS} more" if len(value) > _MOST_THINGS else listed
        case Mapping() | list():
            return "and more"
        case _:
            return str(value)
