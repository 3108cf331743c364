"""Reads `short_words.toml`, ours and the user's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from channels.errors import SettingsError
from channels.settings.rules import OneLine, Texts
from channels.settings.short_words import Phrase, ShortWords, plain
from channels.settings.sources import raise_all, read_by, read_table

__all__ = ["read_short_words"]

SHORT_WORDS = Path(__file__).with_name("short_words.toml")

_PHRASES = Texts(1000, OneLine(50))


def read_short_words(folders: Iterable[Path]) -> Mapping[str, ShortWords]:
    """Our words by language, with what a `short_words.toml` in one of the folders adds to them.

    Raises:
        SettingsError: that file has something that cannot be.
    """
    own = [path for path in (folder / SHORT_WORDS.name for folder in folders) if path.is_file()]
    problems: list[SettingsError] = []
    found: dict[str, ShortWords] = {}
    for path in (SHORT_WORDS, *own):
        for code, lists in _languages(path, problems):
            found[code] = found.get(code, ShortWords((code,))) | ShortWords((code,), **lists)
    raise_all(problems)
    return found


def _languages(
    path: Path, problems: list[SettingsError]
) -> Iterator[tuple[str, Mapping[str, frozenset[Phrase]]]]:
    rules = {"stops": _PHRASES, "back_channels": _PHRASES}
    see_ours = f"see {SHORT_WORDS.name} of ours"
    for code, table in read_table(path).items():
        if not isinstance(table, dict):
            problems.append(SettingsError(f"{code} in {path} is not the table of a language", see_ours))
            continue
        values: Mapping[str, Any] = read_by(rules, table, f"{code} of {path}", problems, see_ours)
        yield code, {name: frozenset(filter(None, map(plain, given))) for name, given in values.items()}
