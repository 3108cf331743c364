"""Which of the session's tools fits what was said, by the words that they share.

A tool fits well if all the telling words of its name were said ("weather" of `get_weather`), or one of
these and one of its description's. It fits a little with any word of its name, or two of its description.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from playground.dialogue.words import plain, stem

__all__ = ["Fit", "best_fit", "human_name", "name_words"]

_NOT_TELLING = frozenset(
    """a an and any are as at be been but by can current currently do does each every fetch find for from
    get give given gives has have how i if in into is it its let list look lookup make me my new of on one
    or our out please return returns run set should some such tell that the their them then there these
    this those to tool up use used user users want was what when where which who will with would you your
    about all also not so name names value values customer customers person people number call ask say
    just know need like today""".split()
)
"""Words that say nothing about what a tool is for."""


@attrs.frozen
class Fit:
    """A tool, and how well it fits."""

    tool: Mapping[str, Any]
    score: int
    well: bool


def best_fit(words: str, tools: Iterable[Mapping[str, Any]]) -> Fit | None:
    """The tool that fits best; None if none fits."""
    said = _telling(words)
    fits = [fit for tool in tools if (fit := _fit(said, tool)) is not None]
    return max(fits, key=lambda fit: (fit.well, fit.score), default=None)


def human_name(tool: str) -> str:
    """A tool's name as one says it: `order_status` and `getOrderStatus` are "order status"."""
    verb, *rest = name_words(tool) or ["the tool"]
    return " ".join(rest if rest and verb in ("get", "fetch", "find", "lookup", "check") else [verb, *rest])


def name_words(name: str) -> list[str]:
    """The words of an identifier, in small letters."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name[:200]).lower())


def _fit(said: set[str], tool: Mapping[str, Any]) -> Fit | None:
    name = _telling(" ".join(name_words(str(tool.get("name", "")))))
    description = _telling(plain(str(tool.get("description", "")))) - name
    of_name, of_description = len(name & said), len(description & said)
    if not of_name and of_description < 2:
        return None
    well = bool(name) and (of_name == len(name) or bool(of_name and of_description))
    return Fit(tool, 3 * of_name + of_description, well)


def _telling(words: str) -> set[str]:
    return {stem(word) for word in words.split() if word not in _NOT_TELLING and len(word) > 1}
