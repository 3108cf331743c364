"""This machine: Python, and the packages that the project asks for."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from channels.program import DISTRIBUTION, IS_INSTALLED
from commands.check.finding import Colour, Finding
from commands.environment import OLDEST_PYTHON

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["check_installed", "check_locked", "check_packages", "check_python"]

LOCK_FILE = Path(__file__).parents[2] / "requirements.lock"


def check_python() -> Finding:
    """Whether Python is new enough."""
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return Finding(
            "Python",
            Colour.RED,
            f"{version} is too old",
            f"install Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer",
        )
    return Finding("Python", Colour.GREEN, f"{version} on {platform.system()} {platform.machine()}")


def check_packages() -> Finding:
    """Whether the packages that it needs are installed."""
    return check_installed(metadata.requires(DISTRIBUTION) or []) if IS_INSTALLED else check_locked()


def check_installed(wanted: Iterable[str]) -> Finding:
    """Whether what a wheel asks for is installed; what belongs to an extra is left out.

    Args:
        wanted: requirements, as packages declare them.
    """
    from packaging.requirements import Requirement

    requirements = [each for each in map(Requirement, wanted) if _is_for_this_machine(each)]
    wrong = []
    for each in requirements:
        try:
            installed = metadata.version(each.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{each.name} is missing")
            continue
        if not each.specifier.contains(installed, prereleases=True):
            wrong.append(f"{each.name} {installed} is not {each.specifier}")
    if wrong:
        return Finding("packages", Colour.RED, _few(wrong), f"install {DISTRIBUTION} again")
    return Finding("packages", Colour.GREEN, f"all {len(requirements)} that {DISTRIBUTION} asks for")


def check_locked(lock_file: Path = LOCK_FILE) -> Finding:
    """Whether the packages of the lock file are installed, each in its version."""
    try:
        locked = list(_locked(lock_file.read_text("utf-8").splitlines()))
    except OSError:
        return Finding("packages", Colour.YELLOW, f"there is no {lock_file.name}", "use a complete clone")
    missing, other = [], []
    for name, version in locked:
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if installed != version:
            other.append(f"{name} {installed} (locked: {version})")
    if missing:
        return Finding(
            "packages", Colour.RED, f"{len(missing)} are missing: {_few(missing)}", "run `make run` once"
        )
    if other:
        return Finding(
            "packages",
            Colour.YELLOW,
            f"{len(other)} differ from the lock file: {_few(other)}",
            "run `make clean` and `make run`",
        )
    return Finding("packages", Colour.GREEN, f"all {len(locked)} from the lock file")


def _locked(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Names and versions of those that this Python and this system need."""
    from packaging.requirements import Requirement

    for line in lines:
        written = re.match(r"[A-Za-z0-9][^\\#]*==[^\\#]*", line)
        if written is None:
            continue
        requirement = Requirement(written.group().strip())
        if _is_for_this_machine(requirement):
            (version,) = requirement.specifier
            yield requirement.name, version.version


def _is_for_this_machine(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _few(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
