"""All services on this machine: for those who have no account and no key.

`local_services` runs a real LiveKit server and our Voice Agent API server for the time of a block, tells
how to join, and gives the settings that a `.env` would have given.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from channels.secret import Secret
from channels.settings import ApiSettings, LiveKitSettings, SessionConfig, Settings
from playground.livekit_server import livekit_server
from playground.voice_agent_api import ServerOptions, voice_agent_server

__all__ = ["local_services"]


@asynccontextmanager
async def local_services(
    room_name: str, progress: Callable[[str], None], session: SessionConfig
) -> AsyncIterator[Settings]:
    """Runs the services and gives the settings of one room.

    Args:
        room_name: of the room.
        progress: is given a line now and then while something is being built or loaded.
        session: how the agent shall behave.

    Raises:
        PlaygroundFault: a service cannot run here.
    """
    async with livekit_server(progress=progress) as livekit:
        # Its own ears decide when a turn is over; the service's slower habits are for tests.
        options = ServerOptions(endpointing_ms=None)
        async with voice_agent_server(options) as server:
            yield Settings(
                LiveKitSettings(livekit.url, livekit.api_key, livekit.api_secret, room_name),
                ApiSettings(server.url, Secret(secrets.token_hex(16)), session),
            )
