"""The edge: LiveKit's asyncio SDK behind Trio-native ports. No other module imports asyncio or `livekit.rtc`.

`livekit_edge()` opens one trio-asyncio loop and offers a `Room` to join, a `Loudspeaker` to speak with and an
`EchoCanceller` (`channels.ports`). The SDK's traps end here:

- SDK callbacks run inside the asyncio loop: they hand what they carry to a bounded channel and return.
- A cancelled `capture_frame` breaks the source for good, so a capture is shielded from cancellation.
- `isconnected()` stays true and captures succeed while the server is gone: only events are believed.
- An error text of the SDK may quote the URL with its token: such texts are never passed on.
- On a busy machine `AudioSource` computes a negative delay, which asyncio takes and trio-asyncio does not.
- Ending the loop with a capture in flight prints from Rust: the queue is cleared before it ends.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import attrs
import trio
import trio_asyncio
from livekit import rtc

from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import AgentSilent, ChannelOverflow, EdgeFault, NotAllowedInRoom, RoomUnreachable
from channels.ports import (
    AgentLine,
    AudioTrackGone,
    AudioTrackHeard,
    EchoCanceller,
    Loudspeaker,
    ParticipantCame,
    ParticipantKind,
    ParticipantWent,
    Room,
    RoomEvent,
    RoomLeft,
    RoomReconnected,
    RoomReconnecting,
    TrackSource,
    WhyLeft,
)
from channels.secret import Secret
from channels.sound import SAMPLE_BYTES, SAMPLE_RATE_HZ, ms_of_bytes
from channels.texts import CHAT_TOPIC, CONFIGURE_METHOD, OPERATE_METHOD, Asked, Pressed, TextBoard, Typed

__all__ = ["LiveKitEdge", "TolerantLoop", "WebRtcEchoCanceller", "line_to_agent", "livekit_edge"]

TRACK_NAME = "agent-voice"

_JOIN_WITHIN_S = 10.0
_LEAVE_WITHIN_S = 1.5
"""Leaving is polite, not needed: the server notices by itself. Ctrl-C has 3 s in all."""
_CAPTURE_SLACK_S = 5.0
_ANSWER_WITHIN_S = 8.0
"""From sending an RPC call; the SDK itself wants the way there and back to fit in 7 s of it."""
_FRAMES_KEPT_MS = 1000
_SHOW_WITHIN_S = 2.0
_PROCESSING_SAMPLES = SAMPLE_RATE_HZ // 100
"""WebRTC's audio processing takes 10 ms at a time and nothing else."""
_ECHO_AFTER_MS = 120
"""Where the canceller begins to look for the echo, counted from what it is told to be playing. It looks on
both sides and finds it in half a second (0 and 400 were no worse by measurement); this is in the middle of
what networks make of it."""
LONGEST_TEXT = 4000
"""Characters of a typed message that are read; nobody types more in one go."""

_log = logging.getLogger(__name__)
T = TypeVar("T")

_PEOPLE = (
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
    rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
)

_SOURCES = {
    rtc.TrackSource.SOURCE_MICROPHONE: TrackSource.MICROPHONE,
    rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO: TrackSource.SCREEN_SHARE,
}
"""All others are `OTHER`."""

_WHY_LEFT = {
    rtc.DisconnectReason.DUPLICATE_IDENTITY: WhyLeft.REPLACED,
    rtc.DisconnectReason.PARTICIPANT_REMOVED: WhyLeft.REMOVED,
    rtc.DisconnectReason.ROOM_DELETED: WhyLeft.CLOSED,
    rtc.DisconnectReason.ROOM_CLOSED: WhyLeft.CLOSED,
}
"""All other reasons mean that the connection was lost."""


@attrs.frozen
class LiveKitEdge:
    """What the edge offers to the actors of one room."""

    room: Room
    loudspeaker: Loudspeaker
    board: TextBoard
    echo_canceller: EchoCanceller | None = None


@asynccontextmanager
async def livekit_edge(*, queue_size_ms: int) -> AsyncIterator[LiveKitEdge]:
    """Opens the SDK for one room.

    Args:
        queue_size_ms: the size of the agent track's queue.
    """
    async with trio_asyncio.open_loop() as loop:
        tolerant = cast(asyncio.AbstractEventLoop, TolerantLoop(loop))
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms, loop=tolerant)
        try:
            board = _LiveKitBoard()
            loudspeaker = _LiveKitLoudspeaker(source, queue_size_ms)
            yield LiveKitEdge(_LiveKitRoom(source, loop, board), loudspeaker, board, WebRtcEchoCanceller())
        finally:
            source.clear_queue()
            await _politely(source.aclose, within_s=_LEAVE_WITHIN_S)


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
        room = rtc.Room(loop=loop)
        try:
            await _connect(room, url, token, rtc.RoomOptions(auto_subscribe=False))
            yield _LiveKitLine(room, identity)
        finally:
            await _politely(room.disconnect, within_s=_LEAVE_WITHIN_S)


class _LiveKitLine:
    """`AgentLine` over the SDK's RPC."""

    def __init__(self, room: rtc.Room, identity: str) -> None:
        self._room = room
        self._identity = identity

    async def call(self, method: str, payload: str) -> str:
        silence = "start the agent, and see that it is in this room"
        if self._identity not in self._room.remote_participants:
            raise AgentSilent(f"there is no agent in the room {self._room.name!r}", silence)
        perform = trio_asyncio.aio_as_trio(self._room.local_participant.perform_rpc)
        try:
            answer: str = await perform(
                destination_identity=self._identity,
                method=method,
                payload=payload,
                response_timeout=_ANSWER_WITHIN_S,
            )
        except rtc.RpcError as error:
            raise AgentSilent(
                f"the agent in the room {self._room.name!r} does not answer (LiveKit: {error.code})", silence
            ) from None  # its text may quote what was sent
        return answer


class TolerantLoop:
    """The event loop, with asyncio's own leniency about delays."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: Any) -> object:
        """As asyncio's: a negative delay (s) is none."""
        return self._loop.call_later(max(0.0, delay), callback, *arguments)


async def _politely(farewell: Callable[[], Awaitable[T]], *, within_s: float) -> None:
    """Leaves something clean even when cancelled; gives up after `within_s`."""
    with trio.move_on_after(within_s, shield=True) as scope:
        await trio_asyncio.aio_as_trio(farewell)()
    if scope.cancelled_caught:
        _log.debug("gave up after %.1f s: %s", within_s, farewell)


class _LiveKitLoudspeaker:
    """`Loudspeaker` over an `AudioSource`."""

    def __init__(self, source: rtc.AudioSource, queue_size_ms: int) -> None:
        self._source = source
        self._queue_size_ms = queue_size_ms

    async def capture(self, pcm: bytes) -> None:
        frame = rtc.AudioFrame(pcm, SAMPLE_RATE_HZ, 1, len(pcm) // SAMPLE_BYTES)
        longest_s = (self._queue_size_ms + ms_of_bytes(len(pcm))) / 1000 + _CAPTURE_SLACK_S
        with trio.move_on_after(longest_s, shield=True) as scope:
            try:
                await trio_asyncio.aio_as_trio(self._source.capture_frame)(frame)
            except Exception as error:  # the SDK raises bare Exception
                raise EdgeFault(
                    f"LiveKit's SDK refused the agent's sound ({error})",
                    "restart the agent; report it if it returns",
                ) from error
        if scope.cancelled_caught:
            raise EdgeFault(
                f"LiveKit's SDK took no sound for {longest_s:.0f} s",
                "restart the agent; report it if it returns",
            )
        await trio.lowlevel.checkpoint_if_cancelled()

    def clear(self) -> None:
        self._source.clear_queue()


class WebRtcEchoCanceller:
    """`EchoCanceller` over WebRTC's audio processing, which the SDK carries: some 7 ms of CPU a second."""

    def __init__(self) -> None:
        self._processing = rtc.AudioProcessingModule(echo_cancellation=True)
        self._processing.set_stream_delay_ms(_ECHO_AFTER_MS)

    def clean(self, heard: bytes, played: bytes) -> bytes:
        """As `EchoCanceller.clean`."""
        step = _PROCESSING_SAMPLES * SAMPLE_BYTES
        cleaned = bytearray()
        for offset in range(0, len(heard), step):
            far = rtc.AudioFrame(played[offset : offset + step], SAMPLE_RATE_HZ, 1, _PROCESSING_SAMPLES)
            near = rtc.AudioFrame(heard[offset : offset + step], SAMPLE_RATE_HZ, 1, _PROCESSING_SAMPLES)
            self._processing.process_reverse_stream(far)
            self._processing.process_stream(near)  # in place
            cleaned += near.data
        return bytes(cleaned)


class _LiveKitRoom:
    """`Room` over `rtc.Room`; a fresh one for each join, since a left room cannot be joined again."""

    def __init__(
        self, source: rtc.AudioSource, loop: asyncio.AbstractEventLoop, board: _LiveKitBoard
    ) -> None:
        self._source = source
        self._loop = loop
        self._board = board

    @asynccontextmanager
    async def join(self, url: str, token: Secret) -> AsyncIterator[AsyncIterator[RoomEvent]]:
        room = rtc.Room(loop=self._loop)
        listener = _Listener(room, self._loop, self._board)
        try:
            await _connect(room, url, token)
            listener.greet_those_present()
            listener.take_calls()
            track = rtc.LocalAudioTrack.create_audio_track(TRACK_NAME, self._source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            publish = room.local_participant.publish_track
            try:
                publication = await trio_asyncio.aio_as_trio(publish)(track, options)
            except rtc.participant.PublishTrackError as error:
                raise NotAllowedInRoom(
                    "LiveKit refused the agent's audio track", "its token must allow publishing (can_publish)"
                ) from error
            await self._board.hang_up_in(room, publication.sid)
            yield listener.events()
        finally:
            self._board.take_down()
            listener.stop()
            await _politely(room.disconnect, within_s=_LEAVE_WITHIN_S)


async def _connect(room: rtc.Room, url: str, token: Secret, options: rtc.RoomOptions | None = None) -> None:
    refusal: rtc.ConnectError | None = None
    with trio.move_on_after(_JOIN_WITHIN_S) as scope:
        try:
            await trio_asyncio.aio_as_trio(room.connect)(url, token.reveal(), options or rtc.RoomOptions())
        except rtc.ConnectError as error:
            refusal = error
    if scope.cancelled_caught:
        raise RoomUnreachable(
            f"LiveKit at {url} let nobody in within {_JOIN_WITHIN_S:.0f} s",
            "check that UDP or TCP for media can reach it",
        )
    # Raised outside the handler, since the SDK's own text may quote the token.
    if refusal is not None:
        if any(mark in refusal.message for mark in ("401", "403", "unauthorized", "permission")):
            raise NotAllowedInRoom(
                f"LiveKit at {url} refused the token",
                "LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be this server's, and the clocks must agree",
            )
        raise RoomUnreachable(
            f"LiveKit at {url} cannot be reached", "check LIVEKIT_URL, and that the server runs"
        )


class _Listener:
    """Turns the SDK's callbacks into `RoomEvent`s on a channel."""

    def __init__(self, room: rtc.Room, loop: asyncio.AbstractEventLoop, board: _LiveKitBoard) -> None:
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
        room.on("reconnecting", lambda: self._tell(RoomReconnecting()))
        room.on("reconnected", lambda: self._tell(RoomReconnected()))
        room.on("disconnected", self._on_disconnected)

    def greet_those_present(self) -> None:
        for participant in self._room.remote_participants.values():
            self._on_participant(participant)

    def take_calls(self) -> None:
        """RPC methods belong to the local participant, who exists only once the room is joined."""
        for method in (CONFIGURE_METHOD, OPERATE_METHOD):
            self._room.local_participant.register_rpc_method(method, functools.partial(self._on_call, method))

    async def events(self) -> AsyncIterator[RoomEvent]:
        async with self._receive:
            async for event in self._receive:
                yield event
                if isinstance(event, RoomLeft):
                    return
        if self._overflow is not None:
            raise self._overflow

    def stop(self) -> None:
        self._send.close()
        self._receive.close()

    def _tell(self, event: RoomEvent) -> None:
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
            self._tell(ParticipantCame(participant.identity, _kind(participant)))

    def _on_participant_gone(self, participant: rtc.RemoteParticipant) -> None:
        self._present.discard(participant.identity)
        # The SDK keeps quiet about the tracks of somebody whom it has forgotten already.
        for sid in [sid for sid, owner in self._audio_tracks.items() if owner == participant.identity]:
            self._forget_track(sid, participant.identity)
        self._tell(ParticipantWent(participant.identity))

    def _on_track(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self._on_participant(participant)
            self._audio_tracks[track.sid] = participant.identity
            self._tell(AudioTrackHeard(_LiveKitTrack(track, publication, participant, self._loop)))

    def _on_track_gone(
        self,
        _track: rtc.Track | None,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
    ) -> None:
        self._forget_track(publication.sid, participant.identity)

    def _forget_track(self, sid: str, identity: str) -> None:
        if self._audio_tracks.pop(sid, None) is not None:
            self._tell(AudioTrackGone(sid, identity))

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
        self._tell(Typed(identity, text[:LONGEST_TEXT]))

    async def _on_call(self, method: str, call: rtc.RpcInvocationData) -> str:
        answer = self._board.expect_answer(call.request_id, self._loop)
        self._tell(Asked(call.request_id, call.caller_identity, method, call.payload))
        try:
            return await asyncio.wait_for(answer, call.response_timeout)
        finally:
            self._board.forget_answer(call.request_id)

    def _on_key(self, dtmf: rtc.SipDTMF) -> None:
        if dtmf.participant is not None and len(dtmf.digit) == 1:
            self._tell(Pressed(dtmf.participant.identity, dtmf.digit))

    def _on_disconnected(self, reason: rtc.DisconnectReason.ValueType) -> None:
        self._tell(RoomLeft(_WHY_LEFT.get(reason, WhyLeft.LOST), rtc.DisconnectReason.Name(reason)))


def _kind(participant: rtc.RemoteParticipant) -> ParticipantKind:
    return ParticipantKind.PERSON if participant.kind in _PEOPLE else ParticipantKind.MACHINE


class _LiveKitTrack:
    """`MicrophoneTrack` over a remote audio track."""

    def __init__(
        self,
        track: rtc.Track,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._track = track
        self._loop = loop
        self.sid: str = track.sid
        self.identity: str = participant.identity
        self.kind = _kind(participant)
        self.source = _SOURCES.get(publication.source, TrackSource.OTHER)

    @asynccontextmanager
    async def frames(self, frame_ms: int) -> AsyncIterator[AsyncIterator[bytes]]:
        stream = rtc.AudioStream.from_track(
            track=self._track,
            loop=self._loop,
            capacity=max(1, _FRAMES_KEPT_MS // frame_ms),
            sample_rate=SAMPLE_RATE_HZ,
            num_channels=1,
            frame_size_ms=frame_ms,
        )
        try:
            yield _pcm(stream)
        finally:
            await _politely(stream.aclose, within_s=_LEAVE_WITHIN_S)


async def _pcm(stream: rtc.AudioStream) -> AsyncIterator[bytes]:
    async for event in trio_asyncio.aio_as_trio(stream):
        yield bytes(event.frame.data)


class _LiveKitBoard:
    """`TextBoard` in whatever room the agent is in at the moment."""

    def __init__(self) -> None:
        self._room: rtc.Room | None = None
        self._track_sid = ""
        self._attributes: dict[str, str] = {}
        self._answers: dict[str, asyncio.Future[str]] = {}

    async def hang_up_in(self, room: rtc.Room, track_sid: str) -> None:
        self._room, self._track_sid = room, track_sid
        await self.set_attributes({})

    def take_down(self) -> None:
        self._room, self._track_sid = None, ""

    def agent_track_sid(self) -> str:
        return self._track_sid

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        self._attributes.update(attributes)
        if self._room is not None and self._attributes:
            set_all = self._room.local_participant.set_attributes
            await self._show(trio_asyncio.aio_as_trio(set_all), dict(self._attributes))

    async def send_text(
        self, topic: str, text: str, *, attributes: Mapping[str, str], sender_identity: str | None = None
    ) -> None:
        writer = await self.open_text(topic, attributes=attributes, sender_identity=sender_identity)
        await writer.write(text)
        await writer.aclose()

    async def open_text(
        self, topic: str, *, attributes: Mapping[str, str], sender_identity: str | None = None
    ) -> _LiveKitTextWriter:
        writer: rtc.TextStreamWriter | None = None
        if self._room is not None:
            writer = await self._show(
                trio_asyncio.aio_as_trio(self._room.local_participant.stream_text),
                topic=topic,
                attributes=dict(attributes),
                sender_identity=sender_identity,
            )
        return _LiveKitTextWriter(writer, self._show)

    def answer(self, call_id: str, payload: str) -> None:
        answer = self._answers.pop(call_id, None)
        if answer is not None and not answer.done():
            answer.set_result(payload)

    def expect_answer(self, call_id: str, loop: asyncio.AbstractEventLoop) -> asyncio.Future[str]:
        self._answers[call_id] = loop.create_future()
        return self._answers[call_id]

    def forget_answer(self, call_id: str) -> None:
        self._answers.pop(call_id, None)

    async def _show(self, show: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T | None:
        """Shows something if the room can be reached; a room that is just going away is no error."""
        with trio.move_on_after(_SHOW_WITHIN_S):
            try:
                return await show(*arguments, **options)
            except Exception as error:  # the SDK raises a class of its own for each call, and bare ones
                _log.debug("not shown (%s)", type(error).__name__)
        return None


class _LiveKitTextWriter:
    """`TextWriter` over the SDK's."""

    def __init__(self, writer: rtc.TextStreamWriter | None, show: Callable[..., Awaitable[Any]]) -> None:
        self._writer = writer
        self._show = show

    async def write(self, text: str) -> None:
        if self._writer is not None:
            await self._show(trio_asyncio.aio_as_trio(self._writer.write), text)

    async def aclose(self, attributes: Mapping[str, str] | None = None) -> None:
        if self._writer is not None:
            await self._show(trio_asyncio.aio_as_trio(self._writer.aclose), attributes=dict(attributes or {}))
