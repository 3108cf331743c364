"""What happened, told to whoever wants to know: loggers, metrics, a developer's own actor.

`Taps` is a channel with many readers, none of whom can hold up the conversation: each has a buffer of
its own, and a slow one loses its oldest happenings, counted. Publishing never waits.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs
import trio

from channels.bounded import Channel, ChannelStatistics, Full, Receiver, Sender

__all__ = [
    "Happening",
    "HeardBy",
    "Interrupted",
    "ParticipantJoined",
    "ParticipantLeft",
    "PersonSaid",
    "ReplyBegan",
    "ReplyEnded",
    "ReplyOutcome",
    "RoomJoined",
    "RoomLost",
    "RoomRestored",
    "ServiceComplained",
    "SessionClosed",
    "SessionLost",
    "SessionStarted",
    "Taps",
]


@attrs.frozen
class RoomJoined:
    """The agent is in the room."""

    room: str
    rejoined: bool


@attrs.frozen
class RoomLost:
    """The connection to the room broke; what is done about it."""

    mend: str


@attrs.frozen
class RoomRestored:
    """The connection to the room is there again."""


@attrs.frozen
class ParticipantJoined:
    """A participant is in the room."""

    identity: str


@attrs.frozen
class ParticipantLeft:
    """A participant left the room."""

    identity: str


@attrs.frozen
class HeardBy:
    """Whose microphone the agent listens to from now on; None: nobody's."""

    identity: str | None


@attrs.frozen
class SessionStarted:
    """The Voice Agent API listens."""

    session_id: str
    resumed: bool


@attrs.frozen
class SessionLost:
    """The connection to the Voice Agent API broke; the next try comes after `retry_in_s` seconds."""

    why: str
    retry_in_s: float


@attrs.frozen
class SessionClosed:
    """The session was ended by us and the service said so, or did not in time."""

    confirmed: bool


@attrs.frozen
class ServiceComplained:
    """The service reported an error and went on."""

    code: str
    message: str
    mend: str


@attrs.frozen
class PersonSaid:
    """What the service understood; a partial one (`final` False) is replaced by the next."""

    text: str
    final: bool


@attrs.frozen
class ReplyBegan:
    """The first sound of a reply was given to the room."""

    reply_id: str


@attrs.frozen
class Interrupted:
    """The person spoke over the agent, or the service said so: silence from now on."""

    reply_id: str


class ReplyOutcome(enum.Enum):
    """How a reply ended: exactly one of these."""

    PLAYED = "played"
    CUT = "cut"
    ABANDONED = "abandoned"
    """The connection broke before the whole of it had arrived; what had arrived was played."""


@attrs.frozen
class ReplyEnded:
    """A reply is over: how, how much of it the room heard, and what was said of it."""

    reply_id: str
    outcome: ReplyOutcome
    heard_ms: int
    heard_text: str
    """The words whose sound was played; the whole text where the service gave no word times."""


Happening: TypeAlias = (
    RoomJoined
    | RoomLost
    | RoomRestored
    | ParticipantJoined
    | ParticipantLeft
    | HeardBy
    | SessionStarted
    | SessionLost
    | SessionClosed
    | ServiceComplained
    | PersonSaid
    | ReplyBegan
    | Interrupted
    | ReplyEnded
)


class Taps:
    """Hands every published happening to every tap."""

    def __init__(self) -> None:
        self._taps: list[tuple[Channel[Happening], Sender[Happening]]] = []

    def tap(self, name: str, *, capacity: int = 256) -> Receiver[Happening]:
        """A new reader's end. 256 happenings are about a minute of lively talk."""
        channel = Channel[Happening](
            f"tap {name}",
            capacity=capacity,
            unit="happenings",
            full=Full.DROP_OLDEST,
            because="a slow bystander must not hold up the conversation",
        )
        self._taps.append((channel, channel.sender()))
        return channel.receiver()

    def publish(self, happening: Happening) -> None:
        """Tells every tap. Never waits; a tap whose reader is gone is forgotten."""
        for tap in list(self._taps):
            try:
                tap[1].send_nowait(happening)
            except trio.BrokenResourceError:
                self._taps.remove(tap)

    def close(self) -> None:
        """Ends all taps: their readers get what still waits, then the end."""
        for _, sender in self._taps:
            sender.close()

    def statistics(self) -> list[ChannelStatistics]:
        """What each tap has carried."""
        return [channel.statistics() for channel, _ in self._taps]
