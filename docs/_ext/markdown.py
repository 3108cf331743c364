"""Docstrings and tables as Markdown."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from sphinx.pycode import ModuleAnalyzer

__all__ = ["doc_of", "docs_of_constants", "docs_of_fields", "inline", "one_line", "table"]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of GitHub's Markdown; a cell is one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def inline(text: str) -> str:
    """As code in a line; nothing for nothing."""
    return f"`{text}`" if text else ""


def doc_of(thing: Any) -> str:
    """The docstring, as Markdown."""
    return inspect.getdoc(thing) or ""


def one_line(text: str) -> str:
    """The first paragraph, in one line."""
    return " ".join(text.partition("\n\n")[0].split())


@cache
def _attribute_docs(module: str) -> dict[tuple[str, str], list[str]]:
    return ModuleAnalyzer.for_module(module).find_attr_docs()


def docs_of_fields(kind: type[Any]) -> dict[str, str]:
    """What stands below each field of a class, or below each member of an enumeration."""
    return {
        name: textwrap.dedent("\n".join(lines)).strip()
        for (owner, name), lines in _attribute_docs(kind.__module__).items()
        if owner == kind.__qualname__
    }


def docs_of_constants(module: str) -> dict[str, str]:
    """What stands below each constant of a module."""
    return {
        name: " ".join(" ".join(lines).split())
        for (owner, name), lines in _attribute_docs(module).items()
        if not owner
    }
