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
from channels.settings.rules import Malformed, OneLine
from channels.settings.sources import flatten, raise_all, read_table

__all__ = ["OUR_FOLDER", "Profile", "files_of", "read_profiles", "wire_updates"]

OUR_FOLDER = Path(__file__).resolve().parents[2]

_ALLOWED = tuple(
    path.removeprefix("session.")
    for path, entry in CATALOGUE.items()
    if path.startswith("session.input.") and entry.setting.mutable
)


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
        values: dict[str, Any] = {}
        description = ""
        for place, value in flatten(table, ("description", *_ALLOWED), where, problems):
            try:
                if place == "description":
                    description = OneLine(200).read(value)
                else:
                    values[f"session.{place}"] = CATALOGUE[f"session.{place}"].setting.rule.read(value)
            except Malformed as wrong:
                problems.append(SettingsError(f"{place} in {where} {wrong.wrong}", wrong.mend or "mend it"))
        profiles[name] = Profile(name, description, values)
    raise_all(problems)
    return profiles


def wire_updates(profiles: Mapping[str, Profile]) -> dict[str, dict[str, Any]]:
    """The `session` of the update that changes to each profile in mid-call.

    The service merges updates, so what another profile may have set is unset by null; a profile without
    turn detection unsets it as a whole, which makes the service adaptive again.
    """
    everything = {path for profile in profiles.values() for path in profile.values}
    updates: dict[str, dict[str, Any]] = {}
    for profile in profiles.values():
        update: dict[str, Any] = {}
        for path in sorted(everything):
            value = profile.values.get(path)
            _place(update, path.split(".")[1:], list(value) if isinstance(value, tuple) else value)
        hearing = update.get("input", {})
        if not any(value is not None for value in (hearing.get("turn_detection") or {}).values()):
            hearing["turn_detection"] = None
        updates[profile.name] = {"input": hearing}
    return updates


def _place(table: dict[str, Any], path: list[str], value: Any) -> None:
    *tables, name = path
    for each in tables:
        table = table.setdefault(each, {})
    table[name] = value
