"""What the actors say to one another about the conversation.

Named for what happened (`ConnectionBroke`, `Played`) or for what is wanted (`Play`, `Cut`). Sound is
PCM16 mono 24 kHz in `bytes` and always knows its reply.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import attrs

from channels.wire.events import (
    AgentTranscript,
    ReplyDone,
    ReplyStarted,
    ServerEvent,
    SessionReady,
    SessionUpdated,
    SpeechStopped,
    ToolCall,
)

__all__ = [
    "ApiEvent",
    "BeginSession",
    "ConnectionBroke",
    "Cut",
    "CutShort",
    "Duck",
    "EndSession",
    "Fill",
    "Finish",
    "Finished",
    "HeardWindow",
    "Hold",
    "LeaveRoom",
    "MicrophoneFrame",
    "PersonCame",
    "PersonWent",
    "Play",
    "Playing",
    "Resume",
    "RoomAway",
    "RoomBack",
    "SessionOrder",
    "SessionOver",
    "Sounding",
    "SpeakerCommand",
    "SpeakerReport",
    "TimePassed",
    "ToolEvent",
    "Unheard",
]


def _length(pcm: bytes) -> str:
    return f"<{len(pcm)} bytes>"


@attrs.frozen
class MicrophoneFrame:
    """Sound of a person, on its way to the service."""

    pcm: bytes = attrs.field(repr=_length)
    """As the service gets it: brought to a steady level."""
    at: float = attrs.field(kw_only=True)
    """When its end was heard: came out of the room's track (Trio's clock, in s). It keeps this time
    wherever it waits, so that its age is known."""
    untouched: bytes = attrs.field(
        default=attrs.Factory(lambda self: self.pcm, takes_self=True), repr=_length, kw_only=True
    )
    """The same sound as it came: what the onset detector judges, and what is recorded."""
    pieces: tuple[MicrophoneFrame, ...] = attrs.field(
        default=(), repr=False, eq=False, kw_only=True, metadata={"recorded": False}
    )
    """Those in which the onset detector was given it, each as it came; empty: it was given this one."""


@attrs.frozen
class HeardWindow:
    """32 ms of a person's sound, as the onset detector has judged it."""

    pcm: bytes = attrs.field(repr=_length)
    """PCM16 mono **16 kHz**, without the agent's echo where there was one."""
    at: float
    """When the last of it was heard (Trio's clock, in s)."""
    probability: float
    """That somebody speaks in it, 0 to 1."""
    pause_ms: float | None
    """It belongs to a sound, which has paused for so long (0: it has not); None: to no sound."""


@attrs.frozen
class ConnectionBroke:
    """The connection to the service is gone. What it had not yet sent of a reply may never come."""


@attrs.frozen
class SessionOver:
    """We ended the session. Anything it still had to say is ignored."""


@attrs.frozen
class PersonCame:
    """A person to talk with is in the room."""

    identity: str


@attrs.frozen
class PersonWent:
    """Somebody reported by `PersonCame` is no longer in the room."""

    identity: str


class Unheard(enum.Enum):
    """Why nobody hears what the agent says."""

    LOST = "the connection to the room broke"
    MUTED = "the agent's track was muted"
    FORBIDDEN = "the agent may not publish"
    UNPUBLISHED = "the agent's track is not in the room"
    ALONE = "nobody has subscribed to the agent's track"


@attrs.frozen
class RoomAway:
    """Nobody hears what is played now. Another one may follow, with another reason."""

    why: Unheard = Unheard.LOST


@attrs.frozen
class RoomBack:
    """What is played is heard again."""


@attrs.frozen
class TimePassed:
    """One of the controller's deadlines may be over."""


@attrs.frozen
class BeginSession:
    """Somebody wants to talk."""

    fresh: bool = True
    """False: it continues the former session's call; no greeting, and the model knows what was said."""


@attrs.frozen
class EndSession:
    """Nobody wants to talk any more: end the session at once, so that it stops costing."""


SessionOrder: TypeAlias = BeginSession | EndSession
"""What the session is told."""


@attrs.frozen
class LeaveRoom:
    """End the call: leave the room, and let everything behind it end in order."""

    why: str
    """For the log, in a few words."""


ApiEvent: TypeAlias = ServerEvent | ConnectionBroke | SessionOver
"""What the session tells the controller."""

ToolEvent: TypeAlias = (
    ToolCall
    | ReplyStarted
    | ReplyDone
    | AgentTranscript
    | SpeechStopped
    | SessionReady
    | SessionUpdated
    | ConnectionBroke
    | SessionOver
)
"""What the session tells the tool runner: nothing that a burst of sound would multiply."""


@attrs.frozen
class Play:
    """Append this sound to what is to be played."""

    reply_id: str
    pcm: bytes = attrs.field(repr=_length)


@attrs.frozen
class Fill:
    """Play this filler sound while the agent has nothing to say and the person is silent. Not a reply."""

    pcm: bytes = attrs.field(repr=_length)


@attrs.frozen
class Finish:
    """No more sound of this reply is expected: report when the last of it has been played."""

    reply_id: str


@attrs.frozen
class Cut:
    """Fall silent now: nothing more of this reply may be heard."""

    reply_id: str


@attrs.frozen
class Hold:
    """Stay silent until told otherwise; lose nothing."""


@attrs.frozen
class Duck:
    """Speak softly for a moment: somebody may have begun to speak."""

    db: float
    """By so much softer."""
    ms: float
    """From now on; then the voice comes back by itself."""


@attrs.frozen
class Resume:
    """Go on. A reply that was held in the middle of a word goes back to the word's beginning."""

    reply_id: str | None = None
    """The reply to go back in; None: go on exactly where the voice was held."""
    from_ms: float = 0.0
    """Its place to go on from, if that is a little before the place where it was held."""


SpeakerCommand: TypeAlias = Play | Finish | Cut | Hold | Duck | Resume


@attrs.frozen
class Playing:
    """How much of a reply has been played by now; it never decreases."""

    reply_id: str
    played_ms: float
    audible: bool
    """False while all of it was the silence that replies begin with."""


@attrs.frozen
class Finished:
    """A reply has left the speaker for good: played to its end, or cut."""

    reply_id: str
    played_ms: float
    underruns: int = 0
    """How often the room's queue ran dry in the middle of it."""


@attrs.frozen
class CutShort:
    """A reply is longer than what may wait to be played: it ends after so much, and more is not kept."""

    reply_id: str
    kept_ms: float


@attrs.frozen
class Sounding:
    """From `at` on, the room's queue plays this; whatever it was to play then or later, it does not."""

    at: float
    """Trio's clock, in s; up to a queue's length ahead."""
    pcm: bytes = attrs.field(repr=_length)
    """Empty when the queue was emptied."""


SpeakerReport: TypeAlias = Playing | Finished | CutShort
"""What the speaker tells the controller."""
