"""Runs everything on this machine: what `python runner.py` needs without an account."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from structlog.typing import FilteringBoundLogger

from actors.room.actor import mint_client_token
from channels.settings import Configuration, Settings
from commands.browser import has_desktop, shown_in_browser
from commands.token import CLIENT_TOKEN_LIFE
from playground.local import local_services
from playground.page_server import Joining, page_server

__all__ = ["on_this_machine", "services_here"]

HOW_TO_JOIN = """
Talk to the agent in your browser:  {page}

Any other LiveKit front end can join too (for example https://agents-playground.livekit.io, "Manual"):

    URL    {url}
    token  {token}

Press Ctrl-C to stop.
"""


@asynccontextmanager
async def services_here(
    configuration: Configuration, progress: Callable[[str], None]
) -> AsyncIterator[Settings]:
    """A LiveKit server and a Voice Agent API on this machine, for as long as it is open."""
    room_name = configuration.values["livekit.room_name"].value
    async with local_services(room_name, progress, configuration.session()) as here:
        yield configuration.settings_at(here.livekit, here.api.url, here.api.api_key)


@asynccontextmanager
async def on_this_machine(configuration: Configuration, log: FilteringBoundLogger) -> AsyncIterator[Settings]:
    """The services and the page on this machine, for as long as it is open; says how to join."""
    log.info("no account is set up, so everything runs on this machine")
    async with services_here(configuration, lambda line: log.info(line)) as settings:

        def join(identity: str) -> Joining:
            return Joining(
                settings.livekit.url, mint_client_token(settings.livekit, identity, CLIENT_TOKEN_LIFE)
            )

        async with (
            page_server(join=join, progress=lambda line: log.info(line)) as page,
            AsyncExitStack() as shown,
        ):
            token = join("you").token
            print(HOW_TO_JOIN.format(page=page, url=settings.livekit.url, token=token.reveal()), flush=True)
            if sys.stdout.isatty() and has_desktop():
                await shown.enter_async_context(shown_in_browser(page))
            yield settings
