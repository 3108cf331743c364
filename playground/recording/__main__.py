"""The command line of `playground.recording`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from channels.errors import PlaygroundFault
from channels.printable import complain, tell
from playground.recording import read_log, script_of

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a script. Gives the exit code: 0, or 2 if the log is none."""
    parser = argparse.ArgumentParser(
        prog="python -m playground.recording",
        description="Turns a log of a live call (JSON lines with time, direction and message) into a script "
        "for python -m playground.voice_agent_api --script. Keys and tokens in the log are left out.",
    )
    parser.add_argument("log", metavar="LOG", help="the log; - for stdin")
    parser.add_argument(
        "--unit",
        choices=["s", "ms"],
        help="the unit of times under t, at and the like, if it could be either",
    )
    given = parser.parse_args(arguments)
    try:
        if given.log == "-":
            rows = read_log(sys.stdin.buffer, unit=given.unit)
        else:
            with Path(given.log).open("rb") as log:
                rows = read_log(log, unit=given.unit)
        lines = script_of(rows)
    except OSError as error:
        complain(f"the log {given.log} cannot be read ({error}); give the path of a log")
        return 2
    except PlaygroundFault as fault:
        complain(fault)
        return 2
    try:
        for line in lines:
            tell(line)
    except BrokenPipeError:
        # Whoever reads it has seen enough; Python itself would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
