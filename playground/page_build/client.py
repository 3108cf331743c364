"""One module of one npm package: where it is, or fetched there now. For the page that is livekit-client.

In: a recipe (a folder with `package.json` and `package-lock.json`) and the environment (XDG_CACHE_HOME or
HOME, PATH, and what npm and pip need to reach their registries). Out: the path of one JavaScript module,
which browsers load as it is. The name of its folder carries the version and a digest of the recipe, so that
a changed recipe installs anew.

`npm ci` checks every package against `package-lock.json` and runs no script of any. It works in
`page-build/` beside the final place; the module is put in place by a rename and the rest removed. An
interrupted set-up leaves Node.js (where it had to be fetched) and npm's own cache, and the next one goes
on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import attrs
import trio

from channels.errors import PlaygroundFault
from playground.livekit_build.step import BuildFailed, Progress, Step
from playground.page_build.node import find_or_fetch_npm
from playground.user_cache import alone, user_cache

__all__ = ["CLIENT", "ClientMissing", "Wanted", "find", "find_or_install"]


@attrs.frozen
class Wanted:
    """A module of a package, and what is kept with it."""

    recipe: Path
    """The folder of `package.json`, which names one release, and of `package-lock.json`."""
    package: str
    kept: tuple[str, ...]
    """Paths in the package; the first is the module."""


CLIENT = Wanted(
    Path(__file__).parent,
    "livekit-client",
    # The map is what makes a browser's developer tools readable; the licence belongs to the code.
    ("dist/livekit-client.esm.mjs", "dist/livekit-client.esm.mjs.map", "LICENSE"),
)


class ClientMissing(PlaygroundFault):
    """A module is not on this machine and cannot be fetched; without livekit-client there is no page."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "get online and start again (it continues where it stopped)")


def find(environ: Mapping[str, str] | None = None) -> Path | None:
    """The path of the module `livekit-client`, if it is there."""
    home = _home(CLIENT, os.environ if environ is None else environ)
    return home / Path(CLIENT.kept[0]).name if home.exists() else None


async def find_or_install(
    *, progress: Progress, environ: Mapping[str, str] | None = None, wanted: Wanted = CLIENT
) -> Path:
    """The path of a module, livekit-client unless another is wanted; fetches it first if it is not there.

    Args:
        progress: is given a line now and then while something is fetched.
        environ: the environment to look in and to fetch with, by default the process's own.
        wanted: the module.

    Raises:
        ClientMissing: it is not there and cannot be fetched; the message says why.
    """
    environ = os.environ if environ is None else environ
    home = _home(wanted, environ)
    cache = home.parent
    if not home.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            async with alone(cache / "page-build.lock", f"fetching {wanted.package}", progress):
                if not home.exists():
                    await _install(wanted, home, environ, progress)
        except BuildFailed as failure:
            raise ClientMissing(failure.what) from failure
        except OSError as error:
            raise ClientMissing(f"{wanted.package} cannot be put into {cache} ({error})") from error
    return home / Path(wanted.kept[0]).name


def _home(wanted: Wanted, environ: Mapping[str, str]) -> Path:
    version, digest = _recipe(wanted)
    return user_cache(environ) / f"{wanted.package}-{version}-{digest}"


async def _install(wanted: Wanted, home: Path, environ: Mapping[str, str], progress: Progress) -> None:
    began = trio.current_time()
    work = home.parent / "page-build"
    work.mkdir(exist_ok=True)
    npm = await find_or_fetch_npm(work, environ=environ, progress=progress)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(wanted.recipe / name, work)
    await Step(
        title=f"fetching {home.name.rpartition('-')[0]} with npm",
        command=[
            *(*npm.command, "ci", "--ignore-scripts", "--omit=dev", "--omit=optional", "--omit=peer"),
            # A person's settings for other projects; an engine is what a package would need in Node.js.
            *("--no-audit", "--no-fund", "--no-engine-strict", "--no-update-notifier"),
            "--loglevel=http",
        ],
        env=npm.env,
        cwd=work,
        counts=lambda line: " http fetch " in line,
        unit="requests",
    ).run(progress)
    partial = work / "partial"
    await trio.to_thread.run_sync(_keep, wanted, work / "node_modules" / wanted.package, partial)
    partial.rename(home)
    # What cannot be removed costs room and nothing else.
    await trio.to_thread.run_sync(lambda: shutil.rmtree(work, ignore_errors=True))
    progress(f"{home.name.rpartition('-')[0]} fetched in {trio.current_time() - began:.0f} s: {home}")


def _keep(wanted: Wanted, package: Path, partial: Path) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in wanted.kept:
        shutil.copy(package / name, partial)


def _recipe(wanted: Wanted) -> tuple[str, str]:
    """The version of the package and a digest of the whole recipe."""
    version = json.loads((wanted.recipe / "package.json").read_text())["dependencies"][wanted.package]
    digest = hashlib.sha256((wanted.recipe / "package-lock.json").read_bytes()).hexdigest()
    return version, digest[:8]
