"""All services on this machine: for those who have no account and no key.

`local_services` runs a real LiveKit server and our Voice Agent API server for the time of a block, tells
how to join, and gives the settings that a `.env` would have given. The brain is a small dialogue, or the
language model that `OPENAI_BASE_URL` (in the environment, or in `.env`) names.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from dotenv import dotenv_values

from channels.secret import Secret
from channels.settings import ApiSettings, LiveKitSettings, SessionConfig, Settings
from playground.brain import Brain
from playground.chat_completions import read_endpoint
from playground.dialogue import Dialogue
from playground.livekit_server import livekit_server
from playground.openai_brain import OpenAIBrain
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
        SettingsError: `OPENAI_BASE_URL` or its key cannot be used.
    """
    brain = _brain(progress)
    async with livekit_server(progress=progress) as livekit:
        # Its own ears decide when a turn is over, and it speaks at once; the service's slower habits are for
        # tests.
        options = ServerOptions(brain=brain, endpointing_ms=None, leading_silence_ms=0)
        async with voice_agent_server(options) as server:
            yield Settings(
                LiveKitSettings(livekit.url, livekit.api_key, livekit.api_secret, room_name),
                ApiSettings(server.url, Secret(secrets.token_hex(16)), session),
            )


def _brain(progress: Callable[[str], None]) -> Callable[[], Brain]:
    written = dotenv_values(Path(".env"), interpolate=False) if Path(".env").is_file() else {}
    endpoint = read_endpoint(
        {**written, **{name: value for name, value in os.environ.items() if value.strip()}}
    )
    if endpoint is None:
        return Dialogue
    progress(f"answers come from the language model at {endpoint.base_url}")
    return lambda: OpenAIBrain(endpoint)
