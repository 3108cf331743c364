"""Sets this machine up, with its progress on stderr, and ends."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from channels.ending import end_with
from channels.stopping import Stopped, until_told_to_stop
from playground.set_up import Course, Part, packages, playground

UNFINISHED = "unfinished"
"""As `commands.environment` knows it."""

_CLEAR = "\r\x1b[K"


class Terminal:
    """Lines that stay, and under them, if it is one, a line that changes."""

    is_one = sys.stderr.isatty()

    def tell(self, line: str) -> None:
        """Prints a line."""
        print(f"{_CLEAR if self.is_one else ''}{line}", file=sys.stderr, flush=True)

    def show(self, line: str) -> None:
        """Shows a line in the place of the last one."""
        width = shutil.get_terminal_size().columns - 1
        print(f"{_CLEAR}{line[:width]}", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.set_up", description="Gets what is missing on this machine, all at once."
    )
    parser.add_argument(
        "--packages", type=Path, metavar="LOCK", help="install the Python packages of this lock file"
    )
    parser.add_argument(
        "--stamp",
        type=Path,
        metavar="FILE",
        help=f"touched as soon as the packages are there; {UNFINISHED!r} beside it is removed",
    )
    parser.add_argument(
        "--playground", action="store_true", help="get what the agent runs with when there is no account"
    )
    options = parser.parse_args(arguments)

    def done() -> None:
        if options.stamp is not None:
            options.stamp.with_name(UNFINISHED).unlink(missing_ok=True)
            options.stamp.touch()

    parts = [] if options.packages is None else [packages(options.packages.resolve(), done)]
    if options.playground:
        parts += playground()
    return trio.run(_get, parts)


async def _get(parts: Sequence[Part]) -> int:
    terminal = Terminal()
    course = Course(parts, terminal.tell, terminal.show if terminal.is_one else None)
    missing = await until_told_to_stop(course.run)
    code = missing.code if isinstance(missing, Stopped) else int(bool(missing))
    if code and terminal.is_one:
        print(file=sys.stderr)  # what was shown last says how far it came
    return code


if __name__ == "__main__":
    end_with(main)
