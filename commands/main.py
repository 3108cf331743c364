"""The command line: what was asked for, with which settings, and the exit code."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import warnings
from collections.abc import Sequence

import trio
from structlog.typing import FilteringBoundLogger

from channels.errors import SettingsError, cause_of, was_interrupted
from channels.log import LogFormat, open_log
from channels.printable import complain
from channels.program import DISTRIBUTION, IS_INSTALLED
from channels.settings import ACCOUNT, LIVEKIT_ACCOUNT, read_configuration
from channels.standard_streams import as_written, standard_streams
from channels.terminal import Terminal, bottom_line
from commands.added import read_addition
from commands.agents_here import LiveKitRoom
from commands.arguments import parse
from commands.check import check
from commands.config import gather_from, print_configuration
from commands.conversations import Conversations
from commands.dispatch import dispatch
from commands.graph import draw, show_graph
from commands.operate import operate
from commands.services import can_run_here, services_of
from commands.token import print_token
from commands.tools import read_tools
from commands.wired import Wiring

__all__ = ["main"]

INTERRUPTED = 130
"""The shell's exit code for a program that Ctrl-C ended."""

_CONVERSATIONS = (None, "console")
"""The commands that have one conversation."""


def main(wire: Wiring, arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code.

    Args:
        wire: connects the actors of a room.
        arguments: of the command line; None: those of this process.
    """
    with standard_streams():
        try:
            if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            # `livekit-server --dev` has the secret "secret", which is no news to whoever starts that.
            warnings.filterwarnings("ignore", message="The HMAC key is")
            options = parse([as_written(each) for each in (sys.argv[1:] if arguments is None else arguments)])
            options.log = _shown(options)
            if options.log != "conversation":
                return _run(wire, options, open_log(options.log, verbose=options.verbose))
            with bottom_line() as terminal:
                return _run(wire, options, open_log(options.log), terminal)
        except SettingsError as error:
            complain(error)
            return 2
        except (BrokenPipeError, KeyboardInterrupt, BaseExceptionGroup) as failure:
            if was_interrupted(failure):
                return INTERRUPTED
            if not isinstance(cause_of(failure), BrokenPipeError):
                raise
            # The reader of our output has seen enough; Python itself would complain again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


def _shown(options: argparse.Namespace) -> LogFormat:
    """What is shown if nobody says so: a conversation, with its words, to a person who is there to read it.

    A service, a pipe and a file get the log, and so does the terminal that a container may have been given:
    whoever made it keeps what is written there. A container has no playground.
    """
    if options.log is not None:
        form: LogFormat = options.log
        return form
    streams = (sys.stdin, sys.stdout, sys.stderr)
    has_reader = all(stream is not None and stream.isatty() for stream in streams) and can_run_here()
    has_conversation = options.command in _CONVERSATIONS and not options.verbose
    return "conversation" if has_reader and has_conversation else "text"


def _run(
    wire: Wiring, options: argparse.Namespace, log: FilteringBoundLogger, terminal: Terminal | None = None
) -> int:
    additions = [read_addition(written) for written in options.actor]
    writings = gather_from(options, log.warning)

    def configured() -> LiveKitRoom:
        configuration = read_configuration(writings, log.warning, required=LIVEKIT_ACCOUNT)
        return LiveKitRoom(configuration.livekit(), configuration.room_name)

    match options.command:
        case "replay":
            from commands.replay import replay  # with Trio's tools for tests, which nothing else needs

            return replay(options, wire)
        case "graph":
            drawing = functools.partial(draw, functools.partial(wire, additions=additions))
            return show_graph(options, drawing, configured)
        case "operate":
            return operate(options, configured)
        case "dispatch":
            worker = read_configuration(writings, log.warning).worker()
            return dispatch(options, worker, configured)
        case "config":
            return print_configuration(read_configuration(writings, log.warning), as_json=options.json)
        case "token":
            return print_token(configured(), options.identity, operator=options.operator)
    has_account = writings.name_an_account or not can_run_here()
    if has_account and not writings.name_an_account and IS_INSTALLED:
        log.warning(f"to run without an account, install {DISTRIBUTION}[playground]")
    configuration = read_configuration(writings, log.warning, required=ACCOUNT if has_account else ())
    if options.command == "check":
        services = services_of(configuration, has_account)
        return trio.run(check, services, configuration.settings(), has_account, options.json)
    tools = read_tools(configuration.tools(), log.warning)
    return Conversations(
        options=options,
        wire=wire,
        additions=additions,
        writings=writings,
        configuration=configuration,
        has_account=has_account,
        log=log,
        tools=tools,
        terminal=terminal,
    ).run()
