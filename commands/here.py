"""Runs everything on this machine: what `python runner.py` needs without an account."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from structlog.typing import FilteringBoundLogger

from actors.room.actor import mint_client_token
from channels.settings import Accounts
from commands.browser import has_desktop, shown_in_browser
from commands.token import CLIENT_TOKEN_LIFE
from playground.local import local_services
from playground.page_server import Joining, page_server
from playground.set_up import set_up

__all__ = ["on_this_machine"]

HOW_TO_JOIN = """
Talk to the agent in your browser:  {page}

Any other LiveKit front end can join too (for example https://agents-playground.livekit.io, "Manual"):

    URL    {url}
    token  {token}

Press Ctrl-C to stop.
"""

HOW_TO_TALK = """
Talk to the agent in your browser:  {page}
Press Ctrl-C to stop. (--verbose shows the log, and how other LiveKit front ends can join.)
"""


@asynccontextmanager
async def on_this_machine(
    room_name: str, log: FilteringBoundLogger, *, briefly: bool = False
) -> AsyncIterator[Accounts]:
    """The services and the page on this machine, for as long as it is open; says how to join.

    Args:
        room_name: the agent's.
        log: is told what is being prepared.
        briefly: to name the page alone, not what other front ends need.
    """
    log.info("no account is set up, so everything runs on this machine")
    await set_up(log.info)
    async with local_services(lambda line: log.info(line)) as accounts:
        livekit = accounts.livekit

        def join(identity: str) -> Joining:
            return Joining(livekit.url, mint_client_token(livekit, room_name, identity, CLIENT_TOKEN_LIFE))

        async with (
            page_server(join=join, progress=lambda line: log.info(line)) as page,
            AsyncExitStack() as shown,
        ):
            if briefly:
                print(HOW_TO_TALK.format(page=page), flush=True)
            else:
                token = join("you").token
                print(HOW_TO_JOIN.format(page=page, url=livekit.url, token=token.reveal()), flush=True)
            if sys.stdout.isatty() and has_desktop():
                await shown.enter_async_context(shown_in_browser(page))
            yield accounts
