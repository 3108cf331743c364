"""The command: the graph of a room as Mermaid, or as an SVG picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from actors.room.livekit_edge import LiveKitEdge
from channels.errors import SettingsError
from channels.printable import tell
from channels.settings import Accounts, Settings
from commands.graph.mermaid import as_mermaid
from commands.graph.topology import Topology, topology
from commands.wired import NOBODYS, Wired

__all__ = ["draw", "print_graph", "read_topology"]


def draw(
    wire: Callable[[Settings, Accounts, LiveKitEdge], Wired], notes: Mapping[str, str] | None = None
) -> str:
    """The graph that `wire` makes, as Mermaid. Nothing is connected to anything for it.

    Args:
        wire: joins the actors of a room.
        notes: what to say of a channel, by its name, instead of its capacity and rule.
    """
    return as_mermaid(read_topology(wire), notes)


def read_topology(wire: Callable[[Settings, Accounts, LiveKitEdge], Wired]) -> Topology:
    """Who exists in a room that `wire` makes, and what joins them. It is not connected to anything."""
    nobody: Any = None
    return topology(wire(Settings(), NOBODYS, LiveKitEdge(*[nobody] * len(attrs.fields(LiveKitEdge)))))


def print_graph(mermaid: str, picture: Path | None) -> int:
    """Prints it, or writes it as an SVG picture; gives the exit code.

    Raises:
        SettingsError: the picture cannot be drawn or written.
    """
    if picture is None:
        tell(mermaid.rstrip("\n"))
        return 0
    try:
        import mmdr
    except ImportError:
        raise SettingsError(
            "--svg needs a package that renders Mermaid",
            f"{sys.executable} -m pip install mmdr, or paste what `graph` prints into a Markdown file",
        ) from None
    try:
        picture.write_text(mmdr.render(mermaid).svg(), encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"--svg {picture} cannot be written ({error.strerror})", "choose another file"
        ) from None
    return 0
