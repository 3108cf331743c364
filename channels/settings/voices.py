"""The voice matrix: which voices there are and were, what they speak, and what is understood.

Ours is `voices.toml` beside this module; one beside the user's configuration file adds to it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from channels.errors import SettingsError
from channels.settings.rules import nearest, shown
from channels.settings.sources import raise_all, read_table

__all__ = ["Era", "Language", "Voice", "VoiceMatrix", "read_voices"]

VOICES = Path(__file__).with_name("voices.toml")
DEFAULT = "alba"
"""The service's, where a session names none."""

_T = TypeVar("_T")


class Era(enum.Enum):
    """How a voice stands with the service."""

    CURRENT = "current"
    UNVERIFIED = "unverified"
    LEGACY = "legacy"


@attrs.frozen
class Language:
    """What the service does with a language."""

    code: str
    name: str
    understood: bool
    spoken: bool


@attrs.frozen
class Voice:
    """A voice of the service."""

    name: str
    language: str
    accent: str | None
    gender: str | None
    era: Era
    replaced_by: str | None
    """The nearest voice that is still served, for a legacy one."""


@attrs.frozen
class VoiceMatrix:
    """All voices and languages."""

    voices: Mapping[str, Voice]
    languages: Mapping[str, Language]

    @property
    def default(self) -> str:
        """The voice of a session that names none."""
        return DEFAULT

    @property
    def served(self) -> tuple[str, ...]:
        """The voices that a session may have."""
        return tuple(voice.name for voice in self.voices.values() if voice.era is not Era.LEGACY)

    @property
    def spoken(self) -> tuple[str, ...]:
        """Codes of the languages that some voice speaks."""
        return tuple(language.code for language in self.languages.values() if language.spoken)

    @property
    def understood(self) -> tuple[str, ...]:
        """Codes of the languages that the service hears."""
        return tuple(language.code for language in self.languages.values() if language.understood)

    def describe(self, name: str) -> str:
        """A voice in words, as `anna (English, UK, female)`."""
        voice = self.voices[name]
        language = self.languages[voice.language].name
        return f"{name} ({', '.join(filter(None, (language, voice.accent, voice.gender)))})"

    def wrong_with(self, name: str) -> tuple[str, str] | None:
        """Why a session cannot have this voice, and what to do; None if it can."""
        voice = self.voices.get(name)
        older = self.voices.get(name.casefold())
        if voice is None and older is not None and older.era is Era.LEGACY:
            voice = older
        if voice is None:
            meant = nearest(name, self.served)
            known = f"the voices are {', '.join(self.served)}; a newer one goes into a voices.toml"
            what = f"is not a known voice (found {shown(name)})"
            return what, f"did you mean {meant!r}? Else, {known}" if meant else known
        if voice.era is not Era.LEGACY or voice.replaced_by is None:
            return None
        language = self.languages[voice.language]
        unspoken = "" if language.spoken else f" (no voice speaks {language.name} any more)"
        return (
            f"is a voice of earlier days, which the service now refuses (found {name!r})",
            f"use {self.describe(voice.replaced_by)} instead{unspoken}",
        )


def read_voices(folders: Iterable[Path]) -> VoiceMatrix:
    """Our matrix, with what a `voices.toml` in one of the folders adds to it.

    Raises:
        SettingsError: that file has something that cannot be.
    """
    own = [path for path in (folder / VOICES.name for folder in folders) if path.is_file()]
    tables = [(path, read_table(path)) for path in (VOICES, *own)]
    problems: list[SettingsError] = []
    languages: dict[str, Language] = {}
    voices: dict[str, Voice] = {}
    for path, table in tables:
        problems += [
            SettingsError(f"{path} has a table {shown(name)}", "it has languages and voices only")
            for name in table
            if name not in ("languages", "voices")
        ]
        for code, content in _tables(table, "languages", path, problems):
            reader = _Reader(content, f"languages.{code} in {path}", problems)
            languages[code] = Language(
                code,
                reader.take("name", str, code),
                reader.take("understood", bool, True),
                reader.take("spoken", bool, False),
            )
            reader.end()
        for name, content in _tables(table, "voices", path, problems):
            voices[name] = _voice(name, _Reader(content, f"voices.{name} in {path}", problems))
    matrix = VoiceMatrix(voices, languages)
    problems += _loose_ends(matrix)
    raise_all(problems)
    return matrix


def _voice(name: str, reader: _Reader) -> Voice:
    eras = {era.value: era for era in Era}
    era = reader.take("era", str, Era.CURRENT.value)
    if era not in eras:
        reader.wrong("era", f"is not one of {', '.join(eras)} (found {shown(era)})")
    voice = Voice(
        name,
        reader.take("language", str, "en"),
        reader.take("accent", str, None),
        reader.take("gender", str, None),
        eras.get(era, Era.CURRENT),
        reader.take("replaced_by", str, None),
    )
    reader.end()
    return voice


def _loose_ends(matrix: VoiceMatrix) -> list[SettingsError]:
    problems = []
    for voice in matrix.voices.values():
        where = f"voices.{voice.name} in voices.toml"
        if voice.language not in matrix.languages:
            fix = f"the languages are {', '.join(matrix.languages)}; a newer one goes into [languages]"
            problems.append(SettingsError(f"{where} speaks {shown(voice.language)}", fix))
        if voice.era is Era.LEGACY and voice.replaced_by not in matrix.served:
            fix = f"replaced_by is one of {', '.join(matrix.served)}"
            problems.append(SettingsError(f"{where} is legacy and has no voice that replaces it", fix))
    return problems


def _tables(
    table: Mapping[str, Any], name: str, path: Path, problems: list[SettingsError]
) -> list[tuple[str, Mapping[str, Any]]]:
    content = table.get(name, {})
    if isinstance(content, dict) and all(isinstance(each, dict) for each in content.values()):
        return list(content.items())
    problems.append(SettingsError(f"{name} in {path} is not a table of tables", f"see {VOICES.name} of ours"))
    return []


@attrs.define
class _Reader:
    content: Mapping[str, Any]
    where: str
    problems: list[SettingsError]
    _known: list[str] = attrs.field(factory=list, init=False)

    def take(self, name: str, kind: type[_T], default: Any) -> Any:
        self._known.append(name)
        value = self.content.get(name, default)
        if value is not default and not isinstance(value, kind):
            self.wrong(name, f"is not a {'text' if kind is str else 'true or false'} (found {shown(value)})")
            return default
        return value

    def end(self) -> None:
        for name in self.content:
            if name not in self._known:
                self.wrong(shown(name), "is not known")

    def wrong(self, name: str, what: str) -> None:
        self.problems.append(SettingsError(f"{name} of {self.where} {what}", f"see {VOICES.name} of ours"))
