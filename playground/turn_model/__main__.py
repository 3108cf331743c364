"""Finds or fetches Smart Turn's model, with its progress on stderr, and ends."""

from __future__ import annotations

import sys

import trio

from channels.ending import end_with
from channels.errors import VoiceAgentError
from playground.turn_model.fetch import find_or_fetch


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _fetch() -> None:
    try:
        _tell(f"Smart Turn: {await find_or_fetch(progress=_tell)}")
    except VoiceAgentError as error:
        _tell(f"{error}")  # The agent can do without: no reason to stop the set-up.


def main() -> int:
    """The command line; gives the exit code."""
    try:
        trio.run(_fetch)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    end_with(main)
