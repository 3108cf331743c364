"""Text in the room: what the agent shows to front ends, and what people type or ask for.

The topics and attributes are LiveKit's own where LiveKit has a name for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import attrs

__all__ = [
    "AGENT_STATE",
    "CHAT_TOPIC",
    "CONFIGURE_METHOD",
    "EVERYBODY",
    "LISTENING_TO",
    "MICROPHONE",
    "OPERATE_METHOD",
    "SESSION_TOPIC",
    "TOOLS",
    "TRANSCRIPTION_TOPIC",
    "TURNS_TOPIC",
    "UNANSWERED_TOPIC",
    "UNHEARD",
    "Asked",
    "Pressed",
    "RoomText",
    "TextBoard",
    "TextWriter",
    "Typed",
]

AGENT_STATE = "lk.agent.state"
"""Participant attribute of LiveKit's: initializing, idle, listening, thinking or speaking."""

TRANSCRIPTION_TOPIC = "lk.transcription"
"""Text stream of LiveKit's: what both sides say. The agent's words come as they are heard, and end where they
stopped. Attributes: lk.segment_id, lk.transcription_final, lk.transcribed_track_id."""

CHAT_TOPIC = "lk.chat"
"""Text stream of LiveKit's, to the agent: what somebody typed, to be answered as if it had been said."""

LISTENING_TO = "voice-agent.listening_to"
"""Participant attribute of ours: the identity whose microphone the agent hears; "*": everybody's; empty:
nobody's."""

EVERYBODY = "*"

MICROPHONE = "voice-agent.microphone"
"""Participant attribute of a client, ours: its microphone's settings as the browser tells them. One JSON
object with echoCancellation, noiseSuppression and autoGainControl."""

TOOLS = "voice-agent.tools"
"""Participant attribute of ours: the names of the tools that run, with commas, or empty."""

UNHEARD = "voice-agent.unheard"
"""Participant attribute of ours: why nobody can hear the agent (muted, forbidden, unpublished or alone), or
empty."""

TURNS_TOPIC = "voice-agent.turns"
"""Text stream of ours: one JSON object for each reply that ended."""

UNANSWERED_TOPIC = "voice-agent.unanswered"
"""Text stream of ours: one JSON object for each text that somebody typed and that will not be answered, with
`text` and `why`."""

SESSION_TOPIC = "voice-agent.session"
"""Text stream of ours: the session's configuration, as one JSON object."""

CONFIGURE_METHOD = "voice-agent.configure"
"""RPC method of ours: changes what the protocol allows to change in mid-call, and, with `next_voice`, the
voice of the sessions to come."""


OPERATE_METHOD = "voice-agent.operate"
"""RPC method of ours: what an operator may do."""


@attrs.frozen
class Typed:
    """Somebody typed a message into the room's chat."""

    identity: str
    text: str = attrs.field(repr=False)


@attrs.frozen
class Asked:
    """Somebody called an RPC method of the agent; it is answered by `TextBoard.answer`."""

    call_id: str
    identity: str
    method: str
    payload: str = attrs.field(repr=False)


@attrs.frozen
class Pressed:
    """A caller pressed a key of their phone (DTMF)."""

    identity: str
    key: str = attrs.field(repr=False)
    """0 to 9, *, #, or A to D. Not shown: it may be part of a card number."""


RoomText: TypeAlias = Typed | Asked | Pressed


class TextWriter(Protocol):
    """A text stream that is being written."""

    async def write(self, text: str) -> None:
        """Appends to it. Without effect once the room is lost."""

    async def aclose(self, attributes: Mapping[str, str] | None = None) -> None:
        """Ends it, with last attributes. Without effect once the room is lost."""


class TextBoard(Protocol):
    """Where the agent writes for front ends. Nothing here raises while the room is away."""

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        """Sets attributes of the agent's participant; they are set again after a rejoin."""

    async def send_text(
        self, topic: str, text: str, *, attributes: Mapping[str, str], sender_identity: str | None = None
    ) -> None:
        """Sends one whole text stream; `sender_identity` is whose words they are."""

    async def open_text(self, topic: str, *, attributes: Mapping[str, str]) -> TextWriter:
        """Begins a text stream that is written bit by bit."""

    def answer(self, call_id: str, payload: str) -> None:
        """Answers an RPC call; if nobody waits for it any more, the answer is dropped."""

    def agent_track_sid(self) -> str:
        """The id of the agent's own track in the room; empty while it is away."""
