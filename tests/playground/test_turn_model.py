"""The set-up of Smart Turn's model: by pip, once; no network here, the registry is a folder of the test."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from playground.turn_model import fetch
from playground.turn_model.fetch import ModelNotFetched, find_or_fetch, installed

WHEEL = "pipecat_ai-1.14.0-py3-none-any.whl"


def without_a_network(folder: Path) -> dict[str, str]:
    """An environment with an empty cache, in which pip finds what lies in `folder` and nothing else."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
    }


async def test_without_a_network_it_says_what_to_do_and_leaves_nothing_that_looks_like_a_model(
    tmp_path: Path,
) -> None:
    environ = without_a_network(tmp_path)
    with pytest.raises(ModelNotFetched, match="get online and start again"):
        await find_or_fetch(progress=print, environ=environ)
    assert installed(environ) is None


async def test_a_wheel_that_is_not_the_locked_one_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as wheel:
        wheel.writestr("pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx", "not a model")
    with pytest.raises(ModelNotFetched):
        await find_or_fetch(progress=print, environ=without_a_network(tmp_path))


async def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    environ = without_a_network(tmp_path)
    home = fetch._home(environ)
    home.mkdir(parents=True)
    (home / "smart-turn-v3.2-cpu.onnx").write_bytes(b"a model")
    assert await find_or_fetch(progress=print, environ=environ) == installed(environ)
