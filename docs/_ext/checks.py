"""What `python runner.py check` checks: read off its functions and the findings that they make."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs

import commands.check
from docs._ext.markdown import inline, one_line

__all__ = ["Check", "all_checks", "read_checks"]

_FOLDER = Path(commands.check.__path__[0])


@attrs.frozen
class Check:
    """One check."""

    function: str
    names: tuple[str, ...]
    """What its line begins with, as `LiveKit`."""
    doc: str
    findings: tuple[tuple[str, str, str], ...]
    """Colour, what is said, and the fix, of those that are not green; `…` stands for what is found."""


def all_checks() -> str:
    """Each check with what may be wrong, in the order in which they run."""
    return "\n".join(map(_one, read_checks()))


def _one(check: Check) -> str:
    lines = [f"## {', '.join(check.names)}", "", check.doc, ""]
    for colour, said, fix in check.findings:
        mark = {"RED": "✗", "YELLOW": "!"}[colour]
        what = said or ("…" if fix else "an error, which names its fix")
        lines.append(f"- {inline(mark)} {what}" + (f" → {fix}" if fix else ""))
    return "\n".join(lines) + "\n"


def read_checks() -> list[Check]:
    """All of them, in the order of `commands/check/command.py`."""
    order = re.findall(r"\b(check_\w+)\(", (_FOLDER / "command.py").read_text(encoding="utf-8"))
    found = {check.function: check for path in sorted(_FOLDER.glob("*.py")) for check in _in(path)}
    return [found[name] for name in dict.fromkeys(order) if name in found]


def _in(path: Path) -> Iterator[Check]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = dict(_texts(tree.body))
    functions = {
        each.name: each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for name, function in functions.items():
        if not name.startswith("check_"):
            continue
        called = [each.id for each in ast.walk(function) if isinstance(each, ast.Name)]
        helping = [functions[each] for each in dict.fromkeys(called) if each in functions and each != name]
        bodies = [function, *helping]
        findings = [finding for body in bodies for finding in _findings(body, texts)]
        names = tuple(dict.fromkeys(each[0] for each in findings))
        wrong = tuple(each[1:] for each in findings if each[1] != "GREEN")
        yield Check(name, names, one_line(ast.get_docstring(function) or ""), tuple(dict.fromkeys(wrong)))


def _texts(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                yield name, text


def _findings(function: ast.AST, texts: dict[str, str]) -> Iterator[tuple[str, str, str, str]]:
    nodes = [each for each in ast.walk(function) if isinstance(each, ast.Assign | ast.Call)]
    local = dict(texts)
    for node in sorted(nodes, key=lambda each: (each.lineno, each.col_offset)):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                local[name] = _text(value, local)
            case ast.Call(
                func=ast.Name(id="Finding"),
                args=[ast.Constant(value=str(name)), ast.Attribute(attr=colour), said, *rest],
            ):
                yield name, colour, _text(said, local), _text(rest[0], local) if rest else ""


def _text(node: ast.expr, local: dict[str, str]) -> str:
    """A text as far as it stands in the code."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_text(each, {}) if isinstance(each, ast.Constant) else "…" for each in values)
        case ast.Name(id=name):
            return local.get(name, "")
        case ast.BinOp(left=left, right=right):
            return _text(left, local) + _text(right, local)
        case ast.BoolOp(values=[*_, last]):
            return _text(last, local)
        case _:
            return ""
