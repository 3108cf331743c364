"""MicPump: the sound of one person, on its way to the service.

In: the audio tracks of the room. Out: 50 ms frames, to the service and to the onset detector, on channels
that drop their oldest, so that live sound never queues up. One person is listened to: the first; when that
person's track ends, the next who is there. Machines (other agents, recorders) are never listened to.
Cancelled, it closes the track.
"""

from __future__ import annotations

import contextlib

import trio
from attrs import define, field

from channels.bounded import Receiver, Sender
from channels.happenings import HeardBy, Taps
from channels.messages import MicrophoneFrame
from channels.ports import AudioTrackGone, AudioTrackHeard, MicrophoneTrack, ParticipantKind, TrackEvent

__all__ = ["FRAME_MS", "MicPump"]

FRAME_MS = 50
"""What the protocol reference advises for `input.audio`."""


@define
class MicPump:
    """Pumps one person's microphone into a channel."""

    tracks: Receiver[TrackEvent]
    frames: Sender[MicrophoneFrame]
    onset: Sender[MicrophoneFrame]
    taps: Taps
    _waiting: dict[str, MicrophoneTrack] = field(factory=dict, init=False)
    _current: str | None = field(default=None, init=False)
    _listening: trio.CancelScope = field(factory=trio.CancelScope, init=False)

    async def run(self) -> None:
        """Pumps until the tracks' channel ends."""
        async with self.tracks, self.frames, self.onset, trio.open_nursery() as nursery:
            async for event in self.tracks:
                match event:
                    case AudioTrackHeard(track=track):
                        if track.kind is ParticipantKind.PERSON:
                            self._waiting[track.sid] = track
                    case AudioTrackGone(sid=sid):
                        self._waiting.pop(sid, None)
                        if sid == self._current:
                            self._listening.cancel()
                if self._current is None:
                    self._listen_to_next(nursery)
            nursery.cancel_scope.cancel()

    def _listen_to_next(self, nursery: trio.Nursery) -> None:
        if not self._waiting:
            return
        self._current = next(iter(self._waiting))
        track = self._waiting.pop(self._current)
        self._listening = trio.CancelScope()
        nursery.start_soon(self._listen, track, nursery)

    async def _listen(self, track: MicrophoneTrack, nursery: trio.Nursery) -> None:
        self.taps.publish(HeardBy(track.identity, track.sid))
        with self._listening:
            async with track.frames(FRAME_MS) as frames:
                async for pcm in frames:
                    frame = MicrophoneFrame(pcm)
                    self.frames.send_nowait(frame)
                    # The onset detector only watches: when it is gone, the conversation goes on.
                    with contextlib.suppress(trio.BrokenResourceError):
                        self.onset.send_nowait(frame)
        self._current = None
        self.taps.publish(HeardBy(None))
        self._listen_to_next(nursery)
