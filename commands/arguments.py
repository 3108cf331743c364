"""The arguments of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from channels.program import COMMAND, DISTRIBUTION, version
from channels.settings.catalogue import CATALOGUE
from channels.settings.listening import LISTEN_CHOICES
from channels.settings.rules import Malformed, Rule, Whole
from commands.fleet.load import usable_processors

__all__ = ["command_line", "parse"]


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; `command` is None for serving a room. Exits with 2 if it is wrong."""
    parser = command_line()
    first = next(iter(arguments or ()), "").partition("=")[0]
    flags = [flag for action in parser._actions for flag in action.option_strings]
    if first.startswith("--") and not any(flag.startswith(first) for flag in flags):
        # argparse would take what stands behind it for a command, and complain of that.
        near = get_close_matches(first, flags, n=1)
        parser.error(f"there is no {first}" + (f"; did you mean {near[0]}?" if near else ""))
    options = parser.parse_args(arguments)
    if options.log == "conversation" and (options.verbose or options.command not in (None, "console")):
        beside = "--verbose" if options.verbose else f"`{options.command}`"
        parser.error(f"--log conversation does not go with {beside}, which has a log: text or json")
    if options.record_audio and options.record is None:
        parser.error("--record-audio needs --record FILE")
    if options.command == "serve" and options.record is not None:
        lacks = [name for name in ("{room}", "{time}") if name not in str(options.record)]
        if lacks:
            parser.error(
                f"--record with serve needs {' and '.join(lacks)} in its name: each call has its own"
            )
    return options


def command_line() -> argparse.ArgumentParser:
    """What may stand on it, with its help."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="A voice agent in a LiveKit room.")
    parser.add_argument(
        "--version",
        action="version",
        version=f"{DISTRIBUTION} {version()}".strip(),
        help="print the name and version, and exit",
    )
    parser.add_argument(
        "--log",
        choices=("conversation", "text", "json"),
        help="what is shown: the conversation with its words (default in a terminal), or a log of events "
        "without them, as text (default elsewhere, and of `serve`) or JSON lines",
    )
    parser.add_argument(
        "--verbose", action="store_true", help="show the log, and more in it: every sound and change"
    )
    parser.add_argument(
        "--actor",
        action="append",
        default=[],
        metavar="FILE:CLASS",
        help="add your own actor to the conversation, e.g. my_file.py:MyActor,field=value; may be repeated",
    )
    parser.add_argument(
        "--tools",
        action="append",
        default=[],
        metavar="MODULE",
        help="a Python file or module whose public functions the agent may call; may be repeated",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="record everything that happens, as JSON lines; the name may contain {room} and {time}",
    )
    parser.add_argument(
        "--record-audio",
        action="store_true",
        help="with --record: also record both voices, in a WAV file next to it",
    )
    _add_configuration(parser)
    commands = parser.add_subparsers(dest="command", metavar="command")
    config = commands.add_parser("config", help="print the settings, and where each value comes from")
    config.add_argument("--json", action="store_true", help="print JSON")
    _add_configuration(config, again=True)
    token = commands.add_parser(
        "token", help="print a token that lets a client into the room (valid for an hour)"
    )
    token.add_argument("--identity", required=True, help="the name of the person who joins with it")
    token.add_argument("--operator", action="store_true", help="let this person steer the call")
    _add_configuration(token, again=True)
    commands.add_parser(
        "console", help="talk through this computer's microphone and loudspeakers, without a browser"
    )
    check = commands.add_parser("check", help="check that everything a call needs is there")
    check.add_argument("--json", action="store_true", help="print one JSON array")
    serve = commands.add_parser(
        "serve", help="serve the rooms that LiveKit's agent dispatch assigns, until Ctrl-C"
    )
    serve.add_argument(
        "--rooms",
        type=_read_by(Whole(1, 1000, "rooms")),
        metavar="N",
        help="rooms at a time, at most (default: as many as the load allows, see worker.most_load)",
    )
    serve.add_argument(
        "--processes",
        type=_processes,
        default=1,
        metavar="N",
        help="serve in so many processes; `auto` is one for each processor (default: %(default)s)",
    )
    serve.add_argument("--reports", action="store_true", help=argparse.SUPPRESS)  # of such a process
    _add_agent(serve, "for whom a dispatch asks (default: worker.agent_name; none: every new room)")
    dispatch = commands.add_parser("dispatch", help="ask LiveKit to send an agent into a room")
    dispatch.add_argument("room", metavar="ROOM", help="the room; it is opened if need be")
    _add_agent(dispatch, "as its workers registered it (default: worker.agent_name)")
    dispatch.add_argument("--metadata", metavar="JSON", help="what the agent is told about its job")
    other = dispatch.add_mutually_exclusive_group()
    other.add_argument("--list", action="store_true", help="list what was asked for in this room instead")
    other.add_argument("--cancel", metavar="ID", help="take a dispatch back instead; its agent leaves")
    dispatch.add_argument("--json", action="store_true", help="print JSON")
    graph = commands.add_parser("graph", help="draw a room's actors and channels, as Mermaid")
    graph.add_argument("--svg", type=Path, metavar="FILE", help="write an SVG image instead")
    _add_live(graph)
    operate = commands.add_parser("operate", help="steer a live call from a shell: one JSON command per line")
    operate.add_argument(
        "--url",
        metavar="URL",
        help="a LiveKit server other than .env's; the token is in LIVEKIT_TOKEN, "
        "or on the first line of standard input",
    )
    operate.add_argument("--room", metavar="NAME", help="which agent, if several run on this machine")
    operate.add_argument("--token", nargs="?", const="", help=argparse.SUPPRESS)  # to say where it belongs
    _add_replay(
        commands.add_parser("replay", help="replay a record: where would the agent decide differently?")
    )
    parser.set_defaults(agent=None)
    return parser


def _add_agent(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--agent", metavar="NAME", help=f"the agent's name, {what}")


def _add_live(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("a running agent")
    group.add_argument("--live", action="store_true", help="show what flows through the agent's channels")
    group.add_argument(
        "--once", action="store_true", help="with --live: draw the graph once, with depths and rates"
    )
    group.add_argument("--json", action="store_true", help="with --live: print JSON once")
    group.add_argument(
        "--url",
        metavar="URL",
        help="with --live: a LiveKit server other than .env's; the token is in LIVEKIT_TOKEN, "
        "or on the first line of standard input",
    )
    group.add_argument(
        "--room", metavar="NAME", help="with --live: which agent, if several run on this machine"
    )
    group.add_argument("--token", nargs="?", const="", help=argparse.SUPPRESS)  # to say where it belongs


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a file that --record has written")
    for flag, path, what_if in (
        ("--hold-ms", "barge_in.longest_hold_ms", "what if a hold lasted this long at most"),
        ("--linger-ms", "barge_in.linger_ms", "what if a hold went on this long after the sound"),
        ("--queue-size-ms", "speaker.queue_size_ms", "what if LiveKit's queue were this long"),
    ):
        parser.add_argument(flag, type=_read_by(CATALOGUE[path].rule), metavar="N", help=what_if)
    parser.add_argument(
        "--tolerance-ms",
        type=_read_by(Whole(0, 60_000, "ms")),
        default=60,
        metavar="N",
        help="times this close count as equal (default: %(default)s, three frames)",
    )
    parser.add_argument(
        "--listen-again",
        action="store_true",
        help="detect the person's sounds again from the WAV file, which is not exact",
    )
    parser.add_argument(
        "--picture",
        type=Path,
        metavar="FILE",
        help="the picture to write, .html or .svg (default: FILE.html)",
    )


def _processes(written: str) -> int:
    if written.strip() == "auto":
        return usable_processors()
    processes: int = _read_by(Whole(1, 64, "processes", fix="or write `auto`"))(written)
    return processes


def _read_by(rule: Rule) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return rule.parse(text)
        except Malformed as wrong:
            raise argparse.ArgumentTypeError(wrong.wrong) from None

    return read


def _add_configuration(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Adds the configuration flags; `again` for a command's own, which add to those before it."""
    group = parser.add_argument_group("configuration (overrides the environment, .env and the file)")
    default = argparse.SUPPRESS if again else None
    later = "later_" if again else ""
    group.add_argument("--config", metavar="FILE", default=default, help="a TOML or JSON file of settings")
    group.add_argument(
        "--profile", metavar="NAME", default=default, help="a turn-taking profile, see profiles/"
    )
    group.add_argument("--template", metavar="NAME", default=default, help="a system prompt, see prompts/")
    group.add_argument(
        "--var",
        dest=f"{later}variables",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="fill a variable of the template",
    )
    group.add_argument("--voice", metavar="NAME", default=default, help="the agent's voice")
    group.add_argument(
        "--listen",
        metavar="WHOM",
        default=default,
        help=f"who is heard if several people are there: {LISTEN_CHOICES} "
        f"(default: {CATALOGUE['listen.to'].default})",
    )
    group.add_argument(
        "--set",
        dest=f"{later}assignments",
        metavar="PATH=VALUE",
        action="append",
        default=[],
        help="any setting, by its path in a configuration file",
    )
    if not again:
        parser.set_defaults(later_variables=[], later_assignments=[])
