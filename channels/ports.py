"""The outside world as the actors see it: Trio-native ports, without the traps of the real thing.

The edge (`actors.room.livekit_edge`) implements them over LiveKit's SDK; tests implement them in
virtual time. An actor never knows which one it was given.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

import attrs

from channels.messages import Unheard
from channels.secret import Secret
from channels.texts import RoomText

__all__ = [
    "AgentLine",
    "AudioTrackGone",
    "AudioTrackHeard",
    "EchoCanceller",
    "Loudspeaker",
    "MicrophoneTrack",
    "ParticipantCame",
    "ParticipantKind",
    "ParticipantWent",
    "Room",
    "RoomEvent",
    "RoomLeft",
    "RoomReconnected",
    "RoomReconnecting",
    "SoundRecorded",
    "TrackEvent",
    "TrackSource",
    "VoiceReach",
    "WhyLeft",
]


class ParticipantKind(enum.Enum):
    """Who is at the other end, as far as an agent cares."""

    PERSON = "person"
    """A standard participant or one who phones in by SIP: somebody to be listened to."""
    MACHINE = "machine"
    """Another agent, a recorder, an ingress: never listened to."""


class TrackSource(enum.Enum):
    """What a participant says that a track carries."""

    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen share"
    """The sound of what is on their screen."""
    OTHER = "other"


class MicrophoneTrack(Protocol):
    """A remote participant's audio track."""

    @property
    def sid(self) -> str:
        """The track's id in the room."""

    @property
    def identity(self) -> str:
        """The identity of the participant who publishes it."""

    @property
    def kind(self) -> ParticipantKind:
        """The kind of that participant."""

    @property
    def source(self) -> TrackSource:
        """What it carries."""

    @property
    def recorded_before(self) -> bool:
        """Whether its participant says that they recorded what came before it, and will send that."""

    def frames(
        self, frame_ms: int, at_once: Callable[[], bool] | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Opens the track: its sound as PCM16 mono 24 kHz, `frame_ms` a frame, as it comes in.

        With `at_once`, it comes in whole steps of 10 ms, of which several may come as one, but never parts of
        two frames: each step as soon as it is there while `at_once()` is true, else by the end of the frame.
        `at_once` is asked in a thread of the SDK.
        The server sends the sound for as long as the track is open, and not before.
        Frames of silence come while the track is muted or its sender has stopped. When the track is gone
        the iterator may end or not, and may even give somebody else's sound: a reader that learns that the
        track is gone must close it. Behind a reader that is held up 5 s wait; then the oldest frame goes.
        """


class Loudspeaker(Protocol):
    """The agent's own audio track: a small queue that the room drains in real time."""

    async def capture(self, pcm: bytes) -> None:
        """Appends sound (PCM16 mono 24 kHz) to the queue; waits while the queue is full.

        Not interrupted by cancellation, for as long as the sound given is short.

        Raises:
            EdgeFault: the SDK refuses sound.
        """

    @property
    def steps_from(self) -> float | None:
        """A moment (s, Trio's clock) at which the room takes 10 ms out of the queue, as it does every 10 ms
        before and after; None: it drains evenly, or that is not known.
        """

    def clear(self) -> None:
        """Empties the queue at once. Sound whose `capture` still waits is queued after this."""


class AgentLine(Protocol):
    """A line to an agent from elsewhere in its room."""

    async def call(self, method: str, payload: str) -> str:
        """Calls one of its RPC methods (LiveKit carries 15 KiB either way) and gives the answer.

        Raises:
            AgentSilent: it is not there, or does not answer within seconds.
        """


class EchoCanceller(Protocol):
    """Removes the agent's own voice from what a microphone hears; learns the echo path between them."""

    def clean(self, heard: bytes, played: bytes) -> bytes:
        """What is left of `heard`. Blocking, some 0.3 ms for 50 ms of sound.

        Args:
            heard: by the microphone (PCM16 mono 24 kHz, in whole steps of 10 ms).
            played: as much of what was played, right up to the last of it that may echo in `heard`.
        """


class WhyLeft(enum.Enum):
    """Why the agent is no longer in the room."""

    LOST = "lost"
    """The server cannot be reached any more: joining again may help."""
    EMPTY = "empty"
    """The server closed the room because only the agent was in it: joining reopens it."""
    CLOSED = "closed"
    """Somebody with the right to do so closed the room."""
    REMOVED = "removed"
    """Somebody with the right to do so removed the agent."""
    REPLACED = "replaced"
    """Another participant joined with the same identity. Joining again would throw that one out."""


@attrs.frozen
class ParticipantCame:
    """A participant is in the room; one who is called by phone: has picked up."""

    identity: str
    kind: ParticipantKind


@attrs.frozen
class ParticipantWent:
    """A participant left the room, or hung up."""

    identity: str


@attrs.frozen
class AudioTrackHeard:
    """An audio track of a remote participant can be listened to."""

    track: MicrophoneTrack


@attrs.frozen
class AudioTrackGone:
    """An audio track of a remote participant is no longer there."""

    sid: str
    identity: str


@attrs.frozen
class SoundRecorded:
    """A participant recorded this before anybody heard their track, and sends it now."""

    sid: str
    """The track that goes on with it, as they say."""
    identity: str
    pcm: bytes = attrs.field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    """PCM16 mono 24 kHz, 10 s at the most."""


@attrs.frozen
class VoiceReach:
    """Whether what is played can be heard; sent whenever that changes."""

    unheard: Unheard | None
    """Why not; None: it is. `LOST` is told by `RoomReconnecting` and `RoomLeft` instead."""


@attrs.frozen
class RoomReconnecting:
    """The connection broke; the SDK tries to fix it."""


@attrs.frozen
class RoomReconnected:
    """The connection is fixed."""


@attrs.frozen
class RoomLeft:
    """The agent is out of the room, and not because it asked to be."""

    why: WhyLeft
    detail: str


RoomEvent: TypeAlias = (
    ParticipantCame
    | ParticipantWent
    | AudioTrackHeard
    | AudioTrackGone
    | SoundRecorded
    | VoiceReach
    | RoomReconnecting
    | RoomReconnected
    | RoomLeft
    | RoomText
)


TrackEvent: TypeAlias = AudioTrackHeard | AudioTrackGone | SoundRecorded
"""What the room tells the microphone pump."""


class Room(Protocol):
    """A way into one LiveKit room."""

    def join(self, url: str, token: Secret) -> AbstractAsyncContextManager[AsyncIterator[RoomEvent]]:
        """Joins, publishes the agent's track and gives what happens; leaves on the way out.

        The iterator ends after `RoomLeft`. Participants and tracks that are already there come first. A room
        that never tells `VoiceReach` is one where all that is played is heard.

        Raises:
            RoomUnreachable: nobody answers at the URL.
            NotAllowedInRoom: the server refused the token.
        """
