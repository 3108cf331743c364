"""The file of Smart Turn's model (`sound.smart_turn`): where it is, or fetched there now.

In: the environment (XDG_CACHE_HOME or HOME, and what pip needs to reach its registry). Out: the path. The
name of its folder carries a digest of the lock file, so that another wheel is fetched anew. pip checks the
wheel against the lock file, in a folder beside the final place, which is put in place by a rename.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import trio

from channels.errors import PlaygroundFault
from playground.livekit_build.step import BuildFailed, Progress, Step
from playground.user_cache import alone, user_cache

__all__ = ["ModelNotFetched", "find_or_fetch", "installed"]

_LOCK = Path(__file__).with_name("wheel.lock")
_MODEL = "smart-turn-v3.2-cpu.onnx"
_KEPT = {
    f"pipecat/audio/turn/smart_turn/data/{_MODEL}": _MODEL,
    "pipecat_ai-1.14.0.dist-info/licenses/LICENSE": "LICENSE",
}


class ModelNotFetched(PlaygroundFault):
    """The model is not on this machine and cannot be fetched: the offline service works without."""

    def __init__(self, what: str) -> None:
        super().__init__(
            what, "get online and start again; until then, the words alone say when a turn is over"
        )


def installed(environ: Mapping[str, str] | None = None) -> Path | None:
    """The model's file, if it is there."""
    model = _home(os.environ if environ is None else environ) / _MODEL
    return model if model.is_file() else None


async def find_or_fetch(*, progress: Progress, environ: Mapping[str, str] | None = None) -> Path:
    """The model's file; fetches it first if it is not there.

    Args:
        progress: is given a line now and then while something is fetched.
        environ: the environment to look in and to fetch with, by default the process's own.

    Raises:
        ModelNotFetched: it is not there and cannot be fetched; the message says why.
    """
    environ = os.environ if environ is None else environ
    home = _home(environ)
    try:
        if not home.exists():
            home.parent.mkdir(parents=True, exist_ok=True)
            async with alone(home.parent / "turn-model.lock", "fetching Smart Turn", progress):
                if not home.exists():
                    await _fetch(home, environ, progress)
    except BuildFailed as failure:
        raise ModelNotFetched(failure.what) from failure
    except OSError as error:
        raise ModelNotFetched(f"Smart Turn cannot be put into {home.parent} ({error})") from error
    return home / _MODEL


def _home(environ: Mapping[str, str]) -> Path:
    return user_cache(environ) / f"smart-turn-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:8]}"


async def _fetch(home: Path, environ: Mapping[str, str], progress: Progress) -> None:
    work = home.parent / "turn-model"
    await trio.to_thread.run_sync(lambda: shutil.rmtree(work, ignore_errors=True))
    work.mkdir()
    await Step(
        title="fetching Smart Turn (12 MB)",
        command=[
            *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input"),
            *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
            *("--dest", str(work), "--requirement", str(_LOCK)),
        ],
        env=dict(environ),
        cwd=work,
    ).run(progress)
    partial = work / "partial"
    await trio.to_thread.run_sync(_keep, work, partial)
    partial.rename(home)
    # What cannot be removed costs room and nothing else.
    await trio.to_thread.run_sync(lambda: shutil.rmtree(work, ignore_errors=True))


def _keep(work: Path, partial: Path) -> None:
    partial.mkdir()
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        for inside, name in _KEPT.items():
            (partial / name).write_bytes(files.read(inside))
