"""What a dispatched job may choose for its room: the JSON in its metadata.

    {"profile": "deliberate", "template": "support", "variables": {"company": "Acme"},
     "voice": "anna", "listen": "mix", "tools": ["library_hours"]}

A template comes with its variables: yours, and a prompt or greeting of your own, then count for nothing.

Whoever dispatches a job may be another program of yours, or somebody else's: what it says is checked like any
setting, and it can choose among what you have, no more. Profiles and templates are names of files in the
folders that you named, never paths; tools are names of functions that you loaded, never code. Accounts,
addresses, files and the agent's own rules are yours alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from channels.errors import SettingsError
from channels.json_text import read_json
from channels.settings.catalogue import VARIABLES
from channels.settings.configuration import Writings
from channels.settings.rules import Malformed, OneLine, Texts, shown
from channels.settings.sources import Origin, Source, Value, flatten, raise_all

__all__ = ["MOST_METADATA", "Job", "read_job"]

MOST_METADATA = 16_384
"""Characters. LiveKit itself sets no limit."""

_WHERE = "the job's metadata"
_FIX = "it may have profile, template, variables, voice, listen and tools"

_PATHS: Mapping[str, str] = {
    "profile": "profile",
    "template": "template",
    "voice": "session.output.voice",
    "listen": "listen.to",
}
"""By the name in the metadata, which is that of the command line's flag."""

_TEXT = OneLine(1000)
_TOOLS = Texts(100, OneLine(100))


_THE_TEMPLATES = ("session.system_prompt", "session.greeting")
"""Paths of what a template says."""


@attrs.frozen
class Job:
    """What a job chooses."""

    chosen: Mapping[str, Value] = attrs.field(factory=dict)
    """By path; not checked yet."""
    tools: frozenset[str] | None = None
    """Names of those that the agent may call; None: all of the owner's."""

    def over(self, writings: Writings, room_name: str) -> Writings:
        """What the owner wrote, with the job's room and its choices above it."""
        own = {
            path: value
            for path, value in writings.written.items()
            if "template" not in self.chosen
            or not (path in _THE_TEMPLATES or path.startswith(f"{VARIABLES}."))
        }
        room = _value("livekit.room_name", room_name, "the job's room")
        return attrs.evolve(writings, written={**own, **self.chosen, room.path: room})


def read_job(metadata: str) -> Job:
    """What the metadata of a job chooses; nothing, if it is empty.

    Raises:
        SettingsError: it is not JSON, or has something that a job does not choose; a line for each.
    """
    if not metadata.strip():
        return Job()
    if len(metadata) > MOST_METADATA:
        raise SettingsError(f"{_WHERE} has {len(metadata)} characters", f"it may have {MOST_METADATA}")
    try:
        table = read_json(metadata, strict=True)
    except (ValueError, RecursionError):
        raise SettingsError(f"{_WHERE} is not JSON", f"write an object; {_FIX}") from None
    if not isinstance(table, dict):
        raise SettingsError(f"{_WHERE} is not an object (found {shown(table)})", _FIX)
    problems: list[SettingsError] = []
    chosen: dict[str, Value] = {}
    tools: frozenset[str] | None = None
    for name, value in flatten(table, (*_PATHS, "tools", VARIABLES), _WHERE, problems, _FIX):
        path = _PATHS.get(name, name)
        try:
            if name == "tools":
                tools = frozenset(_TOOLS.read(value))
            else:
                chosen[path] = _value(path, _TEXT.read(value), f"{name} in {_WHERE}")
        except Malformed as wrong:
            problems.append(SettingsError(f"{name} in {_WHERE} {wrong.wrong}", wrong.fix or _FIX))
    raise_all(problems)
    return Job(chosen, tools)


def _value(path: str, value: str, called: str) -> Value:
    return Value(path, value, Origin(Source.JOB, called))
