"""The order of the site: the lists of `docs/index.md`, which a person reads as they are.

A heading is a part of the site, and each line `- [Title](page.md): what is in it` below it is a page of it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import attrs
from sphinx.application import Sphinx

__all__ = ["Entry", "Part", "add_contents", "read_parts"]

_HEADING = re.compile(r"## (.+)")
_ENTRY = re.compile(r"- \[(.+?)\]\((\S+?\.md)\): (.+)")


@attrs.frozen
class Entry:
    """A page."""

    title: str
    docname: str
    """Its path in the repository, without the suffix."""
    said: str
    """What is in it, in Markdown."""


@attrs.frozen
class Part:
    """A part of the site."""

    title: str
    entries: tuple[Entry, ...]


def read_parts(index: str, folder: str = "docs") -> Iterator[Part]:
    """The parts, from the Markdown of the index.

    Args:
        index: its text; a line that continues one is indented.
        folder: where it lies.
    """
    title, entries = "", list[Entry]()
    for line in re.sub(r"\n {2,}(?=\S)", " ", index).splitlines():
        if heading := _HEADING.fullmatch(line):
            if entries:
                yield Part(title, tuple(entries))
            title, entries = heading[1], []
        elif found := _ENTRY.fullmatch(line):
            path = posixpath.normpath(posixpath.join(folder, found[2]))
            entries.append(Entry(found[1], path.removesuffix(".md"), found[3]))
    if entries:
        yield Part(title, tuple(entries))


def add_contents(app: Sphinx, docname: str, content: list[str]) -> None:
    """Adds the hidden tables of contents to the index, a part each."""
    if docname == app.config.root_doc:
        content[0] += "".join(map(_toctree, read_parts(content[0])))


def _toctree(part: Part) -> str:
    entries = "\n".join(f"{entry.title} </{entry.docname}>" for entry in part.entries)
    return f"\n\n```{{toctree}}\n:hidden:\n:caption: {part.title}\n\n{entries}\n```\n"
