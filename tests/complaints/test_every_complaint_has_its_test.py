"""Complaints that are said to be covered, and are not: what README.md names is there, and all is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.agent_process import ROOT

HERE = Path(__file__).parent
ELSEWHERE, OURS = (HERE / "README.md").read_text("utf-8").split("\n## Here\n")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", ELSEWHERE)


def found_in(module: str) -> set[str]:
    path = ROOT / module
    text = path.read_text("utf-8") if path.is_file() else ""
    return set(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("module", sorted({module for module, _ in NAMED}))
def test_each_test_that_is_named_is_there(module: str) -> None:
    there = found_in(module)
    assert there, f"{module} has no tests"
    assert {test for named, test in NAMED if named == module and test} <= there


def test_each_complaint_names_a_thread_and_a_test() -> None:
    rows = [line for line in ELSEWHERE.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) == 18
    for row in rows:
        _, threads, tests = row.strip("| ").split(" | ")
        assert "https://github.com/" in threads, row
        assert "`tests/" in tests, row


def test_each_module_of_this_folder_is_in_the_table_once() -> None:
    named = re.findall(r"`(test_\w+\.py)`", OURS)
    assert sorted(named) == sorted(path.name for path in HERE.glob("test_*.py") if path != Path(__file__))
