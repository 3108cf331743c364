"""This program by the names that a person knows it by: they depend on how it was installed.

A clone and a container image have the source tree as it is. A wheel has it inside of one package
(`deploy/wheel/trio_voice_agent`), and a command that runs it.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

__all__ = ["COMMAND", "DISTRIBUTION", "IS_INSTALLED", "SOURCE_TREE", "version"]

DISTRIBUTION = "trio-voice-agent"
"""As pyproject.toml calls it."""
SOURCE_TREE = Path(__file__).resolve().parents[1]
IS_INSTALLED = SOURCE_TREE.name == "source-tree"
"""Whether it came from a wheel."""
COMMAND = DISTRIBUTION if IS_INSTALLED else "python runner.py"
"""What a person types to run it."""


def version() -> str:
    """The version of this project; "" of a tree without a pyproject.toml."""
    if IS_INSTALLED:
        return metadata.version(DISTRIBUTION)
    try:
        project = (SOURCE_TREE / "pyproject.toml").read_text("utf-8")
    except OSError:
        return ""
    found = re.search(r'^version = "([^"]+)"', project, re.MULTILINE)
    return found[1] if found else ""
