"""The room of a running agent, for the commands that talk to it."""

from __future__ import annotations

import argparse
import secrets
import signal
from collections.abc import Callable
from datetime import timedelta

import attrs
import trio

from actors.room.actor import mint_watcher_token
from channels.errors import SettingsError
from channels.secret import Secret
from channels.settings import LiveKitSettings

__all__ = ["AgentRoom", "cancel_on_ctrl_c", "room_of_agent"]

_TOKEN_LIFE = timedelta(hours=12)
"""It is shown with every call, not only when the room is joined."""


@attrs.frozen
class AgentRoom:
    """A room with an agent in it, and the right to steer that agent."""

    url: str
    token: Secret


def room_of_agent(
    options: argparse.Namespace, livekit: Callable[[], LiveKitSettings], name: str
) -> AgentRoom:
    """The room of `--url` and `--token`, else the one of the settings.

    Args:
        options: of the command line.
        livekit: gives the settings.
        name: what the identity begins with.

    Raises:
        SettingsError: one of the two is given without the other, or a setting is missing.
    """
    if bool(options.url) != bool(options.token):
        raise SettingsError("--url and --token belong together", "give both as they were printed, or neither")
    if options.url:
        return AgentRoom(options.url, Secret(options.token))
    settings = livekit()
    identity = f"{name}-{secrets.token_hex(4)}"
    return AgentRoom(settings.url, mint_watcher_token(settings, identity, _TOKEN_LIFE))


async def cancel_on_ctrl_c(scope: trio.CancelScope) -> None:
    """Cancels when a person presses Ctrl-C."""
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()
