"""The image without a container engine: the same files, packages, environment, user and rights, in a folder.

What `deploy/Dockerfile` says is read and done, so that a file that is not copied is missing here, too. The
base image is this machine, and a package is a link to the one that is installed here, if its name stands in
the image's lock file.

The program then runs as in the cluster: user 65532 without a name, home or capability, process 1 of its own
process namespace, all file systems read-only except for a small one for temporary files, 1024 descriptors.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path

import attrs
import pytest
from dockerfile_parse import DockerfileParser

from channels.child import start_child
from tests.agent_process import ROOT, AgentProcess, listened_to

DOCKERFILE = ROOT / "deploy/Dockerfile"
IGNORED = ROOT / "deploy/Dockerfile.dockerignore"
LOCKS = ("requirements-serve.lock", "requirements-traces.lock")
USER = "65532"
DESCRIPTORS = 1024

# Mounts what may be written last, so that it stays so.
_ENTER = """
set -e
mount --make-rprivate /
for folder in / "$1"; do
    mount -o remount,bind,ro "$(df --output=target "$folder" | tail -1)"
done
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$1/tmp"
cd "$1/app"
ulimit -n {descriptors}
shift
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


@attrs.frozen
class Instruction:
    """One of the Dockerfile."""

    name: str
    value: str

    @property
    def words(self) -> list[str]:
        """Its words, be it in the exec form or not."""
        if self.value.startswith("["):
            words: list[str] = json.loads(self.value)
            return words
        return shlex.split(self.value)


def stages() -> list[list[Instruction]]:
    """The instructions of each stage."""
    parser = DockerfileParser(str(DOCKERFILE))
    found: list[list[Instruction]] = []
    for each in parser.structure:
        if each["instruction"] == "FROM":
            found.append([])
        if each["instruction"] != "COMMENT":
            found[-1].append(Instruction(each["instruction"], each["value"]))
    return found


def of_the_last_stage(name: str) -> Instruction:
    """The instruction of that name that counts."""
    return [each for each in stages()[-1] if each.name == name][-1]


def reaches_the_builder(path: str) -> bool:
    """Whether the ignore file lets a file or folder of the top folder through."""
    lines = [line for line in IGNORED.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*", "everything is left out that is not let in"
    let_in = [line.removeprefix("!") for line in lines if line.startswith("!")]
    return any(path == each or path.startswith(f"{each}/") for each in let_in)


@attrs.frozen
class Image:
    """It, as a folder."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """What is set in it; the folder stands for `/`."""
        words = [word for each in stages()[-1] if each.name == "ENV" for word in each.words]
        values = dict(word.split("=", 1) for word in words)
        for name, value in values.items():
            values[name] = value.replace("/opt/", f"{self.folder}/opt/").replace("$PATH", os.defpath)
        return {**values, "TMPDIR": f"{self.folder}/tmp"}

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Runs a command in it."""
        return [
            *("unshare", "--user", f"--map-user={USER}", f"--map-group={USER}", "--mount", "--keep-caps"),
            *("--pid", "--fork", "--kill-child"),
            *("sh", "-c", _ENTER.format(descriptors=DESCRIPTORS), "sh", str(self.folder)),
            *("env", "-i", *(f"{name}={value}" for name, value in self.environ.items()), *arguments),
        ]

    @asynccontextmanager
    async def run(self, *arguments: str, settings: Mapping[str, str]) -> AsyncIterator[Container]:
        """Runs it with these arguments, or its own.

        Args:
            arguments: as behind `docker run IMAGE`.
            settings: as with `--env`.
        """
        chosen = list(arguments) or of_the_last_stage("CMD").words
        entry = of_the_last_stage("ENTRYPOINT").words
        given = [f"{name}={value}" for name, value in settings.items()]
        process = start_child(
            self.command([*given, *entry, *chosen]),
            environ=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        async with listened_to(Container(process), ((signal.SIGKILL, 5.0),)) as container:
            yield container


@attrs.define
class Container(AgentProcess):
    """The running program, and what it printed so far."""

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """Sends a signal to its process 1, as `docker stop` does."""
        outside = self.process.pid
        (first,) = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()
        os.kill(int(first), signum)


def build(folder: Path) -> Image:
    """Does what the Dockerfile says."""
    _, building, _ = stages()
    (folder / "tmp").mkdir()
    app = folder / "app"
    app.mkdir()
    into = Path("/")
    for each in building:
        match each.name:
            case "WORKDIR":
                into = Path(each.value)
            case "COPY" if into == Path("/app"):
                *sources, target = each.words
                for source in sources:
                    assert reaches_the_builder(source), source
                    _copy(ROOT / source, app / target / (Path(source).name if target.endswith("/") else ""))
    _link_packages(folder / "opt/voice-agent", _removed(building))
    return Image(folder)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)


def _removed(building: Sequence[Instruction]) -> list[str]:
    """What the build takes out of the packages again, below site-packages."""
    commands = " ".join(each.value for each in building if each.name == "RUN")
    return re.findall(r"/site-packages/(\S+)", commands)


def _link_packages(environment: Path, removed: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = environment.glob("lib/python3*/site-packages")
    for name, version in _locked():
        distribution = metadata.distribution(name)
        assert distribution.version == version, f"{name} {distribution.version} is installed: make dev"
        for file in distribution.files or ():
            path = file.as_posix()
            if path.startswith("..") or any(path == each or path.startswith(f"{each}/") for each in removed):
                continue
            if "__pycache__" in path:
                continue
            target = packages / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(str(distribution.locate_file(file))).resolve())


def _locked() -> Iterator[tuple[str, str]]:
    from packaging.requirements import Requirement

    lines = [line for lock in LOCKS for line in (ROOT / lock).read_text().splitlines() if line[:1].isalnum()]
    for line in dict.fromkeys(lines):
        requirement = Requirement(line.removesuffix("\\").strip())
        if requirement.marker is None or requirement.marker.evaluate():
            (pinned,) = requirement.specifier
            yield requirement.name, pinned.version


def needs_namespaces() -> None:
    """Skips the test where this system does not let us make namespaces."""
    if sys.platform == "linux":
        probe = ["unshare", "--user", f"--map-user={USER}", "--mount", "--pid", "--fork", "--keep-caps"]
        tried = subprocess.run([*probe, "mount", "--make-rprivate", "/"], capture_output=True)
        if tried.returncode == 0:
            return
    assert "CI" not in os.environ, "namespaces are missing"
    pytest.skip("this system lets nobody make namespaces")
