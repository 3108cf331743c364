"""The arguments of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from channels.settings.catalogue import CATALOGUE
from channels.settings.listening import LISTEN_CHOICES
from channels.settings.rules import Malformed, Rule, Whole

__all__ = ["parse"]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for; `command` is None for serving a room. Exits with 2 if that cannot be told."""
    parser = argparse.ArgumentParser(prog="python runner.py", description="A voice agent in a LiveKit room.")
    parser.add_argument(
        "--log", choices=("text", "json"), default="text", help="how the log looks (default: %(default)s)"
    )
    parser.add_argument("--verbose", action="store_true", help="log more: each word, sound and change")
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
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write down all that happens, as JSON lines; {room} and {time} may be in its name",
    )
    parser.add_argument(
        "--record-audio", action="store_true", help="with --record: also both voices, in a WAV file beside it"
    )
    _add_configuration(parser)
    commands = parser.add_subparsers(dest="command", metavar="command")
    config = commands.add_parser("config", help="print what is configured, and where each value comes from")
    config.add_argument("--json", action="store_true", help="for machines")
    _add_configuration(config, again=True)
    token = commands.add_parser("token", help="print a token for a client of the room (valid for an hour)")
    token.add_argument("--identity", required=True, help="the name of who joins with it")
    token.add_argument("--operator", action="store_true", help="who joins with it may steer the call")
    _add_configuration(token, again=True)
    check = commands.add_parser("check", help="see whether everything is there that a call needs")
    check.add_argument("--json", action="store_true", help="print one JSON array, for a machine")
    graph = commands.add_parser("graph", help="draw who exists in a room and what joins them, as Mermaid")
    graph.add_argument("--svg", type=Path, metavar="FILE", help="write a picture instead")
    _add_live(graph)
    operate = commands.add_parser("operate", help="steer a live call: one JSON command a line, from a shell")
    operate.add_argument(
        "--url",
        metavar="URL",
        help="of another LiveKit server than .env's; LIVEKIT_TOKEN lets one in, "
        "or the first line of standard input",
    )
    operate.add_argument("--room", metavar="NAME", help="which, where several agents run on this machine")
    operate.add_argument("--token", nargs="?", const="", help=argparse.SUPPRESS)  # to say where it belongs
    _add_replay(
        commands.add_parser("replay", help="run a record again: where would the agent decide otherwise?")
    )
    options = parser.parse_args(arguments)
    if options.record_audio and options.record is None:
        parser.error("--record-audio needs --record FILE")
    return options


def _add_live(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a running agent")
    group.add_argument("--live", action="store_true", help="show what flows through the agent in the room")
    group.add_argument("--once", action="store_true", help="with --live: draw it once, with depths and rates")
    group.add_argument("--json", action="store_true", help="with --live: once, for a machine")
    group.add_argument(
        "--url",
        metavar="URL",
        help="with --live: of another LiveKit server than .env's; LIVEKIT_TOKEN lets "
        "one in, or the first line of standard input",
    )
    group.add_argument(
        "--room", metavar="NAME", help="with --live: which, where several agents run on this machine"
    )
    group.add_argument("--token", nargs="?", const="", help=argparse.SUPPRESS)  # to say where it belongs


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="what --record has written")
    for flag, path, what_if in (
        ("--hold-ms", "barge_in.longest_hold_ms", "what if the voice were held this long at most"),
        ("--linger-ms", "barge_in.linger_ms", "… and this much longer than the sound"),
        ("--queue-size-ms", "speaker.queue_size_ms", "what if so much lay in LiveKit's queue"),
    ):
        parser.add_argument(flag, type=_read_by(CATALOGUE[path].rule), metavar="N", help=what_if)
    parser.add_argument(
        "--tolerance-ms",
        type=_read_by(Whole(0, 60_000, "ms")),
        default=60,
        metavar="N",
        help="times that are this near are the same (default: %(default)s, three frames)",
    )
    parser.add_argument(
        "--listen-again",
        action="store_true",
        help="look for the person's sounds in the WAV file anew, which is not exact",
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="where to draw it, .html or .svg (default: FILE.html)"
    )


def _read_by(rule: Rule) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return rule.parse(text)
        except Malformed as wrong:
            raise argparse.ArgumentTypeError(wrong.wrong) from None

    return read


def _add_configuration(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Adds the flags that configure; `again` for those of a command, which keep the ones before it."""
    group = parser.add_argument_group("configuration (over the environment, .env, and the file)")
    default = argparse.SUPPRESS if again else None
    later = "later_" if again else ""
    group.add_argument("--config", metavar="FILE", default=default, help="a TOML or JSON file of settings")
    group.add_argument(
        "--profile", metavar="NAME", default=default, help="how turns are taken, see profiles/"
    )
    group.add_argument("--template", metavar="NAME", default=default, help="a system prompt, see prompts/")
    group.add_argument(
        "--var",
        dest=f"{later}variables",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="fills a variable of the template",
    )
    group.add_argument("--voice", metavar="NAME", default=default, help="the voice of the agent")
    group.add_argument(
        "--listen",
        metavar="WHOM",
        default=default,
        help=f"who is heard where several people are: {LISTEN_CHOICES} "
        f"(default: {CATALOGUE['listen.to'].default})",
    )
    group.add_argument(
        "--set",
        dest=f"{later}assignments",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        help="any setting, by its path in a file",
    )
    if not again:
        parser.set_defaults(later_variables=[], later_assignments=[])
