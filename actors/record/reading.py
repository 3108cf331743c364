"""Reads a record back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import cattrs

from actors.record.codec import MESSAGES, decode
from actors.record.header import FORMAT, VERSION, Header
from actors.record.notes import Ended, Entry
from channels.errors import VoiceAgentError

__all__ = ["Record", "RecordUnreadable", "read_record"]

_PLACE = ("t", "on", "is")


class RecordUnreadable(VoiceAgentError):
    """A file is no record, or a broken one."""


@attrs.frozen
class Record:
    """What a file said."""

    path: Path
    header: Header
    entries: list[Entry]
    """In the order of their times."""
    remarks: list[str]
    """What a person should know about it, one line each."""

    @property
    def length_s(self) -> float:
        """From its beginning to its end."""
        return max((entry.t for entry in self.entries), default=0.0)


def read_record(path: Path) -> Record:
    """Reads a record; one that broke off is read as far as it goes.

    Raises:
        RecordUnreadable: it cannot be read; the text names the line.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordUnreadable(
            f"{path} cannot be read ({error.strerror})", "name a file that --record has written"
        ) from None
    header = _header(path, lines[0])
    entries: list[Entry] = []
    unknown: Counter[str] = Counter()
    remarks: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            if number == len(lines):  # it has no end of line: the writer was stopped in the middle of it
                remarks.append(f"line {number} breaks off, and is left out")
                continue
            raise _broken(path, number, "is not JSON") from None
        entry = _entry(path, number, content, unknown)
        if entry is not None:
            entries.append(entry)
    entries.sort(key=lambda entry: entry.t)
    remarks += [
        f"{count} lines with {name} are from another version, and are left out"
        for name, count in unknown.items()
    ]
    if not any(isinstance(entry.what, Ended) for entry in entries):
        remarks.append("it has no end: the agent was killed, or its disk was full")
    return Record(path, header, entries, remarks)


def _header(path: Path, line: bytes) -> Header:
    try:
        content = json.loads(line)
        if content["format"] != FORMAT:
            raise ValueError
        version = int(content["version"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RecordUnreadable(
            f"line 1 of {path} is not the header of a record", "name a file that --record has written"
        ) from None
    if version > VERSION:
        raise RecordUnreadable(
            f"{path} has version {version} of the format and this project reads up to {VERSION}",
            f"read it with version {content.get('project')} of this project",
        )
    try:
        return _CONVERTER.structure(content, Header)
    except Exception as error:  # cattrs: several kinds, in groups
        raise _broken(path, 1, f"has a header that cannot be read ({_first(error)})") from None


def _entry(path: Path, number: int, content: Any, unknown: Counter[str]) -> Entry | None:
    try:
        t, on, name = float(content["t"]), str(content["on"]), str(content["is"])
    except (KeyError, TypeError, ValueError):
        raise _broken(path, number, "has no t, on and is") from None
    if name not in MESSAGES:
        unknown[name[:80]] += 1
        return None
    try:
        return Entry(t, on, decode(name, {key: value for key, value in content.items() if key not in _PLACE}))
    except Exception as error:  # cattrs: several kinds, in groups
        raise _broken(path, number, f"is no {name} ({_first(error)})") from None


def _broken(path: Path, number: int, what: str) -> RecordUnreadable:
    return RecordUnreadable(f"line {number} of {path} {what}", "take that line out, or record anew")


def _first(error: BaseException) -> str:
    return next(iter(cattrs.transform_error(error)), type(error).__name__)


_CONVERTER = cattrs.Converter()
