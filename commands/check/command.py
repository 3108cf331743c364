"""The command: all checks in order, each printed as soon as it is known."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from rich.console import Console

from channels.errors import VoiceAgentError, reason_of
from channels.printable import tell_json
from channels.settings import Accounts, Settings
from commands.check.accounts import check_api_key, check_clock, check_grants, check_livekit_key
from commands.check.clients import check_clients
from commands.check.finding import Colour, Finding, as_json, exit_code, print_finding
from commands.check.machine import check_packages, check_python
from commands.check.room_loop import check_room_loop
from commands.check.service import check_session, check_turn_detection

__all__ = ["check"]


async def check(
    prepare: Callable[[], AbstractAsyncContextManager[Accounts]],
    settings: Settings,
    has_account: bool,
    json: bool,
) -> int:
    """Runs every check and prints what it found; gives the exit code: 1 if anything is red.

    Args:
        prepare: starts this machine's own services, if there is no account.
        settings: the room's.
        has_account: whether the services are somebody's account.
        json: print one JSON array at the end instead of a line each.
    """
    # Two participants of one process: the SDK warns of handles that it has already dropped itself.
    logging.getLogger("livekit").setLevel(logging.ERROR)
    console = Console(file=sys.stdout, highlight=False)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(finding)
        if not json:
            print_finding(finding, console)

    tell(check_python())
    tell(check_packages())
    if not has_account:
        tell(Finding("account", Colour.GREEN, "none is set up: checking the services on this machine"))
        # The playground is loaded only without an account.
        from commands.check.language_model import check_language_model

        tell(await check_language_model())
    try:
        async with prepare() as accounts:
            await _check_services(settings, accounts, tell)
    except (VoiceAgentError, BaseExceptionGroup) as failure:
        error = reason_of(failure)
        if error is None:
            raise
        tell(Finding("services", Colour.RED, error.what, error.fix))
    if json:
        tell_json(as_json(findings), indent=2)
    return exit_code(findings)


async def _check_services(settings: Settings, accounts: Accounts, tell: Callable[[Finding], None]) -> None:
    livekit, livekit_answer = await check_livekit_key(accounts.livekit, settings.room_name)
    tell(livekit)
    service, service_answer = await check_api_key(accounts.api)
    tell(service)
    tell(check_clock([answer for answer in (livekit_answer, service_answer) if answer is not None]))
    tell(check_grants(accounts.livekit, settings.room_name))
    if livekit.colour is not Colour.RED:
        tell(await check_room_loop(accounts.livekit))
        tell(await check_clients(accounts.livekit, settings.room_name))
    if service.colour is not Colour.RED:
        tell(await check_session(accounts.api, settings.api))
    tell(check_turn_detection(settings.api.session))
