"""Mutation check: each deliberate mistake in the controller and the speaker is noticed, by name.

Each is made in a copy of the code, and the property test and the simulation judge the copy in a process of
its own. The copy without a mistake must survive.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from channels.child import tied
from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]
NEEDED = ("actors", "channels", "commands", "profiles", "prompts", "playground", "sound", "tests")

pytestmark = pytest.mark.slow


def judge(copy: Path, mutation: Mutation | None) -> str:
    """What is said of a copy of the code with a mistake in it, or with none."""
    for name in NEEDED:
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
        )
    shutil.copy(ROOT / "runner.py", copy)
    if mutation is not None:
        path = copy / mutation.path
        path.write_text(path.read_text().replace(mutation.right, mutation.wrong))
    order = ["--calls-first"] if mutation is not None and mutation.in_calls else []
    judged = subprocess.run(
        tied([sys.executable, "-m", "tests.mutations.judge", *order]),
        cwd=copy,
        capture_output=True,
        text=True,
    )
    shutil.rmtree(copy)
    return judged.stdout.strip() or judged.stderr[-2000:]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_made_in_exactly_one_place(mutation: Mutation) -> None:
    assert (ROOT / mutation.path).read_text().count(mutation.right) == 1
    assert mutation.right != mutation.wrong


def test_without_a_mistake_nothing_is_found(tmp_path: Path) -> None:
    assert judge(tmp_path, None) == "SURVIVED"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_found(mutation: Mutation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = judge(tmp_path, mutation)
    with capsys.disabled():
        print(f"\n{mutation.name}: {verdict}", end="")
    assert verdict.startswith("KILLED by ")
