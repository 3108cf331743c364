"""LiveKit's agent protocol: bytes to frozen messages, and orders to bytes. No socket, no clock.

Each websocket message is one protobuf message, `ServerMessage` in and `WorkerMessage` out. Whatever comes in
is hostile until it is read: anything that is not as it should be becomes `Unreadable` or `UnusableJob`, never
an exception.

What the server (livekit-server 1.13.5, read and tried) does with what we send:

- `register` is answered at once with a worker's id. Dispatch may need up to two seconds to find a new worker.
  The answer asks for no pings, and the `ping_interval` that we send is not used.
- `availability` counts within 10 s of the offer. After "no" the next worker is asked; after silence, or a
  "no" with `terminate`, nobody.
- `update_worker`: status and load decide who is asked (at random, weighted by 1 - load). From a load of 0.7
  on (`agents.target_load` of the server) a worker is not asked at all, whatever its status. `job_count` and
  `draining` are for other servers, so a worker that drains also says that it is full.
- `update_job` is the server's own note. A job that is not running for it any more is passed over.
- `migrate_job` names the jobs that still run after registering again. This server passes it over, too; those
  of LiveKit Cloud need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs
from google.protobuf.message import DecodeError, Message
from livekit.protocol import agent, models

from channels.jobs import (
    LONGEST_ID,
    LONGEST_METADATA,
    LONGEST_NAME,
    LONGEST_REASON,
    LONGEST_TOKEN,
    MOST_ATTRIBUTES,
    Accept,
    Decline,
    Job,
    JobKind,
    JobOutcome,
    JobStatus,
    WorkerOrder,
    WorkerStatus,
)
from channels.secret import Secret
from channels.settings import WorkerSettings
from channels.settings.addresses import Address
from channels.settings.rules import Malformed
from channels.wire.failures import one_line

__all__ = [
    "LARGEST_MESSAGE",
    "TARGET_LOAD",
    "Assignment",
    "GoingAway",
    "Nothing",
    "Offer",
    "Registration",
    "ServerSaid",
    "Termination",
    "Unreadable",
    "UnusableJob",
    "read",
    "still_running",
    "write",
    "write_registration",
]

TARGET_LOAD = 0.7
"""What we call full: a worker that said 0.75, with three of four places taken, was never asked again."""

LARGEST_MESSAGE = 2**20
"""Bytes. A job has a room and a person, each with metadata and attributes of up to 64,000 bytes."""

_KINDS = {"room": agent.JT_ROOM, "publisher": agent.JT_PUBLISHER, "participant": agent.JT_PARTICIPANT}
_JOB_KINDS = {number: JobKind(name) for name, number in _KINDS.items()}
_ADDRESS = Address(web_too=True)
_OUTCOMES = {
    JobOutcome.RUNNING: agent.JS_RUNNING,
    JobOutcome.SUCCESS: agent.JS_SUCCESS,
    JobOutcome.FAILED: agent.JS_FAILED,
}


@attrs.frozen
class Registration:
    """The server knows us."""

    worker_id: str


@attrs.frozen
class Offer:
    """Do we take this job?"""

    job: Job
    resuming: bool


@attrs.frozen
class Assignment:
    """The job is ours, if we accepted it."""

    job_id: str
    url: str | None
    """None: the server that says so. livekit-server 1.13.5 names none; LiveKit Cloud may."""
    token: Secret


@attrs.frozen
class Termination:
    """The job is to end."""

    job_id: str


@attrs.frozen
class GoingAway:
    """The server is about to close: find another, or the same one later."""

    reason: str


@attrs.frozen
class Nothing:
    """A message that changes nothing."""


@attrs.frozen
class UnusableJob:
    """An offer or an assignment of which only the job's id can be used."""

    job_id: str
    why: str


@attrs.frozen
class Unreadable:
    """Not a message of this protocol, or one that we do not know."""

    why: str


ServerSaid: TypeAlias = (
    Registration | Offer | Assignment | Termination | GoingAway | Nothing | UnusableJob | Unreadable
)


class _Unusable(Exception):
    pass


def read(frame: bytes | str) -> ServerSaid:
    """What the server says in one websocket message."""
    if isinstance(frame, str):
        return Unreadable("it is text")
    message = agent.ServerMessage()
    try:
        message.ParseFromString(frame)
    except DecodeError:
        return Unreadable("it is no protobuf message")
    match message.WhichOneof("message"):
        case "register" if _is_id(message.register.worker_id):
            return Registration(message.register.worker_id)
        case "availability" if _is_id(message.availability.job.id):
            return _offer(message.availability)
        case "assignment" if _is_id(message.assignment.job.id):
            return _assignment(message.assignment)
        case "termination" if _is_id(message.termination.job_id):
            return Termination(message.termination.job_id)
        case "go_away":
            return GoingAway(one_line(message.go_away.reason, LONGEST_REASON))
        case "pong":
            return Nothing()
        case None:
            return Unreadable("its kind is not known")
        case kind:
            return Unreadable(f"its {kind} has no usable id")


def _offer(asked: agent.AvailabilityRequest) -> Offer | UnusableJob:
    told = asked.job
    try:
        kind = _JOB_KINDS.get(told.type)
        if kind is None:
            raise _Unusable(f"its kind {told.type} is not known")
        participant = _name(told.participant.identity, "a participant")
        if kind is not JobKind.ROOM and not participant:
            raise _Unusable(f"it is for a {kind.value} and names none")
        if not told.room.name:
            raise _Unusable("it has no room")
        job = Job(
            told.id,
            _name(told.room.name, "a room"),
            kind,
            participant,
            _name(told.dispatch_id, "a dispatch"),
            _name(told.agent_name, "an agent"),
            _metadata(told.metadata),
            _attributes(told.attributes),
        )
    except _Unusable as why:
        return UnusableJob(told.id, str(why))
    return Offer(job, asked.resuming)


def _assignment(given: agent.JobAssignment) -> Assignment | UnusableJob:
    token = given.token
    if not token or len(token) > LONGEST_TOKEN or not token.isascii() or not token.isprintable():
        return UnusableJob(given.job.id, f"its token is none ({len(token)} characters)")
    if not given.url:
        return Assignment(given.job.id, None, Secret(token))
    try:
        url = _ADDRESS.read(given.url)
    except Malformed as wrong:
        return UnusableJob(given.job.id, one_line(f"its address {wrong.wrong}", LONGEST_REASON))
    return Assignment(given.job.id, url, Secret(token))


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID


def _name(text: str, of: str) -> str:
    if len(text) > LONGEST_NAME:
        raise _Unusable(f"the name of {of} has {len(text)} characters")
    return text


def _metadata(text: str) -> str:
    if len(text) > LONGEST_METADATA:
        raise _Unusable(f"its metadata has {len(text)} characters")
    return text


def _attributes(given: Mapping[str, str]) -> Mapping[str, str]:
    size = sum(len(name) + len(value) for name, value in given.items())
    if len(given) > MOST_ATTRIBUTES or size > LONGEST_METADATA:
        raise _Unusable(f"it has {len(given)} attributes of {size} characters")
    return dict(given)


def write_registration(settings: WorkerSettings, version: str, ping_interval_s: int) -> bytes:
    """The first message of a connection."""
    return _bytes(
        agent.WorkerMessage(
            register=agent.RegisterWorkerRequest(
                type=_KINDS[settings.kind],
                agent_name=settings.agent_name or "",
                version=version,
                namespace=settings.namespace,
                ping_interval=ping_interval_s,
                # What the agent needs in its room: its voice, captions, its state.
                allowed_permissions=models.ParticipantPermission(
                    can_subscribe=True,
                    can_publish=True,
                    can_publish_data=True,
                    can_update_metadata=True,
                    agent=True,
                ),
            )
        )
    )


def write(order: WorkerOrder) -> bytes:
    """The message for an order."""
    match order:
        case Accept():
            answer = agent.AvailabilityResponse(
                job_id=order.job_id,
                available=True,
                participant_identity=order.identity,
                participant_name=order.name,
                participant_metadata=order.metadata,
                participant_attributes=order.attributes,
            )
            return _bytes(agent.WorkerMessage(availability=answer))
        case Decline():
            answer = agent.AvailabilityResponse(job_id=order.job_id, available=False, terminate=order.for_all)
            return _bytes(agent.WorkerMessage(availability=answer))
        case JobStatus():
            told = agent.UpdateJobStatus(
                job_id=order.job_id, status=_OUTCOMES[order.status], error=order.error
            )
            return _bytes(agent.WorkerMessage(update_job=told))
        case WorkerStatus():
            full = order.full or order.draining
            status = agent.UpdateWorkerStatus(
                status=agent.WS_FULL if full else agent.WS_AVAILABLE,
                load=1.0 if full else order.load * TARGET_LOAD,
                job_count=order.jobs,
                draining=order.draining,
            )
            return _bytes(agent.WorkerMessage(update_worker=status))


def still_running(job_ids: Sequence[str]) -> bytes:
    """The message that names the jobs which outlived the former connection."""
    return _bytes(agent.WorkerMessage(migrate_job=agent.MigrateJobRequest(job_ids=job_ids)))


def _bytes(message: Message) -> bytes:
    written: bytes = message.SerializeToString()
    return written
