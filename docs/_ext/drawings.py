"""Drawings of what runs: from the wiring of a room and from the tables that decide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import runner
from actors.barge_in.drawing import draw_floor, draw_life
from actors.barge_in.floor import FLOOR_TABLE, FloorOrder, order_between
from actors.call_life.table import TABLE as CALL_TABLE
from actors.call_life.table import CallAction, Phase
from actors.record.reading import read_record
from commands.graph.command import read_topology
from commands.graph.mermaid import as_mermaid
from commands.graph.topology import Kind, Link, Topology
from commands.replay.picture import scene_of, svg_sheet
from docs._ext.markdown import inline, table

__all__ = ["a_call", "call_life", "conversation", "floor", "floor_table", "life", "requests", "taps"]


def _fence(mermaid: str) -> str:
    return f"```mermaid\n{mermaid.rstrip()}\n```\n"


def _part(chosen: Callable[[Link], bool]) -> str:
    """Those links of a room, and what they join."""
    whole = read_topology(runner.wire)
    links = tuple(link for link in whole.links if chosen(link))
    joined = {end for link in links for end in (link.source, link.target)}
    nodes = tuple(node for node in whole.nodes if node.name in joined)
    # From top to bottom it fits a page.
    return _fence(as_mermaid(Topology(nodes, links)).replace("flowchart LR", "flowchart TD", 1))


def conversation() -> str:
    """The way of sound and of decisions."""
    whole = read_topology(runner.wire)
    core = {node.name for node in whole.nodes if node.kind is Kind.CONVERSATION} | {"OnsetDetector"}

    def chosen(link: Link) -> bool:
        if link.channel is None:
            return bool({link.source, link.target} & core)
        within = {link.source, link.target} <= core
        return within and not link.tap and link.channel.name != "departures"

    return _part(chosen)


def requests() -> str:
    """Who may ask the service for something."""
    return _part(lambda link: link.channel is not None and link.channel.name in ("requests", "outgoing"))


def taps() -> str:
    """Who hears of all that happens."""
    whole = read_topology(runner.wire)
    rows = [
        [inline(link.target), f"{link.channel.capacity} {link.channel.unit}", link.channel.full.value]
        for link in whole.links
        if link.channel is not None and link.channel.name.startswith("tap ")
    ]
    return table(["Actor", "May wait", "When full"], rows)


def a_call() -> str:
    """The picture that `replay` makes of the recorded call, as it was."""
    record = read_record(Path(__file__).parents[1] / "tutorials" / "call.jsonl")
    scene = scene_of(record.entries, until=record.length_s)
    return f"```svg\n{svg_sheet('A recorded call', scene, None, ())}\n```\n"


def floor() -> str:
    """Who has the floor."""
    return _fence(draw_floor())


def floor_table() -> str:
    """The same, a row for each state and a column for each signal."""
    signals = list(next(iter(FLOOR_TABLE.values())))
    rows = []
    for state, row in FLOOR_TABLE.items():
        cells = []
        for signal in signals:
            after = row[signal]
            order = order_between(state, after)
            said = "" if after is state else after.value
            cells.append(f"{said} / **{order.value}**" if order is not FloorOrder.NOTHING else said)
        rows.append([inline(state.value), *cells])
    return table(["", *(signal.value for signal in signals)], rows)


def life() -> str:
    """The life of a reply."""
    return _fence(draw_life())


def call_life() -> str:
    """The life of a call."""
    arrows = [
        f"    {phase.value} --> {after.value}: {signal.value}"
        + ("" if action is CallAction.NOTHING else f" / {action.value}")
        for phase, row in CALL_TABLE.items()
        for signal, (after, action) in row.items()
        if after is not phase or action is not CallAction.NOTHING
    ]
    return _fence("\n".join(["stateDiagram-v2", f"    [*] --> {Phase.EMPTY.value}", *arrows]))
