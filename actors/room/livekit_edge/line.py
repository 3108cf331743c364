"""A line to an agent in its room, for its operator's commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio_asyncio
from livekit import rtc

from actors.room.livekit_edge.connecting import Connecting
from actors.room.livekit_edge.loop import LEAVE_WITHIN_S, politely, room_of_its_own
from channels.errors import AgentSilent
from channels.ports import AgentLine
from channels.secret import Secret

__all__ = ["line_to_agent"]

_ANSWER_WITHIN_S = 8.0
"""From sending an RPC call; the SDK itself wants the way there and back to fit in 7 s of it."""


@asynccontextmanager
async def line_to_agent(url: str, token: Secret, identity: str) -> AsyncIterator[AgentLine]:
    """Joins a room beside its agent, only to call the agent's RPC methods; leaves on the way out.

    Args:
        url: of LiveKit.
        token: for that room.
        identity: the agent's.

    Raises:
        RoomUnreachable: nobody answers at the URL.
        NotAllowedInRoom: the server refused the token.
    """
    async with trio_asyncio.open_loop() as loop:
        room = room_of_its_own(loop)
        connecting = Connecting()
        try:
            await connecting.connect(room, url, token, rtc.RoomOptions(auto_subscribe=False))
            yield _LiveKitLine(room, identity)
        finally:
            await connecting.end()
            await politely(room.disconnect, within_s=LEAVE_WITHIN_S)


class _LiveKitLine:
    """`AgentLine` over the SDK's RPC."""

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room = room
        self._identity = identity

    async def call(self, method: str, payload: str) -> str:
        silence = "start the agent, and make sure it is in this room"
        agent = self._room.remote_participants.get(self._identity) or self._of_a_job()
        if agent is None:
            raise AgentSilent(f"there is no agent in the room {self._room.name!r}", silence)
        # Nothing may be sent to a guest who took the name. The kind comes from the token that let them in.
        if agent.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            raise AgentSilent(
                f"the participant {self._identity!r} in the room {self._room.name!r} is not an agent",
                f"keep the identity {self._identity!r} for the agent: give nobody else a token with it",
            )
        perform = trio_asyncio.aio_as_trio(self._room.local_participant.perform_rpc)
        try:
            answer: str = await perform(
                destination_identity=agent.identity,
                method=method,
                payload=payload,
                response_timeout=_ANSWER_WITHIN_S,
            )
        except rtc.RpcError as error:
            raise AgentSilent(
                f"the agent in the room {self._room.name!r} does not answer (LiveKit: {error.code})", silence
            ) from None  # its text may quote what was sent
        return answer

    def _of_a_job(self) -> rtc.RemoteParticipant | None:
        """The agent that LiveKit's dispatch sent: its identity begins with the agent's.

        Raises:
            AgentSilent: several were sent.
        """
        found = [
            each
            for each in self._room.remote_participants.values()
            if each.identity.startswith(f"{self._identity}-")
            and each.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
        ]
        if len(found) > 1:
            raise AgentSilent(
                f"{len(found)} agents are in the room {self._room.name!r}",
                "call the one that you mean by LiveKit's RPC, with its identity",
            )
        return found[0] if found else None
