"""What the process at the microphone and the agent's tell each other, each a line of JSON.

The agent's sends `Room` once, on standard input, and closes it when the person is to leave; a token is never
on a command line. The other answers on standard output: `Ready` as soon as it has the devices, and `Failed`
in place of it, or later.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

__all__ = ["LONGEST", "Failed", "Ready", "Room", "Told", "read", "write"]

LONGEST = 20_000
"""Bytes of a line."""


class Room(msgspec.Struct, frozen=True, tag="room"):
    """Where to go."""

    url: str
    token: str


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The devices are open."""

    microphone: str
    loudspeaker: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """Nobody can talk from here, or not any more."""

    what: str
    fix: str


Told: TypeAlias = Room | Ready | Failed


def write(told: Told) -> bytes:
    """The line."""
    return msgspec.json.encode(told) + b"\n"


def read(line: bytes) -> Told:
    """What a line says.

    Raises:
        ValueError: it says nothing of this.
    """
    told: Told = msgspec.json.decode(line, type=Room | Ready | Failed)
    return told
