"""The services a room uses: the user's accounts, or this machine's own services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.util import find_spec
from typing import TypeAlias

from structlog.typing import FilteringBoundLogger

from channels.printable import complain
from channels.settings import Accounts, Configuration
from commands.agents_here import LiveKitRoom, announced

__all__ = [
    "Preparation",
    "can_run_here",
    "services_for_calls",
    "services_for_jobs",
    "services_of",
    "services_without_page",
]

Preparation: TypeAlias = Callable[[], AbstractAsyncContextManager[Accounts]]
"""Runs the services, for as long as it is open."""


def can_run_here() -> bool:
    """Whether this machine can do without an account.

    A container image has no playground, and a wheel that was installed without its extra lacks the voice.
    """
    return find_spec("playground") is not None and find_spec("hibari") is not None


def services_for_calls(
    configuration: Configuration, has_account: bool, log: FilteringBoundLogger, *, briefly: bool = False
) -> Preparation:
    """The services for people who talk to the agent; on this machine, with the page to join its room.

    Args:
        configuration: names the room, and an account.
        has_account: whether to use it.
        log: is told what is being prepared.
        briefly: to name the page alone, not what other front ends need.
    """
    room_name = configuration.room_name
    if has_account:
        accounts = configuration.accounts()
        log.info("starting", room=room_name, livekit=accounts.livekit.url, api=accounts.api.url)
        return lambda: _announced(lambda: nullcontext(accounts), room_name, with_keys=False)
    # Only those who run without an account load the speech models and the rest of the playground.
    from commands.here import on_this_machine

    return lambda: _announced(
        lambda: on_this_machine(room_name, log, briefly=briefly), room_name, with_keys=True
    )


def services_without_page(
    configuration: Configuration, has_account: bool, log: FilteringBoundLogger
) -> Preparation:
    """As `services_for_calls`, where nobody needs to be told how to join."""
    if has_account:
        return services_for_calls(configuration, True, log)
    from playground.local import local_services

    log.info("no account is set up, so everything runs on this machine")
    room_name = configuration.room_name
    return lambda: _announced(lambda: local_services(lambda line: log.info(line)), room_name, with_keys=True)


def services_for_jobs(
    configuration: Configuration, has_account: bool, log: FilteringBoundLogger
) -> Preparation:
    """As `services_for_calls`, for an agent that has no room of its own."""
    return services_of(configuration, True) if has_account else services_for_calls(configuration, False, log)


@asynccontextmanager
async def _announced(prepare: Preparation, room_name: str, *, with_keys: bool) -> AsyncIterator[Accounts]:
    async with prepare() as accounts:
        with announced(LiveKitRoom(accounts.livekit, room_name), with_keys=with_keys):
            yield accounts


def services_of(configuration: Configuration, has_account: bool) -> Preparation:
    """The services alone."""
    if has_account:
        return lambda: nullcontext(configuration.accounts())
    return _quiet_services


@asynccontextmanager
async def _quiet_services() -> AsyncIterator[Accounts]:
    """This machine's own, which are told of only if something has to be fetched for them."""
    from playground.local import local_services
    from playground.set_up import set_up

    await set_up(complain)
    async with local_services(lambda line: None) as accounts:
        yield accounts
