"""`python runner.py graph --live`: what flows through a running agent, as it tells an operator."""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeAlias

import trio
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actors.room.actor import AGENT_IDENTITY
from actors.room.livekit_edge import line_to_agent
from channels.errors import SettingsError, VoiceAgentError, reason_of
from channels.ports import AgentLine
from channels.printable import complain, printable, tell_json
from channels.texts import OPERATE_METHOD
from commands.agent_room import AgentRoom, cancel_on_ctrl_c, room_of_agent
from commands.agents_here import LiveKitRoom
from commands.graph.command import print_graph
from commands.graph.counters import Flow, flows, read_counters

__all__ = ["as_table", "show_graph"]

EACH_S = 1.0
Drawing: TypeAlias = Callable[[Mapping[str, str]], str]
"""The graph as Mermaid, with notes on its channels."""


def show_graph(options: argparse.Namespace, draw: Drawing, configured: Callable[[], LiveKitRoom]) -> int:
    """Shows the graph as the command line asks for it; gives the exit code.

    Args:
        options: of the command line.
        draw: gives the graph.
        configured: gives the room of the settings.

    Raises:
        SettingsError: the options do not go together, or a setting is missing, or a picture cannot be drawn.
    """
    if not options.live:
        for name in ("once", "json", "url", "room", "token"):
            if getattr(options, name) not in (None, False):
                raise SettingsError(f"--{name} needs a running agent", "add --live")
        return print_graph(draw({}), options.svg)
    room = room_of_agent(options, configured, "graph")
    return _watch(room, draw, options)


def _watch(room: AgentRoom, draw: Drawing, options: argparse.Namespace) -> int:
    once = options.once or options.json or options.svg
    try:
        told = trio.run(_until_ctrl_c, room, None if once else Console())
    except (VoiceAgentError, BaseExceptionGroup) as error:
        reason = reason_of(error)
        if reason is None:
            raise
        complain(reason)
        return 1
    if not told:
        return 0
    if options.json:
        tell_json({"channels": [flow.as_json() for flow in told]}, indent=1)
        return 0
    return print_graph(draw({flow.name: flow.note for flow in told}), options.svg)


async def _until_ctrl_c(room: AgentRoom, console: Console | None) -> Sequence[Flow]:
    """What flows: shown again and again if there is a console, or once; empty when Ctrl-C came first."""
    told: Sequence[Flow] = ()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_ctrl_c, nursery.cancel_scope)
        async with line_to_agent(room.url, room.token(), AGENT_IDENTITY) as line:
            if console is None:
                async with aclosing(_ask(line, room)) as asked:
                    told = await anext(asked)
            else:
                await _show_table(line, room, console)
        nursery.cancel_scope.cancel()
    return told


async def _show_table(line: AgentLine, room: AgentRoom, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        async with aclosing(_ask(line, room)) as asked:
            async for told in asked:
                live.update(as_table(told), refresh=True)


async def _ask(line: AgentLine, room: AgentRoom) -> AsyncGenerator[Sequence[Flow], None]:
    before = read_counters(await _counters(line, room))
    asked_at = trio.current_time()
    while True:
        await trio.sleep(EACH_S)
        now = read_counters(await _counters(line, room))
        came_at = trio.current_time()
        yield flows(before, now, came_at - asked_at)
        before, asked_at = now, came_at


async def _counters(line: AgentLine, room: AgentRoom) -> str:
    shown = {"token": room.token().reveal()}
    return await line.call(OPERATE_METHOD, "\n".join(map(json.dumps, (shown, {"do": "statistics"}))))


def as_table(told: Sequence[Flow]) -> Table:
    """The channels, one a line."""
    table = Table("channel", box=None, header_style="bold", pad_edge=False)
    for heading in ("messages/s", "passed", "waiting", "deepest", "of", "dropped", "ms old"):
        table.add_column(heading, justify="right")
    for flow in told:
        now = flow.now
        figures = (f"{flow.per_second:.1f}", now.passed, now.depth, now.deepest, now.capacity, now.dropped)
        age = "" if now.age_ms is None else now.age_ms
        # What drops sound by its rule may; what is full is behind.
        style = "red" if now.depth >= now.capacity else "yellow" if now.dropped else ""
        table.add_row(
            Text(printable(flow.name, longest=80)),
            *map(str, (*figures, age)),
            style=style if flow.per_second else f"dim {style}".strip(),
        )
    return table
