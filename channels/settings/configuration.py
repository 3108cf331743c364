"""All settings together: which value is in force, where it comes from, and what is wrong.

In rising order of precedence: the default, the profile, the template, the configuration file, `.env`, the
environment, flags, a dispatched job (`channels.settings.job`). A field of its own overrides the profile,
wherever the profile was named.

Reading is all or nothing: everything that is missing or wrong is reported in one go, each in one line that
names it, says what was found (never a secret) and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import attrs

from channels.errors import SettingsError
from channels.settings.accounts import Accounts, LiveKitAccount
from channels.settings.catalogue import CATALOGUE, VARIABLES, WORKER, Setting, build
from channels.settings.consistency import inconsistencies
from channels.settings.health import HealthSettings
from channels.settings.profiles import OUR_FOLDER, Profile, files_of, read_profiles, wire_updates
from channels.settings.prompts import Template, read_template
from channels.settings.room import FrontEndSettings, Settings, ToolSettings
from channels.settings.rules import Malformed, nearest, shown
from channels.settings.short_words import ShortWords
from channels.settings.short_words_file import read_short_words
from channels.settings.sources import (
    Origin,
    Source,
    Value,
    from_environment,
    from_file,
    raise_all,
)
from channels.settings.voices import VoiceMatrix, read_voices
from channels.settings.worker import WorkerSettings

__all__ = ["ACCOUNT", "LIVEKIT_ACCOUNT", "Configuration", "Writings", "gather", "read_configuration"]

LIVEKIT_ACCOUNT = ("livekit.url", "livekit.api_key", "livekit.api_secret")
ACCOUNT = (*LIVEKIT_ACCOUNT, "api.api_key")


@attrs.frozen
class Writings:
    """What was written anywhere, not checked yet."""

    written: Mapping[str, Value]
    problems: tuple[SettingsError, ...]
    folders: tuple[Path, ...]
    """Where profiles, templates, voices and words are looked for: ours, and the configuration file's."""

    @property
    def name_an_account(self) -> bool:
        """Whether any part of an account is set up; without one, everything runs on this machine."""
        return any(path in self.written for path in ACCOUNT)

    @property
    def variables(self) -> dict[str, Value]:
        """Values of a template's variables, by name."""
        prefix = f"{VARIABLES}."
        return {
            path.removeprefix(prefix): each for path, each in self.written.items() if path.startswith(prefix)
        }


@attrs.frozen
class Configuration:
    """What is in force."""

    values: Mapping[str, Value]
    """By path. What is not in it is not set, and has no default."""
    variables: Mapping[str, Value]
    """Of the template, by name."""
    profile: Profile
    profiles: Mapping[str, Profile]
    matrix: VoiceMatrix
    short_words: Mapping[str, ShortWords]
    """By language."""

    @property
    def room_name(self) -> str:
        """The room to serve."""
        return str(self.values["livekit.room_name"].value)

    def accounts(self) -> Accounts:
        """The accounts, if `ACCOUNT` was required."""
        return build(Accounts, self._plain())

    def livekit(self) -> LiveKitAccount:
        """The LiveKit server, if `LIVEKIT_ACCOUNT` was required."""
        return build(LiveKitAccount, self._plain(), "livekit.")

    def tools(self) -> ToolSettings:
        """Which tools there are to be loaded."""
        return build(ToolSettings, self._plain(), "tools.")

    def health(self) -> HealthSettings:
        """Where the process tells of its health."""
        return build(HealthSettings, self._plain(), "health.")

    def worker(self) -> WorkerSettings:
        """For which jobs of LiveKit's dispatch a worker is there."""
        return build(WorkerSettings, self._plain(), WORKER)

    def settings(self) -> Settings:
        """All that a room needs besides the accounts."""
        front_end = FrontEndSettings(
            () if "session.agent_id" in self.values else self.matrix.served,
            self.profile.name,
            wire_updates(self.profiles),
            {profile.name: profile.description for profile in self.profiles.values() if profile.description},
        )
        plain = self._plain()
        return build(Settings, {**plain, "front_end": front_end, "short_words": self.short_words})

    def _plain(self) -> dict[str, Any]:
        return {path: value.value for path, value in self.values.items()}


def gather(
    config: Path | None,
    environ: Mapping[str, str],
    dotenv: Path,
    flags: Mapping[str, Value],
    warn: Callable[[str], None],
) -> Writings:
    """What a configuration file, `.env`, the environment and flags say.

    Raises:
        SettingsError: one of the files cannot be read.
    """
    in_file, problems = from_file(config) if config is not None else ({}, [])
    written = {**in_file, **from_environment(environ, dotenv, warn), **flags}
    return Writings(
        written, tuple(problems), (OUR_FOLDER,) if config is None else (OUR_FOLDER, config.resolve().parent)
    )


def read_configuration(
    writings: Writings, warn: Callable[[str], None], *, required: Collection[str] = ()
) -> Configuration:
    """Checks everything that was written.

    Args:
        writings: what `gather` found.
        warn: is told what is odd, and what was fixed on the way, one line at a time.
        required: paths of what cannot be left out.

    Raises:
        SettingsError: something is missing or wrong; its text has one line for each.
    """
    problems = list(writings.problems)
    own: dict[str, Value] = {}
    for path, setting in CATALOGUE.items():
        written = writings.written.get(path)
        if written is None:
            if path in required:
                problems.append(SettingsError(f"{setting.env} is not set", setting.fix))
            continue
        try:
            own[path] = attrs.evolve(written, value=_checked(setting, written, warn))
        except Malformed as wrong:
            problems.append(SettingsError(f"{written.called} {wrong.wrong}", wrong.fix or setting.fix))

    defaults = {
        path: Value(path, setting.default, Origin(Source.DEFAULT))
        for path, setting in CATALOGUE.items()
        if setting.default is not None and not (path.startswith("session.") and "session.agent_id" in own)
    }
    chosen = {**defaults, **own}
    profiles = _collect(problems, lambda: read_profiles(writings.folders)) or {}
    profile = _named("profile", chosen["profile"], profiles, problems)
    templates = files_of(writings.folders, "prompts")
    file = _named("template", chosen["template"], templates, problems) if "template" in chosen else None
    template = _collect(problems, lambda: read_template(file.stem, file)) if file is not None else None
    matrix = _collect(problems, lambda: read_voices(writings.folders))
    short_words: Mapping[str, ShortWords] | None = None
    if matrix is not None:
        understood = matrix.understood
        short_words = _collect(problems, lambda: read_short_words(writings.folders, understood))
    variables = writings.variables
    filled = _filled(template, variables, own, problems, warn)
    values = {
        **defaults,
        **(_from(Origin(Source.PROFILE, profile.name), profile.values) if profile else {}),
        **(_from(Origin(Source.TEMPLATE, template.name), filled) if template else {}),
        **own,
    }
    values = {path: values[path] for path in CATALOGUE if path in values}
    if matrix is not None:
        problems += inconsistencies(values, matrix, template, warn)
    raise_all(problems)
    assert profile is not None
    assert matrix is not None
    return Configuration(values, variables, profile, profiles, matrix, short_words or {})


def _checked(setting: Setting, written: Value, warn: Callable[[str], None]) -> Any:
    if not written.is_text:
        return setting.rule.read(written.value)
    stripped = written.value.strip()
    if stripped != written.value:
        warn(f"{written.called} has white space around it, which was left out")
    return setting.rule.parse(stripped)


def _from(origin: Origin, values: Mapping[str, Any]) -> dict[str, Value]:
    return {path: Value(path, value, origin) for path, value in values.items()}


def _filled(
    template: Template | None,
    variables: Mapping[str, Value],
    own: Mapping[str, Value],
    problems: list[SettingsError],
    warn: Callable[[str], None],
) -> dict[str, str]:
    if template is None:
        for each in variables.values():
            warn(f"{each.called} is not used, since no template is")
        return {}
    prompt = own.get("session.system_prompt")
    if prompt is not None:
        warn(f"{prompt.called} takes the place of the template {template.name}, and of its guardrails")
    return _collect(problems, lambda: template.fill(variables)) or {}


def _named(kind: str, chosen: Value, known: Mapping[str, Any], problems: list[SettingsError]) -> Any:
    if chosen.value in known:
        return known[chosen.value]
    if known:
        meant = nearest(chosen.value, known)
        there_are = f"there are {', '.join(sorted(known))}"
        problems.append(
            SettingsError(
                f"{chosen.called} names no {kind} (found {shown(chosen.value)})",
                f"did you mean {meant!r}? Else, {there_are}" if meant else there_are,
            )
        )
    return None


def _collect(problems: list[SettingsError], read: Callable[[], Any]) -> Any:
    """What is read, or None with its problem added to the others."""
    try:
        return read()
    except SettingsError as problem:
        problems.append(problem)
        return None
