"""The installed form of the voice agent: its source tree, as it is, inside of one package.

The project is a program whose top level has names (`actors`, `channels`, `sound`, …) that other packages may
have too. So a wheel installs this package alone, with the tree in a folder whose name no import can spell.
Importing the package puts that folder first on the path of this process, and of no other. So your own actors
and tools import `channels.…` whichever way the agent was installed, and what runs is what the tests ran with.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

__all__ = ["SOURCE_TREE", "main"]

SOURCE_TREE = Path(__file__).resolve().parent / "source-tree"
"""For the settings of an editor or a type checker that is to find `channels`."""

if str(SOURCE_TREE) not in sys.path:
    sys.path.insert(0, str(SOURCE_TREE))


def main() -> None:
    """Does what `python runner.py` does in a clone; ends the process."""
    runpy.run_path(str(SOURCE_TREE / "runner.py"), run_name="__main__")
