"""All services on this machine, for people without an account or a key.

`local_services` runs a real LiveKit server and our Voice Agent API server, each in its own process, while its
block runs, and returns the accounts that a `.env` would have given. The brain is the small dialogue, or the
language model that `OPENAI_BASE_URL` names (in the environment, or in `.env`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from channels.settings import Accounts, ApiAccount, LiveKitAccount
from playground.language_model import tell_who_answers
from playground.livekit_server import livekit_server
from playground.voice_agent_process import voice_agent_process

__all__ = ["local_services"]

_FOR_A_PERSON = (
    *("--delays", "none", "--leading-silence-ms", "0"),
    *("--speech-started", "onset", "--over-hold", "heard"),
)


@asynccontextmanager
async def local_services(progress: Callable[[str], None]) -> AsyncIterator[Accounts]:
    """Runs the services and returns the accounts for them.

    Args:
        progress: is given a line now and then while something is being built or loaded.

    Raises:
        PlaygroundFault: (perhaps in a group) a service cannot run here, or has ended.
        SettingsError: `OPENAI_BASE_URL` or its key cannot be used.
    """
    tell_who_answers(
        progress
    )  # the server finds it out for itself; here a mistake is found before anything runs
    # It speaks and listens at once, and nothing that is said to it gets lost: the service's slower habits,
    # and its deafness while a tool runs, are for tests.
    async with (
        voice_agent_process(*_FOR_A_PERSON) as server,
        livekit_server(progress=progress) as livekit,
        trio.open_nursery() as nursery,
    ):
        url = await server.url()
        nursery.start_soon(server.watch)
        yield Accounts(
            LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret),
            ApiAccount(url, api_key=server.api_key),
        )
        nursery.cancel_scope.cancel()
