"""`python runner.py serve --processes N`: the parent of the processes, and what each tells it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import trio
from structlog.typing import FilteringBoundLogger

from channels.errors import NoDispatch, WorkerProcessDied
from channels.settings import Accounts, LiveKitAccount
from channels.settings.health import HealthSettings
from commands.dispatch import at_any_node, cancel_dispatch, create_dispatch, list_dispatches
from commands.fleet.reports import Report, RunningRoom, Standing, write_report
from commands.fleet.shards import Shards
from commands.serve import RoomEnded
from commands.serve.observed import all_shown

__all__ = ["serve_in_processes", "tell_parent"]


async def tell_parent(report: Report) -> None:
    """In a process of a worker: writes the report to its parent, who reads at once."""
    sys.stdout.buffer.write(write_report(report))
    sys.stdout.buffer.flush()


async def serve_in_processes(
    options: argparse.Namespace,
    accounts: Accounts,
    draining: trio.Event,
    log: FilteringBoundLogger,
    health: HealthSettings,
    nodes: Sequence[str] = (),
) -> Sequence[RoomEnded]:
    """Serves jobs in several processes until they were told to leave, and have left.

    Args:
        options: of the command line.
        accounts: of every room.
        draining: set when no more jobs are to be taken.
        log: is told.
        health: where the process is seen from outside.
        nodes: further addresses of the same LiveKit.

    Raises:
        WorkerProcessDied: one of them ended with an error when it was told to leave.
    """

    async def another_agent(room: RunningRoom) -> None:
        async def ask(account: LiveKitAccount) -> None:
            if room.dispatch_id:
                try:
                    await cancel_dispatch(account, room.room, room.dispatch_id)
                except NoDispatch:
                    # LiveKit was restarted, or another worker has asked already.
                    listed = await list_dispatches(account, room.room)
                    if any(each.agent_name == room.agent_name for each in listed):
                        return
            await create_dispatch(account, room.room, room.agent_name, room.metadata)

        await at_any_node(accounts.livekit, nodes, ask)

    def command(number: int) -> Sequence[str]:
        """The same as ours, with its share of the rooms."""
        own = [sys.executable, *sys.orig_argv[1:], "--reports"]
        if options.rooms is None:
            return own
        return [*own, "--rooms", str(max(1, (options.rooms + number) // options.processes))]

    async def hand_on() -> None:
        await draining.wait()
        log.info("draining", processes=options.processes)
        shards.stop(signal.SIGTERM)

    def not_ready() -> str | None:
        standing = Standing.DRAINING if draining.is_set() else shards.standing()
        return None if standing is Standing.READY else f"this worker is {standing.value}"

    async with all_shown(health, log, not_ready) as counts, trio.open_nursery() as nursery:
        shards = Shards(
            options.processes,
            command,
            {**os.environ, **_environ_of(accounts), **counts.environ},
            log,
            another_agent,
            forget=counts.forget,
        )
        nursery.start_soon(hand_on)
        well = await shards.run()
        nursery.cancel_scope.cancel()
    if not well:
        raise WorkerProcessDied(
            "a process of this worker did not end in good order", "its own last line says why"
        )
    return []


def _environ_of(accounts: Accounts) -> Mapping[str, str]:
    """Where the services of this machine are, which only the parent runs."""
    return {
        "LIVEKIT_URL": accounts.livekit.url,
        "LIVEKIT_API_KEY": accounts.livekit.api_key,
        "LIVEKIT_API_SECRET": accounts.livekit.api_secret.reveal(),
        "VOICE_AGENT_URL": accounts.api.url,
        "ASSEMBLYAI_API_KEY": accounts.api.api_key.reveal(),
    }
