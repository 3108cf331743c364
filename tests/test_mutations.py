"""Mutation check: each deliberate mistake in the controller and the speaker is noticed, by name.

Each is made in a copy of the code, and the property test and the simulation judge the copy in a process of
its own. The copy without a mistake must survive.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from playground.child import tied
from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]
AT_ONCE = 2
NEEDED = ("actors", "channels", "commands", "profiles", "prompts", "playground", "sound", "tests")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """What the judge says of each mistake, and of none."""
    folder = tmp_path_factory.mktemp("mutations")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        judging = {"": pool.submit(_judge, folder / "none", None)}
        for number, mutation in enumerate(MUTATIONS):
            judging[mutation.name] = pool.submit(_judge, folder / str(number), mutation)
        yield judging


def _judge(copy: Path, mutation: Mutation | None) -> str:
    copy.mkdir()
    for name in NEEDED:
        if (ROOT / name).exists():
            shutil.copytree(
                ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
            )
    shutil.copy(ROOT / "runner.py", copy)
    if mutation is not None:
        path = copy / mutation.path
        path.write_text(path.read_text().replace(mutation.right, mutation.wrong))
    judged = subprocess.run(
        tied([sys.executable, "-m", "tests.mutations.judge"]), cwd=copy, capture_output=True, text=True
    )
    shutil.rmtree(copy)
    return judged.stdout.strip() or judged.stderr[-2000:]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_made_in_exactly_one_place(mutation: Mutation) -> None:
    assert (ROOT / mutation.path).read_text().count(mutation.right) == 1
    assert mutation.right != mutation.wrong


def test_without_a_mistake_nothing_is_found(verdicts: dict[str, Future[str]]) -> None:
    assert verdicts[""].result() == "SURVIVED"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_is_found(mutation: Mutation, verdicts: dict[str, Future[str]]) -> None:
    assert verdicts[mutation.name].result().startswith("KILLED by ")


def test_how_each_was_found(verdicts: dict[str, Future[str]], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        for mutation in MUTATIONS:
            print(f"\n{mutation.name}: {verdicts[mutation.name].result()}", end="")
