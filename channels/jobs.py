"""What is said between the owner of the rooms and the worker's connection to LiveKit's agent dispatch.

A job is a room to serve. The server offers it; the owner accepts or declines; the server assigns it, to this
worker or to another. What names something is never cut, since a cut name is another name: a text that is too
long is refused by whoever reads it. What is only to be read is cut.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs
from attrs.validators import max_len

from channels.secret import Secret

__all__ = [
    "LONGEST_ID",
    "LONGEST_METADATA",
    "LONGEST_NAME",
    "LONGEST_REASON",
    "LONGEST_TOKEN",
    "MOST_ATTRIBUTES",
    "Accept",
    "Decline",
    "Job",
    "JobAssigned",
    "JobKind",
    "JobOffered",
    "JobOutcome",
    "JobStatus",
    "JobTerminated",
    "OfferLapsed",
    "Registered",
    "WorkerEvent",
    "WorkerLost",
    "WorkerOrder",
    "WorkerStatus",
]

LONGEST_NAME = 256
"""Characters of a room's name, or of an identity."""
LONGEST_ID = 128
"""Characters of a job's id, from which its agent's identity is made. LiveKit's have 15."""
LONGEST_METADATA = 64_000
"""Characters: LiveKit's own limit, in bytes, for metadata and for all attributes together."""
MOST_ATTRIBUTES = 256
LONGEST_TOKEN = 20_000
LONGEST_REASON = 300

_name: Callable[..., None] = max_len(LONGEST_NAME)


def _share(load: float) -> float:
    return min(1.0, max(0.0, load)) if math.isfinite(load) else 1.0


def _count(number: int) -> int:
    return min(1_000_000, max(0, number))


def _cut(text: str) -> str:
    return text[:LONGEST_REASON]


def _length(text: str | Mapping[str, str]) -> str:
    return f"<{len(text)}>"


class JobKind(enum.Enum):
    """What a job was made for."""

    ROOM = "room"
    PUBLISHER = "publisher"
    PARTICIPANT = "participant"


@attrs.frozen
class Job:
    """A room to serve, as the server describes it."""

    job_id: str = attrs.field(validator=max_len(LONGEST_ID))
    room_name: str = attrs.field(validator=_name)
    kind: JobKind = JobKind.ROOM
    participant: str = attrs.field(default="", validator=_name)
    """The identity of the person that it was made for; empty for a job of the kind `ROOM`."""
    dispatch_id: str = attrs.field(default="", validator=_name)
    agent_name: str = attrs.field(default="", validator=_name)
    metadata: str = attrs.field(default="", validator=max_len(LONGEST_METADATA), repr=_length)
    """Whatever asked for the agent says this to it. It may be personal: it is not for a log."""
    attributes: Mapping[str, str] = attrs.field(
        factory=dict, validator=max_len(MOST_ATTRIBUTES), repr=_length
    )


@attrs.frozen
class JobOffered:
    """The server asks whether this worker takes a job: `Accept` or `Decline` at once.

    It asks nobody else until it has an answer, and gives the job up after 10 s without one.
    """

    job: Job
    resuming: bool = False
    """Another worker had it, and lost it."""


@attrs.frozen
class JobAssigned:
    """The job is this worker's, which was accepted a moment ago."""

    job: Job
    url: str
    """The LiveKit server of its room."""
    token: Secret
    """Lets its agent in, with the identity that was accepted."""


@attrs.frozen
class OfferLapsed:
    """Nothing will come of an offer any more, whatever was answered."""

    job_id: str
    why: str = attrs.field(converter=_cut)


@attrs.frozen
class JobTerminated:
    """The server has ended the job: its dispatch was deleted, its room closed, or its agent left the room."""

    job_id: str


@attrs.frozen
class Registered:
    """The server knows the worker. Jobs that ran before go on."""

    worker_id: str
    url: str


@attrs.frozen
class WorkerLost:
    """The server cannot reach the worker now, and gives it no jobs. Those that run go on."""

    why: str = attrs.field(converter=_cut)
    fix: str = attrs.field(converter=_cut)
    again_in_s: float


WorkerEvent: TypeAlias = JobOffered | JobAssigned | OfferLapsed | JobTerminated | Registered | WorkerLost
"""What the owner of the rooms is told."""


@attrs.frozen
class Accept:
    """Take an offered job, with the agent that its room will see."""

    job_id: str
    identity: str = attrs.field(validator=_name)
    """Of one participant in a room: another who joins with it throws the first one out."""
    name: str = attrs.field(default="", validator=_name)
    metadata: str = attrs.field(default="", validator=max_len(LONGEST_METADATA), repr=_length)
    attributes: Mapping[str, str] = attrs.field(
        factory=dict, validator=max_len(MOST_ATTRIBUTES), repr=_length
    )


@attrs.frozen
class Decline:
    """Leave an offered job to other workers."""

    job_id: str
    for_all: bool = False
    """Nobody is to have it: ask no other worker either."""


class JobOutcome(enum.Enum):
    """How a job stands."""

    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"


@attrs.frozen
class JobStatus:
    """How an assigned job stands; after `SUCCESS` or `FAILED` it is over."""

    job_id: str
    status: JobOutcome
    error: str = attrs.field(default="", converter=_cut)
    """For the server's log."""


@attrs.frozen
class WorkerStatus:
    """How much this worker has to do. It is told again after each time that it registers."""

    load: float = attrs.field(converter=_share)
    """0 to 1, of what it can carry: the less loaded of two is likelier to be asked; one with 1 is not."""
    jobs: int = attrs.field(converter=_count)
    full: bool = False
    """Give it no jobs for now."""
    draining: bool = False
    """It takes no more jobs, and ends after those it has."""


WorkerOrder: TypeAlias = Accept | Decline | JobStatus | WorkerStatus
"""What the owner of the rooms answers."""
