"""The topology of a wired room, read off the actors themselves, so that no drawing can be out of date.

Its channel ends connect an actor to others, and its ports connect it to the outside.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator
from typing import Any, get_type_hints

import attrs

from actors.api.connection import Dialer
from channels.bounded import Channel, Receiver, Sender
from channels.ports import Loudspeaker, Room
from channels.streams import Actor, numbered
from channels.texts import TextBoard
from commands.wired import Wired

__all__ = ["Kind", "Link", "Node", "Topology", "topology"]

HAPPENINGS = "what happens, told by every actor"


class Kind(enum.Enum):
    """What a node is."""

    CONVERSATION = "conversation"
    """An actor without which there is no call."""
    BYSTANDER = "bystander"
    """An actor that watches; without it the call goes on."""
    OUTSIDE = "outside"
    """What an actor reaches through a port."""
    TAPS = "taps"
    """Where happenings are told to whoever wants to know."""


@attrs.frozen
class Node:
    """An actor, or something outside."""

    name: str
    kind: Kind


@attrs.frozen
class Link:
    """A way from one node to another."""

    source: str
    target: str
    channel: Channel[Any] | None = None
    """None: a port."""
    tap: bool = False
    """It is a copy; the reader may be slow."""


@attrs.frozen
class Topology:
    """All of it."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


_OUTSIDE: dict[Any, str] = {
    Room: "LiveKit room",
    Loudspeaker: "the agent's track",
    TextBoard: "text in the room",
    Dialer: "Voice Agent API",
}
"""What is behind a port, as a person calls it."""


@attrs.define
class _Reading:
    nodes: dict[str, Kind] = attrs.field(factory=dict)
    writers: dict[int, list[str]] = attrs.field(factory=dict)
    readers: list[tuple[str, Channel[Any]]] = attrs.field(factory=list)
    links: list[Link] = attrs.field(factory=list)
    of_a_class: Counter[str] = attrs.field(factory=Counter)

    def read(self, actor: Actor, kind: Kind) -> None:
        name = numbered(type(actor).__name__, self.of_a_class)
        self.nodes[name] = kind
        for hint, value in _fields(actor):
            if hint in _OUTSIDE:
                self.nodes[_OUTSIDE[hint]] = Kind.OUTSIDE
                # Sound and people come in on the left.
                ends = (_OUTSIDE[hint], name) if hint is Room else (name, _OUTSIDE[hint])
                self.links.append(Link(*ends))
            elif isinstance(value, Sender):
                self.writers.setdefault(id(value.channel), []).append(name)
            elif isinstance(value, Receiver):
                self.readers.append((name, value.channel))


def topology(wired: Wired) -> Topology:
    """Reads it off a room that has been wired."""
    reading = _Reading()
    for actor in wired.conversation:
        reading.read(actor, Kind.CONVERSATION)
    for actor in wired.bystanders:
        reading.read(actor, Kind.BYSTANDER)
    told = {id(channel) for channel in wired.taps.channels}
    reading.nodes[HAPPENINGS] = Kind.TAPS
    for reader, channel in reading.readers:
        if id(channel) in told:
            reading.links.append(Link(HAPPENINGS, reader, channel, tap=True))
            continue
        original = channel.copy_of or channel
        for writer in reading.writers.get(id(original), []):
            reading.links.append(Link(writer, reader, channel, tap=channel.copy_of is not None))
    nodes = tuple(Node(name, kind) for name, kind in reading.nodes.items())
    return Topology(nodes, tuple(reading.links))


def _fields(actor: Actor) -> Iterator[tuple[Any, Any]]:
    """What the wiring gives an actor: the type and the value of each field."""
    kind: Any = type(actor)
    hints = get_type_hints(kind)
    for field in attrs.fields(kind):
        if field.metadata.get("drawn", True):
            yield hints[field.name], getattr(actor, field.name, None)
