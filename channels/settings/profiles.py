"""Profiles: named ways of hearing a person, as files that people copy and change.

A profile is a TOML file with a `description` and fields of the session's `input` that may change in
mid-call. Ours stand in `profiles/`; a folder of that name beside the user's configuration file adds to
them, or puts another in the place of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from channels.errors import SettingsError
from channels.settings.catalogue import CATALOGUE
from channels.settings.rules import OneLine, Rule
from channels.settings.sources import raise_all, read_by, read_table

__all__ = ["OUR_FOLDER", "Profile", "files_of", "read_profiles", "wire_updates"]

OUR_FOLDER = Path(__file__).resolve().parents[2]

_RULES: Mapping[str, Rule] = {
    "description": OneLine(200),
    **{
        path.removeprefix("session."): setting.rule
        for path, setting in CATALOGUE.items()
        if path.startswith("session.input.") and setting.rule.mutable
    },
}

_TURNS = "session.input.turn_detection."


@attrs.frozen
class Profile:
    """A way of hearing a person."""

    name: str
    description: str
    values: Mapping[str, Any]
    """By path, as `session.input.turn_detection.min_silence`. None at all: the service adapts by itself."""


def files_of(folders: Iterable[Path], name: str) -> dict[str, Path]:
    """The TOML files in the subfolder `name` of each folder, by stem; a later folder's come first."""
    files = [path for folder in folders for path in sorted((folder / name).glob("*.toml"))]
    return {path.stem: path for path in files}


def read_profiles(folders: Iterable[Path]) -> dict[str, Profile]:
    """All profiles by name.

    Raises:
        SettingsError: one of them has something that a profile cannot have.
    """
    problems: list[SettingsError] = []
    profiles = {}
    for name, path in files_of(folders, "profiles").items():
        try:
            table = read_table(path)
        except SettingsError as problem:
            problems.append(problem)
            continue
        where = f"profile {path.name}"
        values = read_by(_RULES, table, where, problems, "see our profiles/standard.toml")
        description = values.pop("description", "")
        profiles[name] = Profile(name, description, {f"session.{each}": values[each] for each in values})
    raise_all(problems)
    return profiles


def wire_updates(profiles: Mapping[str, Profile]) -> dict[str, tuple[dict[str, Any], ...]]:
    """The `session` objects of the updates that change to each profile in mid-call, in their order.

    The service merges updates, so what another profile may have set is unset by null. Turn detection can be
    unset as a whole only, which makes the service adaptive again: if some of it is to go and some to stay,
    that takes two updates.
    """
    everything = {path for profile in profiles.values() for path in profile.values}
    turns = {path for path in everything if path.startswith(_TURNS)}
    updates: dict[str, tuple[dict[str, Any], ...]] = {}
    for profile in profiles.values():
        own = {path: _plain(value) for path, value in profile.values.items()}
        unset = dict.fromkeys(everything - turns - own.keys())
        if turns & own.keys() and turns - own.keys():
            updates[profile.name] = ({"input": {"turn_detection": None}}, _tables({**unset, **own}))
        else:
            adaptive = {} if turns & own.keys() else {_TURNS.rstrip("."): None}
            updates[profile.name] = (_tables({**unset, **adaptive, **own}),)
    return updates


def _tables(values: Mapping[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for path in sorted(values):
        _, *tables, name = path.split(".")
        table = content
        for each in tables:
            table = table.setdefault(each, {})
        table[name] = values[path]
    return content


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
