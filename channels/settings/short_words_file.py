"""Reads `short_words.toml`, ours and the user's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from channels.errors import SettingsError
from channels.settings.rules import Malformed, OneLine, Texts, shown
from channels.settings.short_words import Phrase, ShortWords, language_of, plain
from channels.settings.sources import raise_all, read_by, read_table

__all__ = ["read_short_words"]

SHORT_WORDS = Path(__file__).with_name("short_words.toml")


@attrs.frozen
class _Words(OneLine):
    """A phrase: one line that has a word in it."""

    def _read(self, value: Any) -> str:
        text = super()._read(value)
        if not plain(text):
            raise Malformed(f"has no word in it (found {shown(text)})", "write the word that people say")
        return text


_PHRASES = Texts(1000, _Words(50))


def read_short_words(folders: Iterable[Path], understood: Collection[str] = ()) -> Mapping[str, ShortWords]:
    """Our words by language, with what a `short_words.toml` in one of the folders adds to them.

    Args:
        folders: of the user.
        understood: codes of the languages that the service understands; others have no use for words.

    Raises:
        SettingsError: that file has something that cannot be.
    """
    own = [path for path in (folder / SHORT_WORDS.name for folder in folders) if path.is_file()]
    problems: list[SettingsError] = []
    found: dict[str, ShortWords] = {}
    for path in (SHORT_WORDS, *own):
        for written, lists in _tables(path, problems):
            code = language_of(written)
            if path in own and code not in understood:
                what = f"{path} has a language that is not understood (found {shown(written)})"
                problems.append(SettingsError(what, f"the service understands {', '.join(understood)}"))
            found[code] = found.get(code, ShortWords((code,))) | ShortWords((code,), **lists)
    raise_all(problems)
    return found


def _tables(
    path: Path, problems: list[SettingsError]
) -> Iterator[tuple[str, Mapping[str, frozenset[Phrase]]]]:
    """What is written for each language, under the name that it has there."""
    rules = {"stops": _PHRASES, "back_channels": _PHRASES}
    see_ours = f"see {SHORT_WORDS.name} of ours"
    for code, table in read_table(path).items():
        if not isinstance(table, dict):
            what = f"{shown(code)} in {path} is not the table of a language"
            problems.append(SettingsError(what, see_ours))
            continue
        values: Mapping[str, Any] = read_by(rules, table, f"{shown(code)} of {path}", problems, see_ours)
        yield code, {name: frozenset(map(plain, given)) for name, given in values.items()}
