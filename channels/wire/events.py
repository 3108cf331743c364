"""What the Voice Agent API says: one frozen class for each event of the protocol.

Field names are the wire's. A field with a default may be missing or ill-typed on the wire; one
without must be there, else the whole event is `Unrecognised`. `timestamp`, which every event carries,
is left out: nothing here trusts another machine's clock. `voice_agent_api.json` beside this module says the
same as data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

import attrs
from msgspec import Meta

__all__ = [
    "EVENTS",
    "AgentTranscript",
    "AgentTranscriptDelta",
    "ReplyAudio",
    "ReplyDone",
    "ReplyFailed",
    "ReplyStarted",
    "ServerEvent",
    "SessionEnded",
    "SessionFailed",
    "SessionReady",
    "SessionUpdated",
    "SpeechStarted",
    "SpeechStopped",
    "ToolCall",
    "Unrecognised",
    "UserTranscript",
    "UserTranscriptDelta",
]

# JSON has numbers without end; beyond these a float is no longer exact, and nobody means one.
_BOUNDS = Meta(gt=-(2**53), lt=2**53)
_Whole: TypeAlias = Annotated[int, _BOUNDS]
_Real: TypeAlias = Annotated[float, _BOUNDS]

_NULL = {"null": True}
"""None is sent as null; without this it is left out."""


@attrs.frozen
class SessionReady:
    """The session listens from now on; also the answer to a successful resume."""

    type: ClassVar[str] = "session.ready"
    session_id: str
    config: Mapping[str, Any] = attrs.field(factory=dict)
    expires_at: _Whole = 0
    """Seconds since the epoch; 0: it did not say."""
    resume_token: str = attrs.field(default="", repr=False)


@attrs.frozen
class SessionUpdated:
    """A `session.update` was accepted; the resolved configuration."""

    type: ClassVar[str] = "session.updated"
    config: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class SessionEnded:
    """The session is over; a close with 1000 follows."""

    type: ClassVar[str] = "session.ended"
    session_duration_seconds: _Real = 0.0
    audio_duration_seconds: _Real | None = attrs.field(default=None, metadata=_NULL)


@attrs.frozen
class SessionFailed:
    """`session.error`. Fatal only if a close follows."""

    type: ClassVar[str] = "session.error"
    code: str = ""
    message: str = ""
    param: str | None = attrs.field(default=None, metadata=_NULL)
    session_id: str | None = attrs.field(default=None, metadata=_NULL)


@attrs.frozen
class SpeechStarted:
    """The service understands words of the person. Live, this comes for a mere "mm-hm" too: whether they
    interrupt is said by `reply.done` and `transcript.agent`.
    """

    type: ClassVar[str] = "input.speech.started"


@attrs.frozen
class SpeechStopped:
    """The service decided that the person's turn is over."""

    type: ClassVar[str] = "input.speech.stopped"


@attrs.frozen
class UserTranscriptDelta:
    """The person's turn so far: `text` replaces what came before, it is not appended."""

    type: ClassVar[str] = "transcript.user.delta"
    text: str
    item_id: str = ""


@attrs.frozen
class UserTranscript:
    """The person's turn, final."""

    type: ClassVar[str] = "transcript.user"
    text: str
    item_id: str = ""


@attrs.frozen
class ReplyStarted:
    """A reply begins."""

    type: ClassVar[str] = "reply.started"
    reply_id: str
    item_id: str = ""


@attrs.frozen
class ReplyAudio:
    """Sound of a reply: PCM16 mono 24 kHz unless the session asked for G.711. Any length."""

    type: ClassVar[str] = "reply.audio"
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    reply_id: str | None = None
    """The documentation leaves it out; the live service sends it."""


@attrs.frozen
class AgentTranscriptDelta:
    """One word of a reply, with its place in the reply's sound (ms from the reply's first sample)."""

    type: ClassVar[str] = "transcript.agent.delta"
    delta: str
    reply_id: str = ""
    item_id: str = ""
    start_ms: _Whole | None = attrs.field(default=None, metadata=_NULL)
    end_ms: _Whole | None = attrs.field(default=None, metadata=_NULL)


@attrs.frozen
class AgentTranscript:
    """A reply's text; cut by the service's estimate of what was spoken if it was interrupted."""

    type: ClassVar[str] = "transcript.agent"
    text: str
    reply_id: str = ""
    item_id: str = ""
    interrupted: bool = False


@attrs.frozen
class ReplyDone:
    """A reply is over: `completed`, `interrupted`, or a status that a later protocol adds."""

    type: ClassVar[str] = "reply.done"
    reply_id: str
    status: str = "completed"


@attrs.frozen
class ReplyFailed:
    """`reply.error`: the model behind a reply failed."""

    type: ClassVar[str] = "reply.error"
    reply_id: str = ""
    code: str = ""
    message: str = ""
    retryable: bool = False
    status_code: _Whole | None = attrs.field(default=None, metadata=_NULL)
    provider_code: str | None = attrs.field(default=None, metadata=_NULL)
    provider_param: str | None = attrs.field(default=None, metadata=_NULL)


@attrs.frozen
class ToolCall:
    """The model wants a tool to be run."""

    type: ClassVar[str] = "tool.call"
    call_id: str
    name: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict, metadata={"packed": True})
    """Some models' hosts write them as a text with JSON in it."""


@attrs.frozen
class Unrecognised:
    """A frame that is none of the above: a newer protocol's event, or a malformed one."""

    type: str
    why: str


ServerEvent: TypeAlias = (
    SessionReady
    | SessionUpdated
    | SessionEnded
    | SessionFailed
    | SpeechStarted
    | SpeechStopped
    | UserTranscriptDelta
    | UserTranscript
    | ReplyStarted
    | ReplyAudio
    | AgentTranscriptDelta
    | AgentTranscript
    | ReplyDone
    | ReplyFailed
    | ToolCall
    | Unrecognised
)

EVENTS: Mapping[str, type[Any]] = {
    event.type: event
    for event in (
        SessionReady,
        SessionUpdated,
        SessionEnded,
        SessionFailed,
        SpeechStarted,
        SpeechStopped,
        UserTranscriptDelta,
        UserTranscript,
        ReplyStarted,
        ReplyAudio,
        AgentTranscriptDelta,
        AgentTranscript,
        ReplyDone,
        ReplyFailed,
        ToolCall,
    )
}
