"""What a client says to the Voice Agent API: one frozen class for each message of the protocol.

Field names are the wire's. Note the asymmetry: sound is `audio` on the way in and `data` on the way
out. A field that is None is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import attrs

__all__ = [
    "MESSAGES",
    "ClientMessage",
    "ConversationMessage",
    "InputAudio",
    "ReplyCancel",
    "ReplyCreate",
    "SessionEnd",
    "SessionResume",
    "SessionUpdate",
    "ToolResult",
]


@attrs.frozen
class SessionUpdate:
    """Starts a session when it is the first message; later changes what may change."""

    type: ClassVar[str] = "session.update"
    session: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class SessionResume:
    """Takes a dropped session up again, as the first message within its 30 s of grace."""

    type: ClassVar[str] = "session.resume"
    session_id: str


@attrs.frozen
class SessionEnd:
    """Ends the session, and its billing, at once."""

    type: ClassVar[str] = "session.end"


@attrs.frozen
class InputAudio:
    """Sound of the person, in the session's input format."""

    type: ClassVar[str] = "input.audio"
    audio: bytes = attrs.field(repr=lambda audio: f"<{len(audio)} bytes>")


@attrs.frozen
class ToolResult:
    """What a tool returned: `result` is a string, JSON text if it is structured."""

    type: ClassVar[str] = "tool.result"
    call_id: str
    result: str
    is_error: bool = False


@attrs.frozen
class ReplyCreate:
    """Asks for an agent turn at once; `instructions` hold for that reply only."""

    type: ClassVar[str] = "reply.create"
    instructions: str | None = None


@attrs.frozen
class ConversationMessage:
    """Adds to the context, triggers nothing. `role` is `user` or `system`."""

    type: ClassVar[str] = "conversation.message"
    role: str
    content: str


@attrs.frozen
class ReplyCancel:
    """In the service's schema, not in its documentation: live behaviour is unverified."""

    type: ClassVar[str] = "reply.cancel"
    reply_id: str


ClientMessage: TypeAlias = (
    SessionUpdate
    | SessionResume
    | SessionEnd
    | InputAudio
    | ToolResult
    | ReplyCreate
    | ConversationMessage
    | ReplyCancel
)

MESSAGES: Mapping[str, type[Any]] = {
    message.type: message
    for message in (
        SessionUpdate,
        SessionResume,
        SessionEnd,
        InputAudio,
        ToolResult,
        ReplyCreate,
        ConversationMessage,
        ReplyCancel,
    )
}
