"""What can arrive in a session's inbox, and what can end the session by itself."""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from channels.wire.events import ServerEvent
from channels.wire.messages import ClientMessage
from playground.ears import HearingEvent
from playground.voice_agent.connection import Connection
from playground.voice_agent.mouth import ReplyOver
from playground.voice_agent.speech import Speech, Voice

__all__ = ["Arrival", "Came", "Deadline", "Inject", "Prepared", "ToolOverdue", "Went"]


@attrs.frozen
class Came:
    """A connection begins the session, or takes it up."""

    connection: Connection


@attrs.frozen
class Went:
    """A connection is gone."""

    connection: Connection


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


Arrival: TypeAlias = ClientMessage | HearingEvent | ReplyOver | Came | Went | Prepared | Inject | ToolOverdue


class Deadline(enum.Enum):
    """What ends a session by itself."""

    GRACE = "nobody took it up"
    EXPIRY = "it has lasted as long as it may"
    FAULT = "a fault that was asked for"
