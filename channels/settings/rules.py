"""What a setting may be: its type, its range with the unit, and how a value of it is read.

A rule reads a value in two manners: `read` takes it as a file has it (a number, a list), `parse` takes the
text of an environment variable or a flag. Both give the value or raise `Malformed`, whose text says what
was expected and what was found, and quotes nothing that may be a secret in the wrong place.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any, Protocol

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
    "Setting",
    "Text",
    "Texts",
    "Whole",
    "nearest",
    "shown",
]

_LONGEST_SHOWN = 20
"""Characters of a wrong value that are shown. Keys are longer; a mistyped name or number is not."""


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


class Rule(Protocol):
    """What a setting may be."""

    def read(self, value: Any) -> Any:
        """The value, from what a file has.

        Raises:
            Malformed: it is of another type, or out of range.
        """

    def parse(self, text: str) -> Any:
        """The value, from the text of a variable or a flag.

        Raises:
            Malformed: as `read`.
        """


@attrs.frozen
class Setting:
    """Marks a field as one that people can set: `vad_threshold: Annotated[float | None, Setting(…)] = None`.

    Args:
        rule: what it may be.
        env: name of its environment variable; None derives one from its path.
        fix: where to get a right value.
        fallback: when nobody sets it, for a field that has no default of its own.
        mutable: whether the service lets it change in mid-call.
        private: belongs to one account, so that it is read from the environment and `.env` only.
    """

    rule: Rule
    env: str | None = None
    fix: str = ""
    fallback: Any = None
    mutable: bool = attrs.field(default=False, kw_only=True)
    private: bool = attrs.field(default=False, kw_only=True)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The right spelling that was probably meant."""
    by_folded = {each.casefold(): each for each in names}
    folded = name.casefold()[:80]
    found = difflib.get_close_matches(folded, by_folded, n=1, cutoff=0.6)
    longer = [each for each in by_folded if len(folded) > 2 and each.startswith(folded)]
    return by_folded[[*found, *longer][0]] if found or len(longer) == 1 else None


def shown(value: Any) -> str:
    """A wrong value, as far as it can be shown."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            # Python refuses to print a number of thousands of digits.
            return str(value) if abs(value) < 1e20 or isinstance(value, float) else "a very long number"
        case str():
            small = len(value) <= _LONGEST_SHOWN and value.isprintable()
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
class Whole:
    """A whole number within limits, both included."""

    low: int
    high: int
    unit: str

    def read(self, value: Any) -> int:
        """As `Rule.read`."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise Malformed(f"is not {self._expected} (found {shown(value)})")
        return value

    def parse(self, text: str) -> int:
        """As `Rule.parse`."""
        # A number that is longer may be a secret in the wrong line, and int() takes its time.
        if not re.fullmatch("-?[0-9]{1,8}", text):
            raise Malformed(f"is not {self._expected} (found {_shown_number(text)})")
        return self.read(int(text))

    @property
    def _expected(self) -> str:
        if self.low == self.high:
            return f"{self.low} {self.unit}, the only possible value"
        return f"a whole number of {self.unit} from {self.low} to {self.high}"


@attrs.frozen
class Number:
    """A number within limits, both included."""

    low: float
    high: float

    def read(self, value: Any) -> float:
        """As `Rule.read`."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not self.low <= value <= self.high:  # false for NaN too
            raise Malformed(f"is not {self._expected} (found {shown(value)})")
        return float(value)

    def parse(self, text: str) -> float:
        """As `Rule.parse`."""
        if not re.fullmatch(r"-?[0-9]{1,8}(\.[0-9]{1,17})?", text):
            raise Malformed(f"is not {self._expected} (found {_shown_number(text)})")
        return self.read(float(text))

    @property
    def _expected(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"


@attrs.frozen
class Flag:
    """True or false."""

    def read(self, value: Any) -> bool:
        """As `Rule.read`."""
        if not isinstance(value, bool):
            raise Malformed(f"is neither true nor false (found {shown(value)})")
        return value

    def parse(self, text: str) -> bool:
        """As `Rule.parse`."""
        words = {"true": True, "yes": True, "on": True, "1": True}
        words |= {"false": False, "no": False, "off": False, "0": False}
        if text.lower() not in words:
            raise Malformed(f"is neither true nor false (found {shown(text)})")
        return words[text.lower()]


@attrs.frozen
class Choice:
    """One of a few names."""

    names: tuple[str, ...]

    def read(self, value: Any) -> str:
        """As `Rule.read`."""
        if not isinstance(value, str) or value not in self.names:
            meant = nearest(value, self.names) if isinstance(value, str) else None
            raise Malformed(
                f"is not one of {', '.join(self.names)} (found {shown(value)})",
                f"did you mean {meant!r}?" if meant else "",
            )
        return value

    def parse(self, text: str) -> str:
        """As `Rule.parse`."""
        return self.read(text)


@attrs.frozen
class Text:
    """Words, of any number of lines. Where `may_be_none`, an empty text means that there shall be none."""

    longest: int | None = None
    may_be_none: bool = False

    def read(self, value: Any) -> str | None:
        """As `Rule.read`."""
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

    def parse(self, text: str) -> str | None:
        """As `Rule.parse`."""
        return self.read(text)


@attrs.frozen
class OneLine:
    """A name: one line of printable characters."""

    longest: int

    def read(self, value: Any) -> str:
        """As `Rule.read`."""
        if not isinstance(value, str):
            raise Malformed(f"is not a text (found {shown(value)})")
        name = value.strip()
        if not name or len(name) > self.longest or not is_printable(name):
            expected = f"one line of up to {self.longest} printable characters"
            raise Malformed(f"is not {expected} (found {len(value)} characters)")
        return name

    def parse(self, text: str) -> str:
        """As `Rule.parse`."""
        return self.read(text)


@attrs.frozen
class Texts:
    """A list of texts; as a variable or a flag: with commas between them, or as a JSON list."""

    most: int
    longest: int
    among: tuple[str, ...] = ()

    def read(self, value: Any) -> tuple[str, ...]:
        """As `Rule.read`."""
        if not isinstance(value, list):
            raise Malformed(f"is not a list of texts (found {shown(value)})")
        if len(value) > self.most:
            raise Malformed(f"is not a list of up to {self.most} texts (found {len(value)})")
        item = Choice(self.among) if self.among else OneLine(self.longest)
        items = []
        for number, each in enumerate(value, 1):
            try:
                items.append(item.read(each))
            except Malformed as wrong:
                where = f"has a text, number {number} of its list, that"
                raise Malformed(f"{where} {wrong.wrong}", wrong.fix) from None
        return tuple(items)

    def parse(self, text: str) -> tuple[str, ...]:
        """As `Rule.parse`."""
        if not text.startswith("["):
            return self.read([part.strip() for part in text.split(",") if part.strip()])
        try:
            return self.read(json.loads(text))
        except (ValueError, RecursionError):
            raise Malformed("begins with [ and is not a JSON list") from None


@attrs.frozen
class Key:
    """A key of an account; `secret` ones are kept in a type that does not print."""

    secret: bool = True

    def read(self, value: Any) -> str | Secret:
        """As `Rule.read`."""
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

    def parse(self, text: str) -> str | Secret:
        """As `Rule.parse`."""
        return self.read(text)


def _shown_number(text: str) -> str:
    # What is longer than a number may be a secret in the wrong line.
    return repr(text) if len(text) <= 8 else f"{len(text)} characters"
