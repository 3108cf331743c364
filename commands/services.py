"""What a room is served with: somebody's accounts, or the services of this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from channels.settings import Configuration, Settings

__all__ = ["Preparation", "room_of", "services_of"]

Preparation: TypeAlias = Callable[[], AbstractAsyncContextManager[Settings]]
"""Brings up what the settings speak of, for as long as it is open."""


def room_of(configuration: Configuration, has_account: bool, log: FilteringBoundLogger) -> Preparation:
    """The room that somebody talks in; on this machine with the page to join it."""
    if has_account:
        settings = configuration.settings()
        log.info(
            "starting",
            room=settings.livekit.room_name,
            livekit=settings.livekit.url,
            api=settings.api.url,
        )
        return lambda: nullcontext(settings)
    # Only those who run without an account load the speech models and the rest of the playground.
    from commands.here import on_this_machine

    return lambda: on_this_machine(configuration, log)


def services_of(configuration: Configuration, has_account: bool) -> Preparation:
    """The services alone."""
    if has_account:
        return lambda: nullcontext(configuration.settings())
    from commands.here import services_here

    return lambda: services_here(configuration, lambda line: None)
