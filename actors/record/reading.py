"""Reads a record back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import msgspec

from actors.record.codec import MESSAGES, decode
from actors.record.header import FORMAT, VERSION, Header
from actors.record.notes import Ended, MicrophoneRun, RecordLine, ReplyAudioRun
from actors.record.sound_reference import LONGEST_BYTES
from channels.errors import VoiceAgentError
from channels.json_text import read_json

__all__ = ["Record", "RecordUnreadable", "read_record"]


class _FirstLine(msgspec.Struct):
    """What the first line of every version has."""

    format: str
    version: int
    project: str = ""


class _Place(msgspec.Struct):
    """What every other line says besides its message."""

    t: float
    on: str
    name: str = msgspec.field(name="is")


LONGEST_S = 7 * 24 * 3600.0
"""A week: no call is longer, and a time beyond it is none."""
LARGEST = 1e12
"""Of any number in a message: samples in a week are 1.5e10, the seconds since the epoch 2e9."""


class RecordUnreadable(VoiceAgentError):
    """A file is no record, or a broken one."""


@attrs.frozen
class Record:
    """What a file said."""

    path: Path
    header: Header
    entries: list[RecordLine]
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
    entries: list[RecordLine] = []
    unknown: Counter[str] = Counter()
    remarks: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            content = read_json(line)
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
        content = read_json(line)
        first = msgspec.convert(content, _FirstLine)
        if first.format != FORMAT:
            raise ValueError
    except (msgspec.ValidationError, ValueError, RecursionError):
        raise RecordUnreadable(
            f"line 1 of {path} is not the header of a record", "name a file that --record has written"
        ) from None
    if first.version > VERSION:
        raise RecordUnreadable(
            f"{path} has version {first.version} of the format and this project reads up to {VERSION}",
            f"read it with version {first.project} of this project",
        )
    try:
        return msgspec.convert(content, Header)
    except msgspec.ValidationError as error:
        raise _broken(path, 1, f"has a header that cannot be read ({error})") from None


def _entry(path: Path, number: int, content: Any, unknown: Counter[str]) -> RecordLine | None:
    try:
        place = msgspec.convert(content, _Place)
    except msgspec.ValidationError as error:
        raise _broken(path, number, f"has no t, on and is ({error})") from None
    t, name = place.t, place.name
    if not 0 <= t <= LONGEST_S:
        raise _broken(path, number, f"has a t that is no time in a call ({t:.6g} s)")
    if name not in MESSAGES:
        unknown[name[:80]] += 1
        return None
    try:
        what = decode(name, content)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise _broken(path, number, f"is no {name} ({error})") from None
    for where, value, most in _numbers(what):
        if not abs(value) <= most:  # nor is NaN
            raise _broken(path, number, f"has a number in {where} that cannot be ({value:.6g})")
    return RecordLine(t, place.on, what)


def _numbers(what: Any) -> Iterator[tuple[str, float, float]]:
    """The numbers that somebody reckons with: where each is, it, and how large it may be."""
    for each in attrs.fields(type(what)):
        value = getattr(what, each.name)
        if attrs.has(type(value)):
            yield from _numbers(value)
        elif isinstance(value, int | float):
            # A whole number need not fit into a float.
            large = float(min(abs(value), 2 * LARGEST)) if isinstance(value, int) else value
            yield each.name, large, LONGEST_S if each.name in ("at", "since") else LARGEST
    sound: tuple[tuple[float, int, int | None], ...] = ()
    match what:
        case ReplyAudioRun(pieces=pieces):
            sound = pieces
        case MicrophoneRun(frames=frames):
            sound = tuple((at, 2 * count, 2 * first) for at, first, count in frames)
    for at, length, place in sound:
        yield "a time of its sound", at, LONGEST_S
        yield "a length of its sound", _if_negative(length, math.inf), LONGEST_BYTES
        yield "a place of its sound", _if_negative(place or 0, math.inf), LARGEST


def _if_negative(value: int, instead: float) -> float:
    return instead if value < 0 else float(min(value, int(2 * LARGEST)))


def _broken(path: Path, number: int, what: str) -> RecordUnreadable:
    return RecordUnreadable(f"line {number} of {path} {what}", "take that line out, or record anew")
