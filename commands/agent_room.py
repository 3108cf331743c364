"""The room of a running agent, for the commands that talk to it.

Every call to an agent carries the right to steer it. So each call gets a new token that is valid for two
minutes, and a leaked one is worth little. A token given by the user (`--url`) is never on the command line,
which anybody who lists this machine's processes can read.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from getpass import getpass

import attrs
import trio

from actors.room.actor import mint_watcher_token
from channels.errors import SettingsError
from channels.secret import Secret
from channels.settings.dotenv import unquoted
from commands.agents_here import AgentHere, LiveKitRoom, agents_here

__all__ = ["TOKEN_VARIABLE", "AgentRoom", "cancel_on_ctrl_c", "find_room", "room_of_agent"]

TOKEN_VARIABLE = "LIVEKIT_TOKEN"
"""Of the environment: the token that belongs to `--url`."""

_TOKEN_LIFE = timedelta(minutes=2)
"""To join with, and to show in one call; the server renews the one that was joined with."""

_LONGEST_TOKEN = 20_000
"""Characters."""


@attrs.frozen
class AgentRoom:
    """A room with an agent in it."""

    url: str
    token: Callable[[], Secret]
    """Gives the right to steer that agent, for now."""


def room_of_agent(
    options: argparse.Namespace,
    configured: Callable[[], LiveKitRoom],
    name: str,
    environ: Mapping[str, str] = os.environ,
) -> AgentRoom:
    """The room of `--url`, whose token is asked for, or of the agent that runs here, or of the settings.

    Where an account is set up, the agent here is one of its server. The room of the settings goes before, if
    an agent is in it.

    Args:
        options: of the command line.
        configured: gives the room of the settings.
        name: what the identity begins with.
        environ: may have the token of `--url`; else it is the first line of standard input. It says, too,
            where agents that run here tell of themselves.

    Raises:
        SettingsError: there is no token for `--url`, or it is not where it belongs, or several agents run
            here, or none does and a setting is missing.
    """
    if options.token is not None:
        raise SettingsError(
            "--token shows the token to anybody who lists this machine's processes",
            f"set {TOKEN_VARIABLE} in the environment, or leave it out and you will be asked for it",
        )
    if options.url:
        token = _read_token(environ)
        return AgentRoom(options.url, lambda: token)
    room = find_room(configured, options.room, agents_here(environ))
    identity = f"{name}-{secrets.token_hex(4)}"
    return AgentRoom(
        room.account.url, lambda: mint_watcher_token(room.account, room.room_name, identity, _TOKEN_LIFE)
    )


def find_room(
    configured: Callable[[], LiveKitRoom], room_name: str | None, here: Sequence[AgentHere]
) -> LiveKitRoom:
    """The room of the settings, or that of an agent here.

    Args:
        configured: gives the room of the settings.
        room_name: the one that is wanted, if there are several.
        here: agents that run on this machine.

    Raises:
        SettingsError: several agents run here, or none does and a setting is missing.
    """
    try:
        own_room = configured()
    except SettingsError:
        on_this_machine = [room for agent in here if (room := agent.room()) is not None]
        wanted = [room for room in on_this_machine if room_name in (None, room.room_name)]
        if len(wanted) > 1 or (on_this_machine and not wanted):
            raise _choose((room.room_name, room.account.url) for room in on_this_machine) from None
        if wanted:
            return wanted[0]
        raise
    if room_name is not None:
        return attrs.evolve(own_room, room_name=room_name)
    url = own_room.account.url
    rooms = {agent.room_name for agent in here if agent.url == url}
    if own_room.room_name in rooms or not rooms:
        return own_room
    if len(rooms) > 1:
        raise _choose((name, url) for name in rooms)
    return attrs.evolve(own_room, room_name=rooms.pop())


def _choose(rooms: Iterable[tuple[str, str]]) -> SettingsError:
    there_are = ", ".join(sorted({f"{name!r} at {url}" for name, url in rooms}))
    return SettingsError(
        f"several agents run on this machine, in the rooms {there_are}",
        "pick one with --room NAME",
    )


def _read_token(environ: Mapping[str, str]) -> Secret:
    written = unquoted(environ.get(TOKEN_VARIABLE, "")).strip()
    if not written and sys.stdin is not None:
        try:
            if sys.stdin.isatty():
                written = getpass("token: ").strip()
            else:
                written = sys.stdin.readline(_LONGEST_TOKEN).strip()
        except (EOFError, UnicodeError):
            written = ""
    if not written or not written.isascii() or not written.isprintable():
        raise SettingsError(
            f"--url needs a token (found {len(written)} characters)",
            f"set {TOKEN_VARIABLE}, or put it on the first line of standard input",
        )
    return Secret(written)


async def cancel_on_ctrl_c(scope: trio.CancelScope) -> None:
    """Cancels when a person presses Ctrl-C."""
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
