"""A string that does not print.

A key lives in a `Secret` from the moment it is read until the moment it is sent. `str`, `repr`,
formatting, logging and pickling show dots or fail; only `reveal()` gives the text, so that a search
for that word finds every place where a secret leaves the process.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

__all__ = ["Secret"]


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
        raise TypeError("a Secret is not pickled")
