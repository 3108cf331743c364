"""The services a room uses: the user's accounts, or this machine's own services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from channels.settings import Configuration, Settings
from commands.agents_here import announced

__all__ = ["Preparation", "room_of", "services_of"]

Preparation: TypeAlias = Callable[[], AbstractAsyncContextManager[Settings]]
"""Runs the services that the settings name, for as long as it is open."""


def room_of(configuration: Configuration, has_account: bool, log: FilteringBoundLogger) -> Preparation:
    """The room people talk in; on this machine, with the page to join it."""
    if has_account:
        settings = configuration.settings()
        log.info(
            "starting",
            room=settings.livekit.room_name,
            livekit=settings.livekit.url,
            api=settings.api.url,
        )
        return lambda: _announced(lambda: nullcontext(settings), with_keys=False)
    # Only those who run without an account load the speech models and the rest of the playground.
    from commands.here import on_this_machine

    return lambda: _announced(lambda: on_this_machine(configuration, log), with_keys=True)


@asynccontextmanager
async def _announced(prepare: Preparation, *, with_keys: bool) -> AsyncIterator[Settings]:
    async with prepare() as settings:
        with announced(settings.livekit, with_keys=with_keys):
            yield settings


def services_of(configuration: Configuration, has_account: bool) -> Preparation:
    """The services alone."""
    if has_account:
        return lambda: nullcontext(configuration.settings())
    from commands.here import services_here

    return lambda: services_here(configuration, lambda line: None)
