"""Every command of every page is one that can be typed: its flags, its module, its target are there.

Those in blocks of `console` are run besides (`docs/conftest.py`). Whatever needs an account, a room or a
microphone is only read here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from commands.arguments import command_line, parse

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
(_SUBCOMMANDS,) = (each for each in command_line()._actions if each.dest == "command")
COMMANDS = set(_SUBCOMMANDS.choices or ())
PROGRAM = re.compile(r"(?:^|[\s`/])(?:runner\.py|trio-voice-agent)(?= |$)")


def commands(page: Path) -> Iterator[str]:
    """The lines of a page's blocks, and what stands in backticks in its text; a line that goes on is one."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^ *```(?:sh|console)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    for line in "\n".join([*blocks, *re.findall(r"^ {4,}(\S.*)$", text, re.MULTILINE)]).splitlines():
        yield line.strip().removeprefix("$ ")
    yield from re.findall(
        r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    )


def words(command: str) -> list[str]:
    """Those of the command itself: no comment, and nothing behind a pipe."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>"):
            break
        found.append(word)
    return found


def told(pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    """What the pages have behind the program, with where it is."""
    return [
        (page.relative_to(ROOT).as_posix(), command[match.end() :].strip())
        for page in PAGES
        for command in commands(page)
        for match in [pattern.search(command)]
        if match
    ]


@pytest.mark.parametrize(("page", "arguments"), told(PROGRAM))
def test_a_command_of_a_page_is_understood(page: str, arguments: str) -> None:
    given = words(arguments)
    is_a_form = "…" in given or "NEW" in given
    is_a_name = len(given) == 1 and given[0] in COMMANDS
    assert is_a_form or is_a_name or ending(given) == 0, (page, arguments)


def ending(given: list[str]) -> object:
    """The exit code where they are only read: settings that a page shows to be wrong are wrong later."""
    try:
        parse(given)
    except SystemExit as ended:
        return ended.code
    return 0


@pytest.mark.parametrize(
    ("page", "rest"), told(re.compile(r"(?:^|[\s`/])python -m (?=(?:bench|tests|playground|actors)\b)"))
)
def test_a_module_that_a_page_runs_is_there(page: str, rest: str) -> None:
    name = re.split(r"[^\w.]", rest)[0].rstrip(".")
    assert find_spec(name) is not None, (page, name)


@pytest.mark.parametrize(("page", "rest"), told(re.compile(r"^make (?=[a-z])")))
def test_a_target_that_a_page_names_is_there(page: str, rest: str) -> None:
    targets = [word for word in words(rest) if "=" not in word]
    assert set(targets) <= TARGETS, (page, targets)


def test_the_readme_is_one_screen_and_has_the_test_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.splitlines()) <= 90
    assert readme.count("![") == 1
    assert ("README.md", "test") in [
        (page, words(rest)[0]) for page, rest in told(re.compile(r"^make (?=[a-z])"))
    ]
