"""The voice matrix: which voices there are and were, what they speak, and what is understood.

Ours is `voices.toml` beside this module; one beside the user's configuration file adds to it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import attrs

from channels.errors import SettingsError
from channels.settings.catalogue import rules_of
from channels.settings.rules import Choice, Flag, OneLine, nearest, shown
from channels.settings.sources import raise_all, read_by, read_table

__all__ = ["Era", "Language", "Voice", "VoiceMatrix", "read_voices"]

VOICES = Path(__file__).with_name("voices.toml")
DEFAULT = "alba"
"""The service's, where a session names none."""


class Era(enum.Enum):
    """How a voice stands with the service."""

    CURRENT = "current"
    UNVERIFIED = "unverified"
    LEGACY = "legacy"


@attrs.frozen
class Language:
    """What the service does with a language."""

    code: str
    name: Annotated[str, OneLine(40)]
    understood: Annotated[bool, Flag()] = True
    spoken: Annotated[bool, Flag()] = False


@attrs.frozen
class Voice:
    """A voice of the service."""

    name: str
    language: Annotated[str, OneLine(20)] = "en"
    accent: Annotated[str | None, OneLine(40)] = None
    gender: Annotated[str | None, OneLine(40)] = None
    era: Annotated[Era, Choice(tuple(era.value for era in Era))] = attrs.field(
        default=Era.CURRENT, converter=Era
    )
    replaced_by: Annotated[str | None, OneLine(64)] = None
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
        for code, given in _tables(table, "languages", Language, path, problems):
            languages[code] = Language(**{"code": code, "name": code, **given})
        for name, given in _tables(table, "voices", Voice, path, problems):
            voices[name] = Voice(name, **given)
    matrix = VoiceMatrix(voices, languages)
    problems += _loose_ends(matrix)
    raise_all(problems)
    return matrix


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
    table: Mapping[str, Any], name: str, kind: type, path: Path, problems: list[SettingsError]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What a table of tables says of each thing of a kind."""
    content = table.get(name, {})
    see_ours = f"see {VOICES.name} of ours"
    if isinstance(content, dict) and all(isinstance(each, dict) for each in content.values()):
        for key, each in content.items():
            yield key, read_by(rules_of(kind), each, f"{name}.{key} of {path}", problems, see_ours)
    else:
        problems.append(SettingsError(f"{name} in {path} is not a table of tables", see_ours))
