"""RoomActor: keeps the agent in its room.

In: nothing but the `Room` port. Out: the audio tracks of people (to the microphone pump) and what
happens in the room (to the taps). It mints a token for each join: this room only, short-lived. When
the server goes away for good it joins again, with backoff, for as long as a person would wait; when
the agent was thrown out it ends with one line. Cancelled, it leaves the room cleanly.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import trio
from attrs import define, field
from livekit import api

from channels.backoff import Backoff
from channels.bounded import Sender
from channels.errors import RoomEnded, RoomUnreachable
from channels.happenings import ParticipantJoined, ParticipantLeft, RoomJoined, RoomLost, RoomRestored, Taps
from channels.ports import (
    AudioTrackGone,
    AudioTrackHeard,
    ParticipantCame,
    ParticipantWent,
    Room,
    RoomEvent,
    RoomLeft,
    RoomReconnected,
    RoomReconnecting,
    TrackEvent,
    WhyLeft,
)
from channels.secret import Secret
from channels.settings import LiveKitSettings

__all__ = ["AGENT_IDENTITY", "RoomActor", "mint_token"]

AGENT_IDENTITY = "voice-agent"

_TOKEN_LIFE = timedelta(minutes=10)
"""A token is needed at the moment of joining; the server renews it on the open connection."""

_REJOIN_FOR_S = 60.0
"""On top of the SDK's own 25 s of reconnecting (measured)."""

_ENDED = {
    WhyLeft.CLOSED: ("the room was closed", "start the agent again to open it anew"),
    WhyLeft.REMOVED: ("the agent was removed from the room", "start it again if that was a mistake"),
    WhyLeft.REPLACED: (
        f"another participant with the identity {AGENT_IDENTITY!r} took the agent's place",
        "run one agent a room, or give each its own room with ROOM_NAME",
    ),
}


def mint_token(settings: LiveKitSettings, identity: str, life: timedelta = _TOKEN_LIFE) -> Secret:
    """A token that lets `identity` into the one room of the settings: to speak, to listen, no more."""
    grants = api.VideoGrants(room_join=True, room=settings.room_name, can_publish=True, can_subscribe=True)
    token = api.AccessToken(settings.api_key, settings.api_secret.reveal())
    return Secret(token.with_identity(identity).with_ttl(life).with_grants(grants).to_jwt())


@define
class RoomActor:
    """Keeps the agent in one room and reports what happens there.

    Raises (from `run`):
        RoomUnreachable, NotAllowedInRoom: the room cannot be joined, or not again.
        RoomEnded: the agent was removed, replaced, or the room was closed.
    """

    settings: LiveKitSettings
    room: Room
    tracks: Sender[TrackEvent]
    taps: Taps
    random: Random = field(factory=Random)

    async def run(self) -> None:
        """Joins and stays until cancelled or thrown out."""
        async with self.tracks:
            await self._stay(rejoined=False)
            lost_at = trio.current_time()
            backoff = Backoff(self.random)
            while True:
                try:
                    await self._stay(rejoined=True)
                    lost_at, backoff = trio.current_time(), Backoff(self.random)
                except RoomUnreachable as unreachable:
                    wait_s = backoff.next_s()
                    if trio.current_time() + wait_s - lost_at > _REJOIN_FOR_S:
                        raise RoomUnreachable(
                            f"LiveKit at {self.settings.url} went away and did not come back",
                            "start the agent again when it runs",
                        ) from unreachable
                    self.taps.publish(RoomLost(f"cannot join yet, next try in {wait_s:.1f} s"))
                    await trio.sleep(wait_s)

    async def _stay(self, *, rejoined: bool) -> None:
        """Returns when the connection is lost for good."""
        token = mint_token(self.settings, AGENT_IDENTITY)
        async with self.room.join(self.settings.url, token) as events:
            self.taps.publish(RoomJoined(self.settings.room_name, rejoined))
            left = await self._attend(events)
        if left.why is not WhyLeft.LOST:
            raise RoomEnded(*_ENDED[left.why])
        self.taps.publish(RoomLost("joining again"))

    async def _attend(self, events: AsyncIterator[RoomEvent]) -> RoomLeft:
        heard: dict[str, AudioTrackHeard] = {}
        try:
            async for event in events:
                match event:
                    case AudioTrackHeard(track=track):
                        heard[track.sid] = event
                        self.tracks.send_nowait(event)
                    case AudioTrackGone(sid=sid):
                        if heard.pop(sid, None):
                            self.tracks.send_nowait(event)
                    case ParticipantCame(identity=identity):
                        self.taps.publish(ParticipantJoined(identity))
                    case ParticipantWent(identity=identity):
                        self.taps.publish(ParticipantLeft(identity))
                    case RoomReconnecting():
                        self.taps.publish(RoomLost("LiveKit reconnects"))
                    case RoomReconnected():
                        self.taps.publish(RoomRestored())
                    case RoomLeft():
                        return event
        finally:
            # A lost room takes its tracks with it without saying so.
            for gone in heard.values():
                self._forget(gone)
        return RoomLeft(WhyLeft.LOST, "the SDK ended its events")

    def _forget(self, gone: AudioTrackHeard) -> None:
        try:
            self.tracks.send_nowait(AudioTrackGone(gone.track.sid, gone.track.identity))
        except trio.BrokenResourceError:
            return  # the pump ended first, since everybody is being cancelled
