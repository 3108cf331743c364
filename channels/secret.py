"""A string that does not print.

A key lives in a `Secret` from the moment it is read until the moment it is sent. `str`, `repr`,
formatting, logging and pickling show dots or fail; only `reveal()` gives the text, so that a search
for that word finds every place where a secret leaves the process. What the service tells of a
session's secrets (of its tools, its webhook) is known by the names of its fields.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any, NoReturn

__all__ = ["DOTS", "Secret", "blot_out_fields", "is_secret"]

DOTS = "•••"

_SECRET_NAME = re.compile(
    r"(?i)(api|access|private)[_-]?key|^key$|token(?!s)|secret|passw|authorization|credential|cookie|headers?$"
)


class Secret:
    """Holds a secret text. Compares in constant time, hashes never, prints as dots."""

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(•••)"

    def __str__(self) -> str:
        return "•••"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


def is_secret(name: str) -> bool:
    """Whether a field of that name holds something to be kept to oneself."""
    return _SECRET_NAME.search(name) is not None


def blot_out_fields(value: Any, *, secret: bool = False) -> Any:
    """A JSON value; every text below a name that is secret becomes dots."""
    match value:
        case Mapping():
            return {
                str(key): blot_out_fields(v, secret=secret or is_secret(str(key))) for key, v in value.items()
            }
        case str():
            return DOTS if secret and value else value
        case list() | tuple():
            return [blot_out_fields(each, secret=secret) for each in value]
        case _:
            return value
