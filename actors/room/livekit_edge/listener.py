"""The SDK's callbacks, as events on a channel."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator

import trio
from livekit import rtc

from actors.room.livekit_edge.board import LiveKitBoard
from actors.room.livekit_edge.calls import Calls
from actors.room.livekit_edge.chat import Chat
from actors.room.livekit_edge.participants import has_hung_up, is_on_the_line, kind_of
from actors.room.livekit_edge.recorded import RECORDED_TOPIC, RecordedSounds
from actors.room.livekit_edge.tracks import RemoteTracks
from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import ChannelOverflow
from channels.ports import (
    ParticipantCame,
    ParticipantKind,
    ParticipantWent,
    RoomEvent,
    RoomLeft,
    RoomReconnected,
    RoomReconnecting,
    WhyLeft,
)
from channels.texts import CHAT_TOPIC, CONFIGURE_METHOD, OPERATE_METHOD, Pressed, RoomText

__all__ = ["RoomListener"]

KEYS = tuple("0123456789*#ABCD")
"""Of a phone."""

MOST_EVENTS = 1024
MOST_EVENTS_BEFORE_TEXT = 512
"""Beyond it texts are dropped: people may send any number of them, and nothing else may get lost."""

_METHODS = (CONFIGURE_METHOD, OPERATE_METHOD)

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
        self._channel = Channel[RoomEvent](
            "room events",
            capacity=MOST_EVENTS,
            unit="events",
            full=Full.FAIL,
            because="an SDK callback cannot wait, and the room actor only passes events on",
        )
        self._room = room
        self._send: Sender[RoomEvent] = self._channel.sender()
        self._receive: Receiver[RoomEvent] = self._channel.receiver()
        self._overflow: ChannelOverflow | None = None
        self._present: dict[str, ParticipantKind] = {}
        """By identity."""
        self._hung_up: set[str] = set()
        """Legs of phone calls that are over."""
        self._tracks = RemoteTracks(loop, self.tell)
        self._chat = Chat(loop, self._tell_text, self._present.__contains__)
        self._calls = Calls(board, loop, self._tell_text)
        self._takes_calls = False
        room.register_text_stream_handler(CHAT_TOPIC, self._on_text)
        self._recorded = RecordedSounds(loop, self._is_person, self.tell)
        room.register_byte_stream_handler(RECORDED_TOPIC, self._recorded.take)
        room.on("participant_connected", self._on_participant)
        room.on("participant_attributes_changed", self._on_attributes)
        room.on("participant_disconnected", self._on_participant_gone)
        room.on("track_published", self._on_published)
        room.on("track_unpublished", lambda publication: self._tracks.forget(publication.sid))
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
        for method in _METHODS:
            taken = functools.partial(self._calls.take, method)
            self._room.local_participant.register_rpc_method(method, taken)
        self._takes_calls = True

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
        if self._takes_calls:
            # In a room that the server closed, the SDK would keep a method for ever, and with it the room,
            # the agent's track, and a thread that carries its sound.
            for method in _METHODS:
                self._room.local_participant.unregister_rpc_method(method)
        self._recorded.stop()
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
            _log.debug("nothing listens to %s any more", event)

    def _tell_text(self, text: RoomText) -> None:
        if self._channel.statistics().depth < MOST_EVENTS_BEFORE_TEXT:
            self.tell(text)

    def _is_person(self, identity: str) -> bool:
        return self._present.get(identity) is ParticipantKind.PERSON

    def _on_participant(self, participant: rtc.RemoteParticipant) -> None:
        identity = participant.identity
        if identity not in self._present and identity not in self._hung_up and is_on_the_line(participant):
            kind = self._present[identity] = kind_of(participant)
            self.tell(ParticipantCame(identity, kind))
            self._tracks.offer(participant)
            if kind is ParticipantKind.PERSON:
                self._chat.deliver(identity)
            else:
                self._chat.forget(identity)

    def _on_attributes(self, _changed: object, participant: rtc.Participant) -> None:
        # Of oneself it is told, too.
        if not isinstance(participant, rtc.RemoteParticipant):
            return
        if not has_hung_up(participant):
            self._on_participant(participant)
        elif participant.identity in self._present:
            self._hung_up.add(participant.identity)
            self._forget(participant)

    def _on_participant_gone(self, participant: rtc.RemoteParticipant) -> None:
        self._hung_up.discard(participant.identity)
        if participant.identity in self._present:
            self._forget(participant)

    def _forget(self, participant: rtc.RemoteParticipant) -> None:
        del self._present[participant.identity]
        self._chat.forget(participant.identity)
        # The SDK does not report the tracks of a participant that it has already forgotten.
        self._tracks.forget_all_of(participant.identity)
        self.tell(ParticipantWent(participant.identity))

    def _on_published(
        self, _publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.identity in self._present:
            self._tracks.offer(participant)

    def _on_track(self, track: rtc.Track, publication: rtc.RemoteTrackPublication) -> None:
        self._tracks.begin(track, publication)

    def _on_track_gone(
        self,
        _track: rtc.Track | None,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        self._tracks.end(publication, participant)

    def _on_text(self, reader: rtc.TextStreamReader, identity: str) -> None:
        kind = self._present.get(identity)
        known = identity in self._room.remote_participants
        if kind is ParticipantKind.PERSON or not known:
            self._chat.take(reader, identity)
        else:
            reader.close()

    def _on_key(self, dtmf: rtc.SipDTMF) -> None:
        who = dtmf.participant
        if who is not None and who.identity in self._present and dtmf.digit in KEYS:
            self._tell_text(Pressed(who.identity, dtmf.digit))

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self.tell(RoomLeft(_WHY_LEFT.get(reason, WhyLeft.LOST), rtc.DisconnectReason.Name(reason)))
