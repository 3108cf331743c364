"""The topology as a Mermaid flowchart, which GitHub and most editors show as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from commands.graph.topology import Kind, Link, Topology

__all__ = ["as_mermaid"]

_SHAPES = {
    Kind.CONVERSATION: ("[", "]"),
    Kind.BYSTANDER: ("(", ")"),
    Kind.OUTSIDE: ("[[", "]]"),
    Kind.TAPS: ("{{", "}}"),
}
_STYLES = {
    Kind.CONVERSATION: "fill:#dbeafe,stroke:#1d4ed8,color:#111827",
    Kind.BYSTANDER: "fill:#f3f4f6,stroke:#6b7280,color:#111827",
    Kind.OUTSIDE: "fill:#fef3c7,stroke:#b45309,color:#111827",
    Kind.TAPS: "fill:#ecfdf5,stroke:#047857,color:#111827",
}


def as_mermaid(topology: Topology, notes: Mapping[str, str] | None = None) -> str:
    """The flowchart.

    Args:
        topology: of a room.
        notes: what else to say of a channel, by its name, instead of its capacity and rule.
    """
    return "\n".join(_lines(topology, notes)) + "\n"


def _lines(topology: Topology, notes: Mapping[str, str] | None) -> Iterator[str]:
    yield "flowchart LR"
    for node in topology.nodes:
        opening, closing = _SHAPES[node.kind]
        yield f'    {_id(node.name)}{opening}"{node.name}"{closing}:::{node.kind.value}'
    for link in topology.links:
        yield f"    {_id(link.source)} {_arrow(link, notes)} {_id(link.target)}"
    for kind, style in _STYLES.items():
        yield f"    classDef {kind.value} {style}"


def _arrow(link: Link, notes: Mapping[str, str] | None) -> str:
    channel = link.channel
    if channel is None:
        return "<==>"
    said = notes.get(channel.name) if notes else None
    said = said or f"{channel.capacity} {channel.unit}<br/>{channel.full.value}"
    label = f'"{channel.name}<br/><small>{said}</small>"'
    return f"-.{label}.->" if link.tap else f"--{label}-->"


def _id(name: str) -> str:
    return "".join(character if character.isalnum() else "_" for character in name)
