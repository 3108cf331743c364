"""What people wrote, and where: a file, `.env`, the environment, flags, a job. Each wins over those before.

Nothing is checked here but where a value stands: that there is such a setting, and that no secret stands
in a file that is meant to be shared.
"""

from __future__ import annotations

import enum
import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from channels.errors import SettingsError
from channels.program import COMMAND
from channels.settings.catalogue import CATALOGUE, VARIABLES
from channels.settings.dotenv import read_dotenv, unquoted
from channels.settings.rules import Malformed, Rule, nearest, shown

__all__ = [
    "Origin",
    "Source",
    "Value",
    "flatten",
    "from_environment",
    "from_file",
    "from_flags",
    "raise_all",
    "read_by",
    "read_table",
]

LISTED = f"`{COMMAND} config` lists them all"
VARIABLE_PREFIX = "VOICE_AGENT_VAR_"

_ELSEWHERE = {
    "session.tools": "tools are Python functions; name their files in tools.modules",
    "session.llm": "the service takes a model of one's own from a stored agent only; name one in agent_id",
    "session.pre_connect_requests": "the service takes them from a stored agent only; name one in agent_id",
}


_FORMERLY = {"LISTEN": "VOICE_AGENT_LISTEN"}
"""Names without our prefix. In a `.env` they are ours; in the environment they may be anybody's."""


class Source(enum.Enum):
    """Where a value comes from."""

    DEFAULT = "default"
    PROFILE = "profile"
    TEMPLATE = "template"
    FILE = "file"
    DOTENV = ".env"
    ENVIRONMENT = "environment"
    FLAG = "flag"
    JOB = "job"


@attrs.frozen
class Origin:
    """Where a value comes from, exactly: the profile's name, the file's, the variable's, the flag's."""

    source: Source
    name: str = ""

    def __str__(self) -> str:
        match self.source:
            case Source.FILE | Source.FLAG | Source.JOB:
                return self.name
            case Source.DEFAULT:
                return "default"
            case _:
                return f"{self.source.value} {self.name}"


@attrs.frozen
class Value:
    """A value of a setting: as somebody wrote it, or, once it was checked, as it is in force."""

    path: str
    value: Any = attrs.field(repr=False)
    origin: Origin

    @property
    def called(self) -> str:
        """The setting, by the name under which it stands there."""
        match self.origin.source:
            case Source.DEFAULT:
                return self.path
            case Source.FILE:
                return f"{self.path} in {self.origin.name}"
            case Source.PROFILE | Source.TEMPLATE:
                return f"{self.path} ({self.origin})"
            case _:
                return self.origin.name

    @property
    def is_text(self) -> bool:
        """Whether it was written where there is only text."""
        return self.origin.source in {Source.DOTENV, Source.ENVIRONMENT, Source.FLAG, Source.JOB}


def from_file(path: Path) -> tuple[dict[str, Value], list[SettingsError]]:
    """What a TOML or JSON file says, by path, and what is wrong with where it says it.

    Raises:
        SettingsError: the file is not there, or is neither TOML nor JSON.
    """
    problems: list[SettingsError] = []
    origin = Origin(Source.FILE, path.name)
    found: dict[str, Value] = {}
    for place, value in flatten(read_table(path), (*CATALOGUE, VARIABLES), path.name, problems, LISTED):
        found[place] = Value(place, value, origin)
        if place in CATALOGUE and CATALOGUE[place].rule.private:
            # Such a file is made to be shared and kept with the code; an account is not.
            what = f"{found.pop(place).called} belongs to your account, and that file is meant to be shared"
            problems.append(SettingsError(what, f"put it into .env as {CATALOGUE[place].env}"))
    return found, problems


def from_environment(
    environ: Mapping[str, str], dotenv: Path, warn: Callable[[str], None]
) -> dict[str, Value]:
    """What the environment and the `.env` file say. Empty or blank means not set.

    Raises:
        SettingsError: the `.env` file is there and cannot be read.
    """
    paths = {setting.env: setting.path for setting in CATALOGUE.values()}
    found: dict[str, Value] = {}
    for source, values in ((Source.DOTENV, read_dotenv(dotenv, warn)), (Source.ENVIRONMENT, environ)):
        for name, value in values.items():
            path = paths.get(name)
            if name.startswith(VARIABLE_PREFIX):
                path = f"{VARIABLES}.{name.removeprefix(VARIABLE_PREFIX).lower()}"
            if value is None or not value.strip():
                continue  # what is blank in the environment does not hide what the file says
            if path is not None:
                bare = unquoted(value) if source is Source.ENVIRONMENT else value
                if bare != value:
                    warn(f"{name} has quotes around it, which were left out")
                if bare.strip():
                    found[path] = Value(path, bare, Origin(source, name))
            elif source is Source.DOTENV and name in _FORMERLY:
                warn(f"{name} is no setting; did you mean {_FORMERLY[name]}?")
            elif name.startswith("VOICE_AGENT_"):
                meant = nearest(name, paths)
                warn(f"{name} is no setting" + (f"; did you mean {meant}?" if meant else " and is not used"))
    return found


def from_flags(flags: Iterable[tuple[str, str, str]], assignments: Iterable[str]) -> dict[str, Value]:
    """What the command line says, by path.

    Args:
        flags: those that have a name of their own: the name, the path it stands for, and the value.
        assignments: those of `--set`, as `PATH=VALUE`.

    Raises:
        SettingsError: there is no such setting, or it does not belong on a command line.
    """
    found = {path: Value(path, value, Origin(Source.FLAG, flag)) for flag, path, value in flags}
    problems: list[SettingsError] = []
    for assignment in assignments:
        path, equals, value = (part.strip() for part in assignment.partition("="))
        flag = f"--set {path}"
        if path not in CATALOGUE:
            problems.append(_unknown(path, CATALOGUE, "--set", LISTED))
        elif CATALOGUE[path].rule.private:
            what = f"{flag} would show it to everybody who lists the processes of this machine"
            problems.append(SettingsError(what, f"put it into .env as {CATALOGUE[path].env}"))
        elif not equals:
            problems.append(SettingsError(f"{flag} gives no value", "write --set PATH=VALUE"))
        else:
            found[path] = Value(path, value, Origin(Source.FLAG, flag))
    raise_all(problems)
    return found


def read_table(path: Path) -> dict[str, Any]:
    """The content of a TOML or JSON file.

    Raises:
        SettingsError: it is not there, or not readable.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(f"there is no file {path}", "check the name and the folder") from None
    except IsADirectoryError:
        raise SettingsError(f"{path} is a folder", "name the file in it") from None
    except (OSError, UnicodeError):
        raise SettingsError(f"{path} cannot be read", "save it as plain text in UTF-8") from None
    language = "JSON" if path.suffix == ".json" else "TOML"
    try:
        content = json.loads(text) if language == "JSON" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        where = re.search(r"line \d+,? column \d+", str(error))
        raise SettingsError(
            f"{path} is not {language}" + (f" ({where.group()})" if where else ""), "fix it there"
        ) from None
    if not isinstance(content, dict):
        raise SettingsError(f"{path} is not a table of settings", 'write {"session": {…}}')
    return content


def read_by(
    rules: Mapping[str, Rule], table: Mapping[str, Any], where: str, problems: list[SettingsError], fix: str
) -> dict[str, Any]:
    """The values of a table by path, each as its rule has it. What is wrong is added to the problems.

    `fix` is what to do where nothing better is known.
    """
    values: dict[str, Any] = {}
    for path, value in flatten(table, rules, where, problems, fix):
        try:
            values[path] = rules[path].read(value)
        except Malformed as wrong:
            problems.append(SettingsError(f"{path} in {where} {wrong.wrong}", wrong.fix or fix))
    return values


def flatten(
    table: Mapping[str, Any],
    known: Collection[str],
    where: str,
    problems: list[SettingsError],
    fix: str,
    prefix: str = "",
) -> Iterator[tuple[str, Any]]:
    """The values of nested tables by path. What has no place among the `known` is added to the problems."""
    for name, value in table.items():
        path = prefix + name
        if (path in known and path != VARIABLES) or prefix == f"{VARIABLES}.":
            yield path, value
        elif path in known or any(each.startswith(f"{path}.") for each in known):
            if isinstance(value, dict):
                yield from flatten(value, known, where, problems, fix, path + ".")
            else:
                what = f"{path} in {where} is not a table (found {shown(value)})"
                problems.append(SettingsError(what, f"write [{path}] above its settings"))
        else:
            problems.append(_unknown(path, known, where, fix))


def _unknown(path: str, known: Collection[str], where: str, fix: str) -> SettingsError:
    name = path if len(path) <= 80 and path.isprintable() else f"a name of {len(path)} characters"
    what = f"there is no setting {name} (in {where})"
    if path in _ELSEWHERE:
        return SettingsError(what, _ELSEWHERE[path])
    tables = {each[:at] for each in known for at, character in enumerate(each) if character == "."}
    places = [*known, *sorted(tables)]
    meant = nearest(path, places)
    if meant is None:  # the right name in the wrong place
        meant = next((each for each in places if each.rpartition(".")[2] == path.rpartition(".")[2]), None)
    return SettingsError(what, f"did you mean {meant}?" if meant else fix)


def raise_all(problems: list[SettingsError]) -> None:
    """Raises one error whose text has a line for each problem, if there is any."""
    if problems:
        *others, last = problems
        raise SettingsError("".join(f"{other}\n" for other in others) + last.what, last.fix)
