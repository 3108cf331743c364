"""Every setting by its path, read off the classes that actors are given, and those classes built again.

A path is what stands in a file: `barge_in.linger_ms`, `session.input.turn_detection.min_silence`. A field
becomes a setting by being annotated with a rule; nothing is listed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import attrs

from channels.settings.accounts import Accounts
from channels.settings.health import HealthSettings
from channels.settings.room import Settings
from channels.settings.rules import OneLine, Rule
from channels.settings.worker import WorkerSettings

__all__ = ["CATALOGUE", "VARIABLES", "WORKER", "Setting", "build", "rules_of"]

VARIABLES = "variables"
"""Where the values of a template's variables stand; their names are the template's."""

WORKER = "worker."
"""What the paths of a worker's settings begin with."""

LONGEST_SHOWN = 60

_WRITTEN = {
    "room_name": "livekit.room_name",
    "api.session": "session",
    "api.webhook": "session.webhook",
}
"""Paths that people write differently from the classes. In a file, all of the session is together."""

_T = TypeVar("_T")


@attrs.frozen
class Chosen:
    """Files that come with the agent, or stand beside yours, by name."""

    profile: Annotated[str, OneLine(64)] = "adaptive"
    """How turns are taken."""
    template: Annotated[str | None, OneLine(64)] = None
    """A system prompt, whose gaps the table `variables` fills."""


@attrs.frozen
class Setting:
    """What a person can set."""

    path: str
    rule: Rule
    default: Any
    """None: there is none, or it is not sent."""
    declared_in: type[Any]
    """The class that has the field; its docstring, or the field's, says what the setting does."""

    @property
    def env(self) -> str:
        """The name of its environment variable."""
        own = self.path.removeprefix("session.").replace(".", "_").upper()
        return self.rule.env or f"VOICE_AGENT_{own}"

    @property
    def fix(self) -> str:
        """What to do about a wrong value, or about none."""
        match self.default:
            case None if self.rule.fix:
                return self.rule.fix
            case None if self.path.startswith("session."):
                usual = "the service's own default"
            case None | ():
                usual = "none"
            case bool() | int():
                usual = str(self.default).lower()
            case float():
                usual = f"{self.default:g}"
            case str(text) if len(text) <= LONGEST_SHOWN:
                usual = text
            case _:
                usual = "the usual"
        return "; ".join(filter(None, (f"leave it out for {usual}", self.rule.fix)))


def settings_of(kind: type[Any], prefix: str = "") -> Iterator[Setting]:
    """The fields of a class, and of those within it, that have a rule."""
    for field, path, hint in _fields(kind, prefix):
        if get_origin(hint) is Annotated:
            default = None if field.default is attrs.NOTHING else field.default
            yield Setting(path, get_args(hint)[1], default, kind)
        elif attrs.has(hint):
            yield from settings_of(hint, path + ".")


def rules_of(kind: type[Any]) -> dict[str, Rule]:
    """The rules of a class by path."""
    return {setting.path: setting.rule for setting in settings_of(kind)}


def build(kind: type[_T], values: Mapping[str, Any], prefix: str = "") -> _T:
    """An object of the class, with those of the values that are its own. The rest keeps its default."""
    given: dict[str, Any] = {}
    for field, path, hint in _fields(kind, prefix):
        if path in values:
            given[field.name] = values[path]
        elif get_origin(hint) is None and attrs.has(hint):
            given[field.name] = build(hint, values, path + ".")
    return kind(**given)


def _fields(kind: type[Any], prefix: str) -> Iterator[tuple[attrs.Attribute[Any], str, Any]]:
    hints = get_type_hints(kind, include_extras=True)
    for field in attrs.fields(kind):
        path = prefix + field.name
        yield field, _WRITTEN.get(path, path), hints[field.name]


def _all_settings() -> Iterator[Setting]:
    """Those of all classes, with the settings of one table of a file side by side."""
    settings = [setting for kind in (Chosen, Accounts, Settings) for setting in settings_of(kind)]
    settings += settings_of(HealthSettings, "health.")
    settings += settings_of(WorkerSettings, WORKER)
    tables = list(dict.fromkeys(_table(setting) for setting in settings))
    yield from sorted(settings, key=lambda setting: tables.index(_table(setting)))


def _table(setting: Setting) -> str:
    return setting.path.partition(".")[0]


CATALOGUE: Mapping[str, Setting] = {setting.path: setting for setting in _all_settings()}
"""By path, in the order in which people are told of them."""
