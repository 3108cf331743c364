"""Where the agent cannot run, one line says what to run instead."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from commands.environment import UNFINISHED, wrong_with

ROOT = Path(__file__).resolve().parents[2]
BARE = (sys.executable, "-S")
"""A Python that sees no package."""


def told(runner: Path, *arguments: str, python: tuple[str, ...] = BARE) -> str:
    """The one line that it says."""
    done = subprocess.run(
        [*python, runner, *arguments], cwd=runner.parent, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a fresh clone as is needed; gives its `runner.py`."""
    for name in ("actors", "channels", "sound"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "commands", tmp_path / "commands")
    shutil.copy(ROOT / "runner.py", tmp_path)
    (tmp_path / "Makefile").touch()
    return tmp_path / "runner.py"


def test_before_the_first_set_up_it_names_the_command_that_sets_up(clone: Path) -> None:
    line = told(clone)
    assert "is not installed for" in line
    assert line.endswith("; run `make run`, which installs what is missing")
    assert 'run `make run ARGS="…"`' in told(clone, "serve")


def test_after_it_the_environments_own_python_is_named_and_no_argument_is_repeated(clone: Path) -> None:
    (clone.parent / ".venv/bin").mkdir(parents=True)
    (clone.parent / ".venv/bin/python").symlink_to(sys.executable)
    line = told(clone, "operate", "--token", "a-token-that-nobody-may-see")
    assert line.endswith("; run `.venv/bin/python runner.py …`")
    # An installation that was stopped is not offered.
    (clone.parent / ".venv" / UNFINISHED).touch()
    assert told(clone).endswith("; run `make run`, which installs what is missing")


def test_an_environment_whose_installation_was_stopped_says_so(clone: Path) -> None:
    environment = clone.parent / ".venv"
    assert wrong_with((3, 11, 0), environment, clone.parent) is None
    environment.mkdir()
    (environment / UNFINISHED).touch()
    wrong = wrong_with((3, 11, 0), environment, clone.parent)
    assert wrong is not None
    assert "are not complete; run `make" in wrong


def test_a_python_that_is_too_old_can_read_it_and_is_told(clone: Path) -> None:
    for path in (clone, clone.parent / "commands/environment.py"):
        ast.parse(path.read_text("utf-8"), feature_version=(3, 7))
    wrong = wrong_with((3, 10, 13), Path(sys.prefix), clone.parent)
    assert wrong is not None
    assert wrong.startswith("this is Python 3.10.13, and the agent needs 3.11 or newer; run `make")


def test_a_mistake_of_ours_is_not_blamed_on_the_environment(clone: Path) -> None:
    (clone.parent / "commands/main.py").write_text("from channels.bounded import Nothing\n")
    done = subprocess.run([sys.executable, clone], capture_output=True, text=True, timeout=60)
    assert "Traceback" in done.stderr
    assert "cannot import name 'Nothing'" in done.stderr
