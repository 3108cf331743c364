"""What a setting may be: its type, its range with the unit, and how a value of it is read.

A setting is declared in one place, its field: `linger_ms: Annotated[int, Whole(0, 10_000, "ms")] = 800`.
Its path, its environment variable, what is said of a wrong value and where it is listed follow from that.
"""

from __future__ import annotations

import difflib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import attrs

from channels.printable import is_printable
from channels.secret import Secret

__all__ = [
    "Choice",
    "Flag",
    "Key",
    "Malformed",
    "Number",
    "OneLine",
    "Rule",
    "Text",
    "Texts",
    "Whole",
    "nearest",
    "shown",
]

_LONGEST_SHOWN = 20
"""Characters of a wrong value that are shown. Keys are longer; a mistyped name is not."""
_LONGEST_NUMBER = 8
"""The same where a number belongs."""


class Malformed(Exception):
    """What is wrong with a value, in words that do not quote it if it may be a secret.

    Args:
        wrong: continues "<name of the setting> …".
        fix: what to write instead, where the value itself suggests it.
    """

    def __init__(self, wrong: str, fix: str = "") -> None:
        super().__init__(wrong, fix)
        self.wrong = wrong
        self.fix = fix


@attrs.frozen(kw_only=True)
class Rule(ABC):
    """What a setting may be. A field that is annotated with one can be set by people.

    Args:
        env: name of its environment variable; None derives one from its path.
        fix: where to get a right value, besides leaving it out.
        mutable: whether the service lets it change in mid-call.
    """

    private: ClassVar[bool] = False
    """Belongs to one account, so that it is read from the environment and `.env` only."""
    env: str | None = None
    fix: str = ""
    mutable: bool = False

    def read(self, value: Any) -> Any:
        """The value, from what a file has: a number, a list, a text.

        Raises:
            Malformed: it is of another type, or out of range. Nothing that may be a secret is quoted.
        """
        return self._read(value)

    def parse(self, text: str) -> Any:
        """The value, from the text of a variable or a flag.

        Raises:
            Malformed: as `read`.
        """
        return self._read(self._from_text(text))

    @abstractmethod
    def _read(self, value: Any) -> Any: ...

    def _from_text(self, text: str) -> Any:
        """What a file would have. What cannot be turned into that stays text, which `read` refuses."""
        return text


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The right spelling that was probably meant."""
    by_folded = {each.casefold(): each for each in names}
    folded = name.casefold()[:80]
    found = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    longer = [each for each in by_folded if len(folded) > 2 and each.startswith(folded)]
    return by_folded[[*found, *longer][0]] if found or len(longer) == 1 else None


def shown(value: Any, longest: int = _LONGEST_SHOWN) -> str:
    """A wrong value, as far as it can be shown."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            # Python refuses to print a number of thousands of digits.
            return str(value) if abs(value) < 1e20 or isinstance(value, float) else "a very long number"
        case str():
            small = len(value) <= longest and value.isprintable()
            return repr(value) if small else f"{len(value)} characters"
        case None:
            return "null"
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return f"a {type(value).__name__}"


@attrs.frozen
class Whole(Rule):
    """A whole number within limits, both included."""

    low: int
    high: int
    unit: str

    def _read(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            expected = f"a whole number of {self.unit} from {self.low} to {self.high}"
            if self.low == self.high:
                expected = f"{self.low} {self.unit}, the only possible value"
            raise Malformed(f"is not {expected} (found {shown(value, _LONGEST_NUMBER)})")
        return value

    def _from_text(self, text: str) -> int | str:
        # What is longer may be a secret in the wrong line, and int() takes its time.
        return int(text) if re.fullmatch("-?[0-9]{1,8}", text) else text


@attrs.frozen
class Number(Rule):
    """A number within limits, both included."""

    low: float
    high: float

    def _read(self, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not self.low <= value <= self.high:  # false for NaN too
            expected = f"a number from {self.low:g} to {self.high:g}"
            raise Malformed(f"is not {expected} (found {shown(value, _LONGEST_NUMBER)})")
        return float(value)

    def _from_text(self, text: str) -> float | str:
        return float(text) if re.fullmatch(r"-?[0-9]{1,8}(\.[0-9]{1,17})?", text) else text


@attrs.frozen
class Flag(Rule):
    """True or false."""

    def _read(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Malformed(f"is neither true nor false (found {shown(value)})")
        return value

    def _from_text(self, text: str) -> bool | str:
        words = {"true": True, "yes": True, "on": True, "1": True}
        words |= {"false": False, "no": False, "off": False, "0": False}
        return words.get(text.lower(), text)


@attrs.frozen
class Choice(Rule):
    """One of a few names."""

    names: tuple[str, ...]

    def _read(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.names:
            meant = nearest(value, self.names) if isinstance(value, str) else None
            raise Malformed(
                f"is not one of {', '.join(self.names)} (found {shown(value)})",
                f"did you mean {meant!r}?" if meant else "",
            )
        return value


@attrs.frozen
class Text(Rule):
    """Words, of any number of lines. Where `may_be_none`, an empty text means that there shall be none."""

    longest: int | None = None
    may_be_none: bool = False

    def _read(self, value: Any) -> str | None:
        if not isinstance(value, str):
            raise Malformed(f"is not a text (found {shown(value)})")
        if not value.strip():
            if self.may_be_none:
                return None
            raise Malformed("is an empty text")
        if self.longest is not None and len(value) > self.longest:
            raise Malformed(f"is not a text of up to {self.longest} characters (found {len(value)})")
        # Half of a surrogate pair can be written in JSON and cannot be sent as UTF-8.
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Malformed("has a character that is none (half of a surrogate pair)")
        return value.strip()


@attrs.frozen
class OneLine(Rule):
    """A name: one line of printable characters."""

    longest: int

    def _read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise Malformed(f"is not a text (found {shown(value)})")
        name = value.strip()
        if not name or len(name) > self.longest or not is_printable(name):
            expected = f"one line of up to {self.longest} printable characters"
            raise Malformed(f"is not {expected} (found {len(value)} characters)")
        return name


@attrs.frozen
class Texts(Rule):
    """A list of texts; as a variable or a flag: with commas between them, or as a JSON list."""

    most: int
    item: Rule

    def _read(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise Malformed(f"is not a list of texts (found {shown(value)})")
        if len(value) > self.most:
            raise Malformed(f"is not a list of up to {self.most} texts (found {len(value)})")
        items = []
        for number, each in enumerate(value, 1):
            try:
                items.append(self.item.read(each))
            except Malformed as wrong:
                where = f"has a text, number {number} of its list, that"
                raise Malformed(f"{where} {wrong.wrong}", wrong.fix) from None
        return tuple(items)

    def _from_text(self, text: str) -> Any:
        if not text.startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Malformed("begins with [ and is not a JSON list") from None


@attrs.frozen
class Key(Rule):
    """A key of an account; `secret` ones are kept in a type that does not print."""

    private = True
    secret: bool = True

    def _read(self, value: Any) -> str | Secret:
        if not isinstance(value, str):
            raise Malformed("is not a text")
        key = value.strip()
        shape = f"(found {len(key)} characters)"
        if not key:
            raise Malformed(f"is blank {shape}")
        if any(character.isspace() for character in key):
            raise Malformed(f"has white space in the middle {shape}")
        if not key.isascii() or not key.isprintable():
            raise Malformed(f"has characters that no key has {shape}")
        if key[0] in "\"'<" or re.search(r"(?i)your[_-]?(api|key|secret)|changeme|xxxx", key):
            raise Malformed(f"is a placeholder, not a key {shape}")
        return Secret(key) if self.secret else key
