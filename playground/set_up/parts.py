"""The parts of a set-up: what each is, how much is fetched for it, and how to get it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from channels.errors import PlaygroundFault
from playground.livekit_build import binary
from playground.livekit_build.step import BuildFailed, Progress, Step
from playground.page_build import client
from playground.turn_model import fetch

__all__ = ["Fetched", "PackagesNotInstalled", "Part", "packages", "playground"]

Fetched: TypeAlias = tuple[str, int]
"""What comes over the network, and its size (MB)."""


class PackagesNotInstalled(PlaygroundFault):
    """The Python packages cannot be fetched or unpacked."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "get online and start again (what has been fetched is kept)")


@attrs.frozen
class Part:
    """Something that is made once."""

    name: str
    fetched: Sequence[Fetched]
    """On Linux x86-64; elsewhere it differs by some MB."""
    get: Callable[[Progress], Awaitable[object]]
    needed: bool = True
    """Whether the agent cannot do without."""


def playground(environ: Mapping[str, str] | None = None) -> list[Part]:
    """What is missing on this machine of what the agent runs with when there is no account.

    Args:
        environ: the environment to look in and to work with, by default the process's own.
    """
    environ = os.environ if environ is None else environ
    path = environ.get("PATH", "")
    parts = []
    if binary.find(environ) is None:
        go = [] if shutil.which("go", path=path) else [("Go, to build LiveKit with (removed afterwards)", 75)]
        parts.append(
            Part(
                "LiveKit server",
                [*go, ("the Go modules that LiveKit is made of (removed afterwards)", 90)],
                lambda progress: binary.find_or_build(progress=progress, environ=environ),
            )
        )
    if client.find(environ) is None:
        npm = [] if shutil.which("npm", path=path) else [("Node.js, with npm (removed afterwards)", 60)]
        parts.append(
            Part(
                "livekit-client",
                [*npm, ("livekit-client, for the page", 7)],
                lambda progress: client.find_or_install(progress=progress, environ=environ),
            )
        )
    if fetch.installed(environ) is None:
        parts.append(
            Part(
                "Smart Turn",
                [("Smart Turn, a model that hears when you have finished", 12)],
                lambda progress: fetch.find_or_fetch(progress=progress, environ=environ),
                needed=False,
            )
        )
    return parts


def packages(lock: Path, done: Callable[[], None]) -> Part:
    """The Python packages of a lock file, into the environment of this process.

    Args:
        lock: names each with its hashes.
        done: is called when all of them are there.
    """
    named = len(re.findall("^[^ #].*==", lock.read_text("utf-8"), re.MULTILINE))

    async def install(progress: Progress) -> None:
        step = Step(
            title="installing packages",
            command=[
                *(sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"),
                *("--progress-bar", "off", "--no-deps", "--require-hashes", "--requirement", str(lock)),
            ],
            env=dict(os.environ),
            cwd=lock.parent,
            counts=lambda line: line.startswith(("Collecting ", "Requirement already satisfied: ")),
            unit=f"of up to {named}",
        )
        try:
            await step.run(progress)
        except BuildFailed as failure:
            raise PackagesNotInstalled(failure.what) from failure
        done()

    return Part("Python packages", [("Python packages", 175)], install)
