"""The conversations that were asked for: in one room, or in every room that a worker is sent to."""

from __future__ import annotations

import argparse
import functools
import secrets
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import trio
from attrs import frozen
from structlog.typing import FilteringBoundLogger

from actors.record import check_free
from actors.room.livekit_edge import LiveKitEdge
from actors.room.seat import OWN_ROOM, Seat
from channels.backoff import Turns
from channels.log import warnings_alone
from channels.named_paths import PathNames
from channels.settings import Accounts, Configuration, Settings, ToolSettings, Writings
from channels.streams import Addition
from channels.terminal import Terminal
from commands.console import with_person
from commands.fleet import JobRoomMaker, serve_in_processes, serve_jobs, tell_parent
from commands.fleet.descriptors import allow_descriptors
from commands.graph import draw
from commands.serve import RoomEnded, RoomSpec, serve, supervise
from commands.serve.held import LoopWatch
from commands.serve.observed import UNOBSERVED, Observed, observe
from commands.services import Preparation, services_for_calls, services_for_jobs, services_without_page
from commands.tools import with_tools
from commands.wired import Wired, Wiring

__all__ = ["Conversations"]


@frozen
class Conversations:
    """What they all have in common.

    Args:
        options: of the command line.
        wire: connects the actors of a room.
        additions: actors that the user adds.
        writings: the settings of each room, as they were written.
        configuration: the same, checked.
        has_account: else everything runs on this machine.
        log: is told what happens.
        tools: that the agent may call.
        terminal: shows the conversation, if there is one to see it.
    """

    options: argparse.Namespace
    wire: Wiring
    additions: Sequence[Addition]
    writings: Writings
    configuration: Configuration
    has_account: bool
    log: FilteringBoundLogger
    tools: ToolSettings
    terminal: Terminal | None = None

    def run(self) -> int:
        """Converses until there is nobody left to converse with; gives the exit code.

        Raises:
            SettingsError: an addition cannot have what it subscribes to, or the record's file exists.
        """
        if self.additions:
            # Report impossible subscriptions before anything starts.
            draw(functools.partial(self.wire, additions=self.additions))
        return self._in_every_room() if self.options.command == "serve" else self._in_one_room()

    def _in_one_room(self) -> int:
        options, configuration, log = self.options, self.configuration, self.log
        if options.record is not None:
            check_free(
                PathNames(configuration.room_name).path(options.record), with_sound=options.record_audio
            )
        observed = observe(configuration.health(), log, is_worker=False, has_parent=False)
        you = f"console-{secrets.token_hex(4)}" if options.command == "console" else ""
        settings = with_tools(configuration.settings(), self.tools)
        wire = self._wiring(observed, you)

        async def serve_one(accounts: Accounts, watch: LoopWatch) -> Sequence[RoomEnded]:
            room = RoomSpec(settings, accounts, wire, options.record, options.record_audio)
            async with observed.shown(log, watch):
                return await supervise(
                    [room], log if self.terminal is None else warnings_alone(), watch=watch
                )

        return trio.run(serve, self._services_of_one_room(you), log, serve_one)

    def _services_of_one_room(self, you: str) -> Preparation:
        if you:
            prepare = services_without_page(self.configuration, self.has_account, self.log)
            return functools.partial(with_person, prepare, self.configuration.room_name, you)
        briefly = self.terminal is not None
        return services_for_calls(self.configuration, self.has_account, self.log, briefly=briefly)

    def _in_every_room(self) -> int:
        options, log = self.options, self.log
        health, worker = self.configuration.health(), self.configuration.worker()
        is_parent = options.processes > 1 and not options.reports
        observed = UNOBSERVED
        if not is_parent:
            observed = observe(health, log, is_worker=True, has_parent=options.reports)
        wire = self._wiring(observed)
        draining = trio.Event()

        def serve_all(accounts: Accounts, watch: LoopWatch) -> Awaitable[Sequence[RoomEnded]]:
            if is_parent:
                return serve_in_processes(options, accounts, draining, log, health, worker.urls)
            allow_descriptors(options.rooms, log)
            rooms = JobRoomMaker(
                self.writings,
                self.tools,
                accounts,
                wire,
                log.warning,
                options.record,
                options.record_audio,
                worker.urls,
            )
            return serve_jobs(
                rooms,
                worker,
                log,
                most_rooms=options.rooms,
                draining=draining,
                watch=watch,
                reported=tell_parent if options.reports else None,
                observed=observed,
            )

        services = services_for_jobs(self.configuration, self.has_account, log)
        return trio.run(functools.partial(serve, services, log, serve_all, draining=draining))

    def _wiring(self, observed: Observed, you: str = "") -> Callable[..., Wired]:
        turns = Turns(Random())  # rooms that were all dropped in the same moment dial one after another

        def wire(settings: Settings, accounts: Accounts, edge: LiveKitEdge, seat: Seat = OWN_ROOM) -> Wired:
            # On your own machine, everybody in the room is the agent's owner.
            return self.wire(
                settings,
                accounts,
                edge,
                configurable=not self.has_account,
                terminal=self.terminal,
                you=you,
                additions=self.additions,
                seat=seat,
                turns=turns,
                metrics=observed.metrics,
                traces=observed.traces,
            )

        return wire
