"""What a process of a worker tells its parent, a line of JSON each second: how it is, and which rooms it has.

Each report is whole, so that the latest is all that the parent has to know when a process dies.
"""

from __future__ import annotations

import enum

import msgspec
from attrs import frozen

__all__ = ["EVERY_S", "LONGEST", "Report", "RunningRoom", "Standing", "read_report", "write_report"]

EVERY_S = 1.0
LONGEST = 1_000_000
"""Bytes of a line: some 100 rooms with the longest metadata there may be, far more than a process has."""


class Standing(enum.Enum):
    """Whether it takes rooms."""

    STARTING = "starting"
    """It has not registered with LiveKit yet, or not again."""
    READY = "ready"
    FULL = "full"
    DRAINING = "draining"


@frozen
class RunningRoom:
    """A room, and all that it takes to ask for another agent in it."""

    job_id: str
    room: str
    agent_name: str
    metadata: str
    dispatch_id: str = ""
    """That the other agent's takes the place of; empty: others of its dispatch go on."""


@frozen
class Report:
    """How things stand in one process."""

    standing: Standing
    load: float
    """Between 0 and 1."""
    rooms: tuple[RunningRoom, ...] = ()


def write_report(report: Report) -> bytes:
    """The report as a line of its own, whatever a tool has printed before it."""
    return b"\n" + msgspec.json.encode(report) + b"\n"


def read_report(line: bytes) -> Report:
    """What a line says.

    Raises:
        ValueError: it is no report.
    """
    return msgspec.json.decode(line, type=Report)
