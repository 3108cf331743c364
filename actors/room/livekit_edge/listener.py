"""The SDK's callbacks, as events on a channel."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator

import trio
from livekit import rtc

from actors.room.livekit_edge.board import LiveKitBoard
from actors.room.livekit_edge.participants import kind_of
from actors.room.livekit_edge.sound import LiveKitTrack
from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import ChannelOverflow
from channels.ports import (
    AudioTrackGone,
    AudioTrackHeard,
    ParticipantCame,
    ParticipantWent,
    RoomEvent,
    RoomLeft,
    RoomReconnected,
    RoomReconnecting,
    WhyLeft,
)
from channels.texts import CHAT_TOPIC, CONFIGURE_METHOD, OPERATE_METHOD, Asked, Pressed, Typed

__all__ = ["RoomListener"]

LONGEST_TEXT = 4000
"""Characters of a typed message that are read; nobody types more in one go."""

_log = logging.getLogger(__name__)

_WHY_LEFT = {
    rtc.DisconnectReason.DUPLICATE_IDENTITY: WhyLeft.REPLACED,
    rtc.DisconnectReason.PARTICIPANT_REMOVED: WhyLeft.REMOVED,
    rtc.DisconnectReason.ROOM_DELETED: WhyLeft.CLOSED,
    rtc.DisconnectReason.ROOM_CLOSED: WhyLeft.EMPTY,
}
"""All other reasons mean that the connection was lost."""


class RoomListener:
    """Turns the SDK's callbacks into `RoomEvent`s on a channel."""

    def __init__(self, room: rtc.Room, loop: asyncio.AbstractEventLoop, board: LiveKitBoard) -> None:
        channel = Channel[RoomEvent](
            "room events",
            capacity=1024,
            unit="events",
            full=Full.FAIL,
            because="an SDK callback cannot wait, and the room actor only passes events on",
        )
        self._room = room
        self._loop = loop
        self._send: Sender[RoomEvent] = channel.sender()
        self._receive: Receiver[RoomEvent] = channel.receiver()
        self._overflow: ChannelOverflow | None = None
        self._present: set[str] = set()
        self._audio_tracks: dict[str, str] = {}
        """Whose they are, by track id."""
        self._board = board
        self._reading: set[asyncio.Task[None]] = set()
        room.register_text_stream_handler(CHAT_TOPIC, self._on_text)
        room.on("participant_connected", self._on_participant)
        room.on("participant_disconnected", self._on_participant_gone)
        room.on("track_subscribed", self._on_track)
        room.on("track_unsubscribed", self._on_track_gone)
        room.on("sip_dtmf_received", self._on_key)
        room.on("reconnecting", lambda: self.tell(RoomReconnecting()))
        room.on("reconnected", lambda: self.tell(RoomReconnected()))
        room.on("disconnected", self._on_disconnected)

    def greet_those_present(self) -> None:
        """Tells of those who were there before the agent."""
        for participant in self._room.remote_participants.values():
            self._on_participant(participant)

    def take_calls(self) -> None:
        """RPC methods belong to the local participant, who exists only once the room is joined."""
        for method in (CONFIGURE_METHOD, OPERATE_METHOD):
            self._room.local_participant.register_rpc_method(method, functools.partial(self._on_call, method))

    async def events(self) -> AsyncIterator[RoomEvent]:
        """What happens, until the room is left."""
        async with self._receive:
            async for event in self._receive:
                yield event
                if isinstance(event, RoomLeft):
                    return
        if self._overflow is not None:
            raise self._overflow

    def stop(self) -> None:
        """Tells nothing more."""
        self._send.close()
        self._receive.close()

    def tell(self, event: RoomEvent) -> None:
        """Puts an event on the channel; without effect once it was stopped."""
        # An exception in a callback would vanish in the SDK's log: it is kept for the reader instead.
        try:
            self._send.send_nowait(event)
        except ChannelOverflow as overflow:
            self._overflow = overflow
            self._send.close()
        except (trio.ClosedResourceError, trio.BrokenResourceError):
            _log.debug("nobody listens to %s any more", event)

    def _on_participant(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity not in self._present:
            self._present.add(participant.identity)
            self.tell(ParticipantCame(participant.identity, kind_of(participant)))

    def _on_participant_gone(self, participant: rtc.RemoteParticipant) -> None:
        self._present.discard(participant.identity)
        # The SDK keeps quiet about the tracks of somebody whom it has forgotten already.
        for sid in [sid for sid, owner in self._audio_tracks.items() if owner == participant.identity]:
            self._forget_track(sid, participant.identity)
        self.tell(ParticipantWent(participant.identity))

    def _on_track(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._on_participant(participant)
            self._audio_tracks[track.sid] = participant.identity
            self.tell(AudioTrackHeard(LiveKitTrack(track, publication, participant, self._loop)))

    def _on_track_gone(
        self,
        _track: rtc.Track | None,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        self._forget_track(publication.sid, participant.identity)

    def _forget_track(self, sid: str, identity: str) -> None:
        if self._audio_tracks.pop(sid, None) is not None:
            self.tell(AudioTrackGone(sid, identity))

    def _on_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        reading = self._loop.create_task(self._read_text(reader, identity))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    async def _read_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        text = ""
        try:
            async for chunk in reader:
                text += chunk
                if len(text) > LONGEST_TEXT:
                    break
        except rtc.StreamError:
            return  # its sender went away before it was whole
        finally:
            reader.close()
        self.tell(Typed(identity, text[:LONGEST_TEXT]))

    async def _on_call(self, method: str, call: rtc.RpcInvocationData) -> str:
        answer = self._board.expect_answer(call.request_id, self._loop)
        self.tell(Asked(call.request_id, call.caller_identity, method, call.payload))
        try:
            return await asyncio.wait_for(answer, call.response_timeout)
        finally:
            self._board.forget_answer(call.request_id)

    def _on_key(self, dtmf: rtc.SipDTMF) -> None:
        if dtmf.participant is not None and len(dtmf.digit) == 1:
            self.tell(Pressed(dtmf.participant.identity, dtmf.digit))

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self.tell(RoomLeft(_WHY_LEFT.get(reason, WhyLeft.LOST), rtc.DisconnectReason.Name(reason)))
