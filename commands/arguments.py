"""The arguments of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

__all__ = ["parse"]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; `command` is None for serving a room. Exits with 2 if that cannot be told."""
    parser = argparse.ArgumentParser(prog="python runner.py", description="A voice agent in a LiveKit room.")
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="how the log looks (default: text)"
    )
    parser.add_argument("--verbose", action="store_true", help="log partial transcripts too")
    parser.add_argument(
        "--actor",
        action="append",
        default=[],
        metavar="FILE:CLASS",
        help="an actor of your own beside the conversation, e.g. my_file.py:MyActor,field=value",
    )
    parser.add_argument(
        "--tools",
        action="append",
        default=[],
        metavar="MODULE",
        help="a Python file, or a dotted name, whose public functions the agent may call; may be repeated",
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    token = commands.add_parser("token", help="print a token for a client of the room (valid for an hour)")
    token.add_argument("--identity", required=True, help="the name of who joins with it")
    return parser.parse_args(arguments)
