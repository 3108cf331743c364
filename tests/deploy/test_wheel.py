"""The wheel adds one name to an environment, and all of it works from there."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.guest import join_as_guest
from channels.program import DISTRIBUTION
from tests.agent_process import run_agent

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
HOUSE = ("actors", "channels", "commands", "playground", "profiles", "prompts", "sound")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installation of the wheel adds to an environment."""
    if find_spec("hatchling") is None:
        assert "CI" not in os.environ, "hatchling is missing: make dev installs it"
        pytest.skip("hatchling is missing: make dev installs it")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        files.extractall(folder / "site")
    return folder / "site"


def ran(site: Path, *command: str) -> str:
    """What a Python of an environment with the wheel prints, in an empty folder."""
    empty = site.parent / "empty"
    empty.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=empty,
        env={"PATH": os.environ["PATH"], "HOME": str(empty), "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_adds_one_package_and_no_other_name(site: Path) -> None:
    version = PROJECT["project"]["version"]
    names = {path.name for path in site.iterdir()}
    assert names == {"trio_voice_agent", f"trio_voice_agent-{version}.dist-info"}
    assert {path.name for path in (site / "trio_voice_agent").iterdir()} == {
        *("__init__.py", "__main__.py", "source-tree"),
    }


def test_its_files_are_those_of_the_clone_to_the_byte(site: Path) -> None:
    def content(tree: Path, *places: str) -> dict[str, bytes]:
        paths = [path for place in places for path in (tree / place).rglob("*")]
        files = [path for path in paths if path.is_file() and "__pycache__" not in path.parts]
        return {path.relative_to(tree).as_posix(): path.read_bytes() for path in files}

    tree = site / "trio_voice_agent/source-tree"
    assert {path.name for path in tree.iterdir()} == {*HOUSE, "runner.py"}
    assert content(tree, *HOUSE) == content(ROOT, *HOUSE)
    assert (tree / "runner.py").read_bytes() == (ROOT / "runner.py").read_bytes()


def test_every_module_is_found_in_it_and_nowhere_else(site: Path) -> None:
    script = """
import importlib, pkgutil, sys
import trio_voice_agent
tree = str(trio_voice_agent.SOURCE_TREE)
for module in pkgutil.walk_packages([tree]):
    if not module.name.endswith("__main__"):
        found = importlib.import_module(module.name).__file__
        assert found.startswith(tree), found
        print(module.name)
"""
    expected = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for place in HOUSE
        for path in (ROOT / place).rglob("*.py")
        if path.name != "__main__.py"
    }
    assert set(ran(site, "-c", script).split()) == {*expected, "runner"}


def test_without_being_imported_it_puts_nothing_in_the_way_of_others(site: Path) -> None:
    script = f"from importlib.util import find_spec; print(*filter(find_spec, {(*HOUSE, 'runner')}))"
    assert ran(site, "-c", script).strip() == ""


def test_its_command_calls_itself_by_its_own_name(site: Path) -> None:
    (script,) = PROJECT["project"]["scripts"].items()
    assert script == (DISTRIBUTION, "trio_voice_agent:main")
    assert PROJECT["project"]["name"] == DISTRIBUTION
    assert ran(site, "-m", "trio_voice_agent", "--help").startswith(f"usage: {DISTRIBUTION} ")
    assert "adaptive" in ran(site, "-m", "trio_voice_agent", "--profile", "adaptive", "config")
    version = PROJECT["project"]["version"]
    assert ran(site, "-m", "trio_voice_agent", "--version") == f"{DISTRIBUTION} {version}\n"


def test_the_extra_that_sends_traces_is_what_make_traces_installs() -> None:
    assert PROJECT["project"]["optional-dependencies"]["traces"] == PROJECT["dependency-groups"]["traces"]


@pytest.mark.server
@pytest.mark.slow
async def test_with_no_account_somebody_hears_it(site: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from attrs import define\n"
        "from channels.bounded import Receiver\n"
        "from channels.happenings import Happening\n"
        "@define\n"
        "class Mine:\n"
        "    happenings: Receiver[Happening]\n"
        "    async def run(self) -> None:\n"
        "        async with self.happenings:\n"
        "            async for each in self.happenings:\n"
        "                print(f'mine was told of {type(each).__name__}', flush=True)\n"
    )
    program = ("-m", "trio_voice_agent")
    settings = {"PYTHONPATH": str(site)}
    async with run_agent(settings, "--actor", "mine.py:Mine", folder=tmp_path, program=program) as agent:
        async with join_as_guest(await agent.way_in(), "") as guest:
            await guest.hear_sound(within_s=60)
        await agent.prints("mine was told of ParticipantJoined", within_s=60)
