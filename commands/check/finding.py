"""What a check found: one line each, with the fix if something is wrong."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from rich.console import Console
from rich.text import Text

from channels.printable import printable

__all__ = ["Colour", "Finding", "as_json", "exit_code", "print_finding"]


class Colour(enum.Enum):
    """How bad it is."""

    GREEN = "green"
    YELLOW = "yellow"
    """A call works; something about it may not be as it should."""
    RED = "red"
    """No call will work like this."""


_MARKS = {Colour.GREEN: "✓", Colour.YELLOW: "!", Colour.RED: "✗"}


@attrs.frozen
class Finding:
    """What one check found."""

    check: str
    """What was looked at, e.g. `LiveKit key`."""
    colour: Colour
    said: str
    """What was found, without secrets."""
    fix: str = ""
    """What to do about it."""
    measured: Mapping[str, float] = attrs.field(factory=dict)
    """Numbers, by name with unit, e.g. `round_trip_ms`."""


def exit_code(findings: Iterable[Finding]) -> int:
    """0, or 1 if anything is red."""
    return int(any(finding.colour is Colour.RED for finding in findings))


def print_finding(finding: Finding, console: Console) -> None:
    """One line for a person; a second one is the fix."""
    line = Text(f"{_MARKS[finding.colour]} ", style=f"bold {finding.colour.value}")
    line.append(f"{finding.check:<20}", style="bold")
    line.append(f" {printable(finding.said)}")
    if finding.fix and finding.colour is not Colour.GREEN:
        line.append(f"; {printable(finding.fix)}", style="italic")
    console.print(line, soft_wrap=True)


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """All of them as one JSON array, for a machine."""
    return [{**attrs.asdict(finding), "colour": finding.colour.value} for finding in findings]
