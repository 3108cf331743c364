"""Everything that can happen, for loggers, metrics and a developer's own actors.

`channels.taps` carries it. `at` is in seconds on Trio's clock: good for differences, in virtual time too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from channels.wire.messages import ReplyCreate

__all__ = [
    "AnswerMissing",
    "AskGivenUp",
    "AskSent",
    "BystanderFailed",
    "CallBegan",
    "CallEnded",
    "FloorHolder",
    "FloorPassed",
    "Happening",
    "HeardBy",
    "Interrupted",
    "Leaving",
    "LoopHeld",
    "ModelFailed",
    "OperatorActed",
    "OperatorRefused",
    "ParticipantJoined",
    "ParticipantLeft",
    "PersonSaid",
    "PersonTyped",
    "ReplyBegan",
    "ReplyCutShort",
    "ReplyEnded",
    "ReplyGivenUp",
    "ReplyOutcome",
    "RequestWithheld",
    "RoomJoined",
    "RoomLost",
    "RoomRestored",
    "ServiceComplained",
    "SessionClosed",
    "SessionConfigured",
    "SessionLost",
    "SessionStarted",
    "SoundJudged",
    "SoundRose",
    "SoundStarted",
    "SoundStopped",
    "SoundWasLate",
    "TextDropped",
    "ToolAnswered",
    "ToolCalled",
    "ToolDropped",
    "TurnStarted",
    "TurnStopped",
    "TurnTimed",
    "UpdateAnswered",
    "VoiceAudible",
    "VoiceChosen",
    "VoiceHeld",
    "VoiceResumed",
    "VoiceUnheard",
    "WordsHeard",
]


@attrs.frozen
class RoomJoined:
    """The agent is in the room."""

    room: str
    rejoined: bool


@attrs.frozen
class RoomLost:
    """The connection to the room broke; says what is done about it."""

    fix: str


@attrs.frozen
class RoomRestored:
    """The connection to the room is back."""


@attrs.frozen
class VoiceUnheard:
    """Nobody in the room can hear the agent, so its voice waits. Sent again if the reason changes."""

    why: str
    """A name of `channels.messages.Unheard`, in lower case: muted, forbidden, unpublished or alone."""
    fix: str


@attrs.frozen
class VoiceAudible:
    """The agent can be heard: its voice goes on."""


@attrs.frozen
class Leaving:
    """The agent was told to leave the room, and the call ends."""

    why: str


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
    """Whose microphone the agent listens to now; None: nobody's."""

    identity: str | None
    track_sid: str = ""
    """The id of that microphone's track."""
    everybody: bool = False
    """Everybody is heard at once, and `identity` is the last person who spoke, if anybody did."""


@attrs.frozen
class SessionStarted:
    """The Voice Agent API is listening."""

    session_id: str
    resumed: bool


@attrs.frozen
class SessionLost:
    """The connection to the Voice Agent API broke; the next try comes after `retry_in_s` seconds."""

    why: str
    retry_in_s: float
    no_place: bool = False
    """The service has no place for one more session now, of this account or at all."""


@attrs.frozen
class SessionClosed:
    """We ended the session, and the service confirmed it, or did not in time."""

    confirmed: bool


@attrs.frozen
class ServiceComplained:
    """The service reported an error and went on."""

    code: str
    message: str
    fix: str
    param: str | None = None


@attrs.frozen
class ModelFailed:
    """The model behind a reply failed: the reply ends with what it had."""

    reply_id: str
    code: str
    message: str
    fix: str


@attrs.frozen
class RequestWithheld:
    """Somebody requested a message that the session does not send."""

    request: str
    """Its type."""
    why: str


@attrs.frozen
class PersonTyped:
    """Somebody in the room typed a message, and the model gets it."""

    identity: str
    text: str


@attrs.frozen
class TextDropped:
    """What somebody typed or pressed is not read; sent once a minute for each person."""

    identity: str
    why: str


@attrs.frozen
class AskSent:
    """A `reply.create` goes to the service now."""

    request: ReplyCreate = attrs.field(repr=False)
    waited_ms: int


@attrs.frozen
class AskGivenUp:
    """A `reply.create` was not sent: its turn did not come in time, or too many waited."""

    request: ReplyCreate = attrs.field(repr=False)
    why: str


@attrs.frozen
class PersonSaid:
    """Everything the service has understood so far of a turn of the person.

    A turn that the service split is one turn: each of these replaces the one before it of the same `turn`.
    """

    text: str
    final: bool
    """The turn is over. There is one final `PersonSaid` for each turn in which something was said."""
    turn: int = 0
    """From 1 on."""
    certain: bool = False
    """These are the service's own final words. The person may still go on."""


@attrs.frozen
class SoundRose:
    """Something rose out of the noise of the person's room. It may be their first sound, or a door."""

    at: float


@attrs.frozen
class SoundStarted:
    """The person's first sound after a silence, at their microphone: long before any decision."""

    at: float


@attrs.frozen
class SoundStopped:
    """The person's last sound before a silence."""

    at: float
    """When the sound ended, not when we learned it."""


@attrs.frozen
class SoundJudged:
    """What a short sound of the person was, as far as this machine can tell, before the service says it."""

    at: float
    """When the sound began, as in its `SoundStarted`."""
    keeps: bool
    """The voice waits for what the service decides. False: it goes on at once."""
    why: str
    """"no voice", "hummed" or "back-channel"; "words", "long" or "goes on". Never what was said."""


@attrs.frozen
class SoundWasLate:
    """The person's words had to wait on their way to the service; says what that cost."""

    worst_ms: int
    """The age of the oldest words when they were sent."""
    silence_dropped_ms: int
    """Cut from the gaps between words, to catch up."""
    speech_dropped_ms: int
    """Cut from words, where no gap came or too much was said to wait."""
    at: float


@attrs.frozen
class TurnStarted:
    """The service says that the person is speaking. That is not a decision to interrupt the agent."""

    at: float
    turn: int = 0
    """The same number again means more of a turn that the service thought was over."""


@attrs.frozen
class TurnStopped:
    """The service says that the person has finished."""

    at: float
    turn: int = 0


class FloorHolder(enum.Enum):
    """Who has the floor."""

    NOBODY = "nobody"
    """Everybody is silent, and nothing is due except tool results (`ToolCalled`, `ToolAnswered`)."""
    PERSON = "person"
    """The person is speaking, or seems to be. The agent's voice waits."""
    ANSWER = "answer"
    """An answer is due but cannot be heard yet: the person has finished, or something was requested."""
    AGENT = "agent"
    """The agent is heard."""


@attrs.frozen
class FloorPassed:
    """The floor has passed to somebody else. This is the only source for it; nothing derives it again."""

    holder: FloorHolder
    turn: int
    """The person's latest turn."""
    at: float


@attrs.frozen
class AnswerMissing:
    """The person has said something, and no answer has come in time."""

    turn: int
    text: str
    """What they said."""
    why: str
    """`empty`: the reply had no sound, no tool call and no error. `none`: nothing came in time."""
    at: float


@attrs.frozen
class ReplyBegan:
    """The first audible sound of a reply is being played."""

    reply_id: str
    at: float


@attrs.frozen
class WordsHeard:
    """More of a reply's words have been played."""

    reply_id: str
    text: str
    """Only the new ones."""


@attrs.frozen
class Interrupted:
    """The service decided that this reply is interrupted: nothing more of it is heard."""

    reply_id: str
    at: float
    by_person: bool = True
    """Somebody was heard speaking. If not, it gave way to something else, such as typed text."""


@attrs.frozen
class VoiceHeld:
    """The person is speaking, or seems to be: the voice waits, or does not begin, until that is decided."""

    at: float


@attrs.frozen
class VoiceResumed:
    """It was not an interruption: the voice resumes."""

    at: float
    held_ms: int


class ReplyOutcome(enum.Enum):
    """How a reply ended: exactly one of these."""

    PLAYED = "played"
    CUT = "cut"
    ABANDONED = "abandoned"
    """The connection broke before all of it had arrived; what had arrived was played."""


@attrs.frozen
class ReplyEnded:
    """A reply is over: how, how much of it the room heard, and what was said of it."""

    reply_id: str
    outcome: ReplyOutcome
    heard_ms: int
    heard_text: str
    """The words whose sound was played; the whole text where the service gave no word times."""
    at: float
    underruns: int = 0
    """Gaps in its sound, because the service or this machine was too slow."""


@attrs.frozen
class ReplyGivenUp:
    """Nobody could hear this reply for so long that the rest of it is given up."""

    reply_id: str
    why: str
    """As in `VoiceUnheard`."""
    at: float


@attrs.frozen
class ReplyCutShort:
    """The service sent a reply longer than the limit: the rest of it is not heard."""

    reply_id: str
    kept_ms: int
    fix: str


@attrs.frozen
class TurnTimed:
    """The two timers of a turn, measured where people notice them (ms; None: it did not happen)."""

    turn: int
    turn_latency_ms: int | None
    """From the person's last sound to the first audible sound of the reply at the room."""
    barge_in_ms: int | None
    """From the person's first sound to the agent's silence; only where that sound led to it."""
    endpointing_ms: int | None
    """Of the turn latency: from the person's last sound to the service's decision."""
    reply: ReplyEnded
    interrupted: bool = False
    """A person's speech ended the reply, whether or not their first sound is known."""


@attrs.frozen
class ToolCalled:
    """The service's model calls a tool."""

    call_id: str
    name: str


@attrs.frozen
class ToolAnswered:
    """A tool returned, or failed; the result goes to the service when it may."""

    call_id: str
    name: str
    took_ms: int
    error: str | None = None
    """What the model is told of the failure; None: it returned."""
    traceback: str | None = attrs.field(default=None, repr=False)
    """For the log alone."""


@attrs.frozen
class ToolDropped:
    """The result of a call is never sent to the service."""

    call_id: str
    name: str
    why: str


@attrs.frozen
class OperatorActed:
    """An operator steered the call."""

    identity: str
    what: str
    """say, prompt, tell or end."""


@attrs.frozen
class OperatorRefused:
    """Somebody who is not an operator tried to steer the call."""

    identity: str
    why: str


@attrs.frozen
class CallBegan:
    """A new call begins: nothing from before belongs to it."""


@attrs.frozen
class CallEnded:
    """The session was ended because nobody needs it now; it begins again when somebody does."""

    why: str


@attrs.frozen
class BystanderFailed:
    """A bystander has crashed; the conversation goes on without it."""

    actor: str
    why: str
    traceback: str | None = attrs.field(default=None, repr=False)
    """For the log alone."""


@attrs.frozen
class LoopHeld:
    """A task kept all others from running, the voice too. Code that waits must wait in Trio."""

    by: str
    """`tool …` and `actor …` are the user's own; anything else is a task of this project."""
    ms: int
    fix: str


@attrs.frozen
class SessionConfigured:
    """The service's resolved configuration, at the start and after each change that it accepted."""

    config: Mapping[str, Any]


@attrs.frozen
class VoiceChosen:
    """From the next session on, this is the agent's voice; None: the configured one, as another was refused.

    A session that takes over in mid-call keeps the voice of the one before.
    """

    voice: str | None


@attrs.frozen
class UpdateAnswered:
    """The service answered a `session.update` that somebody requested."""

    session: Mapping[str, Any] = attrs.field(repr=False)
    """What was to change; the sender recognises its own update by it."""
    accepted: bool
    why: str = ""
    """Why not, in the service's words."""


Happening: TypeAlias = (
    RoomJoined
    | RoomLost
    | RoomRestored
    | VoiceUnheard
    | VoiceAudible
    | Leaving
    | ParticipantJoined
    | ParticipantLeft
    | HeardBy
    | SessionStarted
    | SessionLost
    | SessionClosed
    | ServiceComplained
    | ModelFailed
    | RequestWithheld
    | SessionConfigured
    | UpdateAnswered
    | VoiceChosen
    | SoundStarted
    | SoundJudged
    | SoundRose
    | SoundStopped
    | SoundWasLate
    | TurnStarted
    | TurnStopped
    | FloorPassed
    | PersonSaid
    | PersonTyped
    | TextDropped
    | AskSent
    | AskGivenUp
    | AnswerMissing
    | ReplyBegan
    | WordsHeard
    | VoiceHeld
    | VoiceResumed
    | Interrupted
    | ReplyEnded
    | ReplyGivenUp
    | ReplyCutShort
    | TurnTimed
    | ToolCalled
    | ToolAnswered
    | ToolDropped
    | BystanderFailed
    | LoopHeld
    | CallBegan
    | CallEnded
    | OperatorActed
    | OperatorRefused
)
