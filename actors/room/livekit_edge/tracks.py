"""Other people's audio tracks. The server only sends sound that is listened to.

A subscribed track costs about a hundredth of a core, whether or not anybody listens (30 tracks of one person:
37 %). So a track is reported when it is published, and subscribed only while it is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
import trio_asyncio
from livekit import rtc
from livekit.rtc._proto.track_pb2 import TF_PRECONNECT_BUFFER

from actors.room.livekit_edge.loop import LEAVE_WITHIN_S, politely
from actors.room.livekit_edge.participants import SOURCES, kind_of
from actors.room.livekit_edge.steps import JoinedSteps, Steps
from channels.bounded import Channel, Full
from channels.ports import AudioTrackGone, AudioTrackHeard, TrackEvent, TrackSource

__all__ = ["LiveKitTrack", "RemoteTracks"]

MOST_OF_ONE = 16
"""How many tracks of one person are reported. The others are reported when one of these is gone."""

_STEP_MS = 10
"""The SDK's own."""
_FRAMES_KEPT_MS = 5000
_LINGERS_S = 1.0
"""How long the sound of a track that was closed still comes. Who ends a subscription and asks for it again
in one breath gets nothing (measured)."""
_ASKED_AGAIN_AFTER_S = 4.0
"""A subscription takes a round trip or two; one that crossed with its own end may have got lost."""
_OFFERED_AGAIN_AFTER_S = 1.0
"""When the server has ended a subscription though the track is still there."""


class LiveKitTrack:
    """`MicrophoneTrack` over the publication of a remote audio track."""

    def __init__(
        self,
        publication: rtc.RemoteTrackPublication,
        participant: rtc.RemoteParticipant,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._publication = publication
        self._loop = loop
        self._came = trio.Event()
        self._track: rtc.Track | None = None
        self._open = 0
        self.wanted = False
        """Whether somebody listens to it, or did a moment ago."""
        self.gone = False
        self.sid: str = publication.sid
        self.identity: str = participant.identity
        self.kind = kind_of(participant)
        self.source = SOURCES.get(publication.source, TrackSource.OTHER)
        self.recorded_before: bool = TF_PRECONNECT_BUFFER in publication.audio_features

    def come(self, track: rtc.Track) -> None:
        """The server sends it from now on."""
        self._track = track
        self._came.set()

    @asynccontextmanager
    async def frames(
        self, frame_ms: int, at_once: Callable[[], bool] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """As `MicrophoneTrack.frames`."""
        step_ms = frame_ms if at_once is None else _STEP_MS
        in_frame = frame_ms // step_ms
        channel = Channel[bytes](
            "frames of a track",
            max(1, _FRAMES_KEPT_MS // step_ms),
            f"frames of {step_ms} ms",
            Full.DROP_OLDEST,
            "what a machine that is held up does not take at once; what is too old is decided later",
        )
        steps = Steps(self._loop, channel.sender(), in_frame, at_once or (lambda: True))
        self._open += 1
        if not self.wanted:
            self.wanted = True
            self._ask(wanted=True)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive, steps, step_ms)
                async with channel.receiver() as waiting:
                    yield JoinedSteps(waiting, in_frame)
                nursery.cancel_scope.cancel()
        finally:
            self._open -= 1
            self._loop.call_later(_LINGERS_S, self._let_go)

    def _let_go(self) -> None:
        if self.wanted and not self._open:
            # What the server may still send does not belong to the next opening.
            self.wanted, self._track, self._came = False, None, trio.Event()
            self._ask(wanted=False)

    def _ask(self, *, wanted: bool) -> None:
        if not self.gone:
            self._publication.set_subscribed(wanted)

    async def _receive(self, steps: Steps, step_ms: int) -> None:
        try:
            while self._track is None:
                with trio.move_on_after(_ASKED_AGAIN_AFTER_S) as patience:
                    await self._came.wait()
                if patience.cancelled_caught:
                    self._ask(wanted=False)
                    await trio.sleep(_LINGERS_S)
                    self._ask(wanted=True)
            stream = steps.open(self._track, step_ms)
            try:
                await trio_asyncio.aio_as_trio(_end_of)(stream)
            finally:
                await politely(stream.aclose, within_s=LEAVE_WITHIN_S)
        finally:
            steps.close()


async def _end_of(stream: rtc.AudioStream) -> None:
    async for _ in stream:
        pass


class RemoteTracks:
    """Which tracks there are to listen to.

    Args:
        loop: the SDK's.
        tell: is given what comes and goes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Callable[[TrackEvent], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._told: dict[str, LiveKitTrack] = {}
        """By track id."""

    def offer(self, participant: rtc.RemoteParticipant) -> None:
        """Reports the tracks of a participant who is there."""
        room_for = MOST_OF_ONE - sum(each.identity == participant.identity for each in self._told.values())
        for publication in participant.track_publications.values():
            if room_for <= 0:
                return
            if publication.kind == rtc.TrackKind.KIND_AUDIO and publication.sid not in self._told:
                track = self._told[publication.sid] = LiveKitTrack(publication, participant, self._loop)
                self._tell(AudioTrackHeard(track))
                room_for -= 1

    def begin(self, track: rtc.Track, publication: rtc.RemoteTrackPublication) -> None:
        """The server sends this one."""
        told = self._told.get(publication.sid)
        if told is not None and told.wanted:
            told.come(track)
        else:
            publication.set_subscribed(False)  # nobody listens any more

    def end(self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant) -> None:
        """The server sends this one no more, because it was told so, or for a reason of its own."""
        told = self._told.get(publication.sid)
        if told is not None and told.wanted:
            self.forget(publication.sid)
            self._loop.call_later(_OFFERED_AGAIN_AFTER_S, self._offer_again, publication, participant)

    def _offer_again(
        self, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.track_publications.get(publication.sid) is publication:
            self.offer(participant)

    def forget(self, sid: str) -> None:
        """A track is no longer there."""
        gone = self._told.pop(sid, None)
        if gone is not None:
            gone.gone = True
            self._tell(AudioTrackGone(sid, gone.identity))

    def forget_all_of(self, identity: str) -> None:
        """Somebody is no longer there."""
        for sid in [sid for sid, track in self._told.items() if track.identity == identity]:
            self.forget(sid)
