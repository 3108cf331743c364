"""As whom the agent sits in its room: as the one agent of a room, or as that of a job of LiveKit's dispatch.

What the server knows of a job's agent is its identity: when a participant with the identity that was accepted
leaves the room, the job has ended. Kind, attributes and rights come from the token that was joined with. The
job's own token is good for an hour, so a later join needs one that we mint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from channels.secret import Secret

__all__ = ["AGENT_IDENTITY", "OWN_ROOM", "Seat"]

AGENT_IDENTITY = "voice-agent"
"""Of the one agent of a room. Those of jobs begin with it."""


@attrs.frozen
class Seat:
    """The agent's place in a room."""

    identity: str = AGENT_IDENTITY
    name: str = ""
    attributes: Mapping[str, str] = attrs.field(factory=dict)
    token: Secret | None = None
    """For the first join; None: one is minted, as for every further one."""
    ends_with_room: bool = False
    """Whether the call is over when the room is closed, or the agent removed. A closed room that opens again
    is another one, with a job of its own."""
    nodes: Sequence[str] = ()
    """Further addresses of the same LiveKit, for when the one that the agent joined at does not answer."""


OWN_ROOM = Seat()
"""Without dispatch: the room is the agent's, which reopens it when it was closed for being empty."""
