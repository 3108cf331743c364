"""What can arrive in a session's inbox, and what can end the session by itself."""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from channels.wire.events import ServerEvent
from channels.wire.messages import ClientMessage
from playground.ears import HearingEvent
from playground.voice_agent.connection import ClientConnection
from playground.voice_agent.mouth import ReplyOver
from playground.voice_agent.speech import Speech, Voice

__all__ = [
    "Arrival",
    "Came",
    "Deadline",
    "Inject",
    "Prepared",
    "Reminder",
    "RestartDue",
    "ToolOverdue",
    "Went",
    "WordsDue",
]


@attrs.frozen
class Came:
    """A connection begins the session, or takes it up."""

    connection: ClientConnection


@attrs.frozen
class Went:
    """A connection is gone."""

    connection: ClientConnection


@attrs.frozen
class Prepared:
    """The models are loaded, and the time that a start takes is over."""

    speech: Speech
    voice: Voice


@attrs.frozen
class Inject:
    """A test wants the client to be sent this."""

    event: ServerEvent


@attrs.frozen
class ToolOverdue:
    """The time that a tool had is over; it may have answered long ago."""

    call_id: str


@attrs.frozen
class WordsDue:
    """The first word of a person's turn may be told now, if there is one."""

    turn: str


@attrs.frozen
class RestartDue:
    """A reply is to break off and begin again, if it is still being said."""

    reply_id: str


Reminder: TypeAlias = ToolOverdue | WordsDue | RestartDue
"""What a conversation wants to be told later."""

Arrival: TypeAlias = ClientMessage | HearingEvent | ReplyOver | Came | Went | Prepared | Inject | Reminder


class Deadline(enum.Enum):
    """What ends a session by itself."""

    GRACE = "nobody resumed it"
    EXPIRY = "it reached its time limit"
    FAULT = "a requested fault"
