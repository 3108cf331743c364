"""Paths that name the room and the time, so that many rooms can share one setting.

`calls/{room}/{time}.jsonl` is a separate file for each room and each of its calls. A room's name comes from
others: anything that could lead out of its folder, or is not allowed in file names everywhere, is escaped.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote

import attrs

from channels.errors import SettingsError

__all__ = ["NamedPath", "PathNames"]

NamedPath: TypeAlias = str | Path
"""A path as configured, which may contain `{room}` and `{time}`."""

_LONGEST_NAME = 100
"""Bytes; file systems take 255 for a whole name."""

_NAME = re.compile(r"\{(\w{1,40})\}")


@attrs.frozen
class PathNames:
    """What the names in a path stand for.

    Args:
        room_name: as LiveKit knows it.
        at: the time that is named.
    """

    room_name: str
    at: datetime = attrs.field(factory=lambda: datetime.now(UTC))

    def path(self, written: NamedPath) -> Path:
        """The path that is meant. Two rooms never share one that names the room.

        Raises:
            SettingsError: it has a name that is not known.
        """

        def value(found: re.Match[str]) -> str:
            match found[1]:
                case "room":
                    return _as_file_name(self.room_name)
                case "time":
                    return self.at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
            raise SettingsError(
                f"the path {str(written)[:200]} has {found[0]} in it, which means nothing",
                "a path may contain {room} and {time}",
            )

        return Path(_NAME.sub(value, str(written)))


def _as_file_name(room_name: str) -> str:
    name = re.sub(r"^\.", "%2E", quote(room_name, safe=" ", errors="surrogatepass"))
    if 0 < len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
