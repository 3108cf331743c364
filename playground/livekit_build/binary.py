"""Where the LiveKit server's binary is: on PATH, in the user's cache, or built into it now.

In: the environment (PATH, XDG_CACHE_HOME or HOME, and what Go and pip need to reach their registries).
Out: a path that can be executed. The name of a built one carries its version and a digest of the
recipe, so that a changed recipe builds anew.

A build works in `build/` beside the binary: Go's caches and, where none is installed, Go itself. An
interrupted build leaves them, and the next one goes on from there; a finished one puts the binary in
place by a rename and removes the rest (some 1.5 GB). A lock lets one process build at a time; the kernel
frees it when its holder dies. The environment given to Go is made here, so that no setting of the
user's (GOFLAGS, a workspace, another GOOS) changes what is built; only the ways to a proxy are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import trio

from playground.livekit_build.step import BuildFailed, Progress, Step
from playground.livekit_build.toolchain import find_or_fetch_go
from playground.user_cache import alone, user_cache

__all__ = ["find", "find_or_build"]

_RECIPE = Path(__file__).parent
_PACKAGE = "github.com/livekit/livekit-server/cmd/server"
_WITHOUT_DEBUGGER = ("-ldflags=-s -w", "-gcflags=all=-dwarf=false")
"""The linker leaves out what is for a debugger, so the compiler need not make it."""
_WAYS_TO_A_PROXY = ("GOPROXY", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOAUTH", "GOVCS")


def find(environ: Mapping[str, str] | None = None) -> Path | None:
    """The path of a LiveKit server, if there is one."""
    environ = os.environ if environ is None else environ
    installed = shutil.which("livekit-server", path=environ.get("PATH", ""))
    if installed is not None:
        return Path(installed)
    built = _built(environ)
    return built if built.exists() else None


async def find_or_build(*, progress: Progress, environ: Mapping[str, str] | None = None) -> Path:
    """The path of a LiveKit server; builds one first if there is none.

    Args:
        progress: is given a line now and then while something is fetched or built.
        environ: the environment to look in and to build with, by default the process's own.

    Raises:
        BuildFailed: there is none and it cannot be built; the message says why and what to do.
    """
    environ = os.environ if environ is None else environ
    found = find(environ)
    if found is not None:
        return found
    binary = _built(environ)
    try:
        binary.parent.mkdir(parents=True, exist_ok=True)
        async with alone(binary.parent / "build.lock", "building the LiveKit server", progress):
            if not binary.exists():
                await _build(binary, environ, progress)
    except OSError as error:
        raise BuildFailed(f"the LiveKit server cannot be built in {binary.parent}", [str(error)]) from error
    return binary


def _built(environ: Mapping[str, str]) -> Path:
    """Where the binary is, or will be."""
    version, _, digest = _recipe()
    return user_cache(environ) / f"livekit-server-{version}-{digest}"


async def _build(binary: Path, environ: Mapping[str, str], progress: Progress) -> None:
    began = trio.current_time()
    version, oldest_go, _ = _recipe()
    folder = binary.parent / "build"
    folder.mkdir(exist_ok=True)
    progress(
        f"LiveKit server {version} is neither on PATH nor in {binary.parent}: building it once. "
        "This takes a few minutes and 1.5 GB there, 60 MB when done; you can interrupt it."
    )
    go = await find_or_fetch_go(folder, oldest=oldest_go, environ=environ, progress=progress)
    env = await _go_environment(go, folder, environ)
    listed = await Step(
        title="fetching the modules of LiveKit",
        command=[str(go), "list", "-deps", _PACKAGE],
        env=env,
        cwd=_RECIPE,
        counts=lambda line: line.startswith("go: downloading"),
        unit="modules",
    ).run(progress)
    packages = sum(not line.startswith("go: ") for line in listed)
    fresh = folder / "server"
    await Step(
        title="compiling LiveKit",
        command=[str(go), "build", "-v", *_WITHOUT_DEBUGGER, "-o", str(fresh), _PACKAGE],
        env=env,
        cwd=_RECIPE,
        counts=lambda line: not line.startswith("go: "),
        unit=f"of up to {packages}",
    ).run(progress)
    fresh.replace(binary)
    # What cannot be removed costs room and nothing else.
    await trio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))
    progress(f"LiveKit server {version} built in {trio.current_time() - began:.0f} s: {binary}")


async def _go_environment(go: Path, folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(("GO", "CGO_"))}
    # Asked of Go and not read from `environ`: people set these with `go env -w` too.
    told = await trio.run_process(
        [str(go), "env", "-json", *_WAYS_TO_A_PROXY],
        capture_stdout=True,
        stderr=subprocess.DEVNULL,
        check=False,
        env={**environ, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": ""},
        cwd="/",
    )
    if told.returncode == 0:
        kept |= {name: value for name, value in json.loads(told.stdout).items() if value}
    return kept | {
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        # The compiler lives for seconds: with this it collects less, and needs 1 GB at most (measured).
        "GOGC": "400",
        "GOCACHE": str(folder / "go-build"),
        "GOENV": "off",
        # modcacherw: without it, the cache of modules cannot be removed.
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOMODCACHE": str(folder / "go-mod"),
        "GOPATH": str(folder / "go-path"),
        "GOTELEMETRY": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _recipe() -> tuple[str, tuple[int, int], str]:
    """The server's version, the oldest Go that builds it, and a digest of the whole recipe."""
    module = (_RECIPE / "go.mod").read_text()
    version = re.search(r"livekit-server (v\S+)", module)
    go = re.search(r"^go (\d+)\.(\d+)", module, re.MULTILINE)
    assert version is not None
    assert go is not None
    digest = hashlib.sha256(module.encode() + (_RECIPE / "go.sum").read_bytes()).hexdigest()
    return version[1], (int(go[1]), int(go[2])), digest[:8]
