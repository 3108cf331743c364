"""Every setting by its path, read off the classes that actors are given, and those classes built again.

A path is what stands in a file: `barge_in.linger_ms`, `session.input.turn_detection.min_silence`. A field
becomes a setting by being marked as one; nothing is listed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import attrs

from channels.settings.room import Settings
from channels.settings.rules import OneLine, Setting

__all__ = ["CATALOGUE", "VARIABLES", "Chosen", "Entry", "build"]

VARIABLES = "variables"
"""Where the values of a template's variables stand; their names are the template's."""

LONGEST_SHOWN = 60

_SHORTER = {"api.session": "session"}
"""The session stands at the top of a file, as on the wire."""

_T = TypeVar("_T")


@attrs.frozen
class Chosen:
    """What a person takes off the shelf."""

    profile: Annotated[str, Setting(OneLine(64))] = "adaptive"
    template: Annotated[str | None, Setting(OneLine(64))] = None


@attrs.frozen
class Entry:
    """A setting."""

    path: str
    setting: Setting
    default: Any
    """None: there is none, or it is not sent."""
    required: bool

    @property
    def env(self) -> str:
        """The name of its environment variable."""
        own = self.path.removeprefix("session.").replace(".", "_").upper()
        return self.setting.env or f"VOICE_AGENT_{own}"

    @property
    def fix(self) -> str:
        """Where to get a right value."""
        if self.setting.fix:
            return self.setting.fix
        match self.default:
            case None:
                return "leave it out for the service's own default"
            case bool() | int() | float():
                return f"leave it out for {str(self.default).lower()}"
            case str(text) if len(text) <= LONGEST_SHOWN:
                return f"leave it out for {text}"
            case _:
                return "leave it out for the usual"


def _entries(kind: type[Any], prefix: str) -> Iterator[Entry]:
    for field, path, hint in _parts(kind, prefix):
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        if marks:
            (mark,) = marks
            required = field.default is attrs.NOTHING and mark.fallback is None
            default = mark.fallback if field.default is attrs.NOTHING else field.default
            yield Entry(path, mark, default, required)
        elif attrs.has(hint):
            yield from _entries(hint, path + ".")


def build(kind: type[_T], values: Mapping[str, Any], prefix: str = "") -> _T:
    """An object of the class, with those of the values that are its own. The rest keeps its default."""
    given: dict[str, Any] = {}
    for field, path, hint in _parts(kind, prefix):
        if path in values:
            given[field.name] = values[path]
        elif get_origin(hint) is None and attrs.has(hint):
            given[field.name] = build(hint, values, path + ".")
    return kind(**given)


def _parts(kind: type[Any], prefix: str) -> Iterator[tuple[attrs.Attribute[Any], str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    for field in attrs.fields(kind):
        path = prefix + field.name
        yield field, _SHORTER.get(path, path), hints[field.name]


CATALOGUE: Mapping[str, Entry] = {
    entry.path: entry for kind in (Chosen, Settings) for entry in _entries(kind, "")
}
"""By path, in the order in which people are told of them."""
