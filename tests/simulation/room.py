"""The room of the simulation: who is in it, with which microphones, and how the agent gets in and out.

It implements the `Room` port. Microphones give frames in real time, with jitter; nothing queues up behind
a slow reader for more than five seconds, as the port promises. While the agent is out of the room people come
and go all the same, and it is told of those present when it joins again, with the same track ids as before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import trio
from attrs import define, field

from channels.errors import RoomUnreachable
from channels.messages import Unheard
from channels.ports import (
    AudioTrackGone,
    AudioTrackHeard,
    ParticipantCame,
    ParticipantKind,
    ParticipantWent,
    RoomEvent,
    RoomLeft,
    RoomReconnected,
    RoomReconnecting,
    TrackSource,
    VoiceReach,
    WhyLeft,
)
from channels.secret import Secret
from channels.texts import RoomText
from sound.pcm import bytes_of_ms
from tests.simulation.person import Person, frame_of
from tests.simulation.timeline import Timeline

__all__ = ["Participant", "SimulatedRoom", "Track"]

STEP_MS = 10
"""In which sound comes out of a room, at the least."""

KEPT_S = 5.0
"""Frames that wait for a slow reader; beyond that the oldest goes."""


@define(eq=False)
class Track:
    """A microphone."""

    sid: str
    person: Person
    kind: ParticipantKind
    random: Random
    source: TrackSource = TrackSource.MICROPHONE
    recorded_before: bool = False
    jitter_s: float = 0.005
    held_until: float = -1.0
    """The network holds frames back until then, and brings them all at once."""
    muted: bool = False
    ended: bool = False
    open: int = 0
    _changed: trio.Event = field(factory=trio.Event)
    _next_ends: float = 0.0
    """When the next frame has been spoken."""
    _gave_at: float = 0.0

    @property
    def identity(self) -> str:
        """Whose it is."""
        return self.person.name

    @asynccontextmanager
    async def frames(
        self, frame_ms: int, at_once: Callable[[], bool] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Its sound, from now on."""
        self.open += 1
        self._next_ends = trio.current_time() + frame_ms / 1000
        try:
            yield _Frames(self, frame_ms, at_once)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(self.random.uniform(0, 0.02))
            self.open -= 1

    def change(self, *, muted: bool | None = None, ended: bool = False) -> None:
        """Mutes it, or ends it."""
        if muted is not None:
            if self.muted and not muted:
                self._next_ends = trio.current_time() + 0.05
            self.muted = muted
        self.ended = self.ended or ended
        self._changed.set()
        self._changed = trio.Event()

    async def next_frame(self, frame_ms: int) -> bytes | None:
        """The next frame; None when the track has ended."""
        await trio.lowlevel.checkpoint()
        while not self.ended:
            now = trio.current_time()
            due = max(self._next_ends + self.random.uniform(0, self.jitter_s), self._gave_at, self.held_until)
            if self.muted:
                await self._changed.wait()
            elif due <= now:
                break
            else:
                with trio.move_on_at(due):
                    await self._changed.wait()
                    continue
                break
        if self.ended:
            return None
        self._gave_at = now = trio.current_time()
        late_frames = int((now - self._next_ends - KEPT_S) * 1000 / frame_ms)
        if late_frames > 0:
            self._next_ends += late_frames * frame_ms / 1000
            self.person.numbered += late_frames
        ends = self._next_ends
        self._next_ends += frame_ms / 1000
        self.person.numbered += 1
        voiced = self.person.is_voiced(ends - frame_ms / 1000, ends)
        return frame_of(self.person.numbered, voiced, bytes_of_ms(frame_ms))


@define
class _Frames:
    track: Track
    frame_ms: int
    at_once: Callable[[], bool] | None
    place_ms: int = 0
    """In the frame."""

    def __aiter__(self) -> _Frames:
        return self

    async def __anext__(self) -> bytes:
        joined = b""
        while True:
            step_ms = self.frame_ms if self.at_once is None else STEP_MS
            step = await self.track.next_frame(step_ms)
            if step is None and not joined:
                raise StopAsyncIteration
            joined += step or b""
            self.place_ms = (self.place_ms + step_ms) % self.frame_ms
            if step is None or not self.place_ms or (self.at_once is not None and self.at_once()):
                return joined


@define
class Participant:
    """Somebody in the room."""

    person: Person
    kind: ParticipantKind
    track: Track | None = None


@define
class SimulatedRoom:
    """One room, in which the agent may be or not."""

    random: Random
    timeline: Timeline
    breaks: Callable[[str, str], None]
    present: dict[str, Participant] = field(factory=dict)
    refuses: int = 0
    """So many of the next attempts to join fail."""
    joins: int = 0
    unheard: Unheard | None = None
    """Why nobody can hear the agent."""
    _to_agent: trio.MemorySendChannel[RoomEvent] | None = None
    _tracks: list[Track] = field(factory=list)
    _sids: int = 0

    @asynccontextmanager
    async def join(self, url: str, token: Secret) -> AsyncIterator[AsyncIterator[RoomEvent]]:
        """The agent joins."""
        await trio.sleep(self.random.uniform(0.05, 0.5))
        if self.refuses:
            self.refuses -= 1
            self.timeline.note("room", "cannot be joined")
            raise RoomUnreachable("nobody answers", "wait")
        if self._to_agent is not None:
            self.breaks("the agent is in its room once", "it joined a second time")
        self.joins += 1
        self._to_agent, events = trio.open_memory_channel[RoomEvent](10_000)
        self.timeline.note("room", "the agent is in")
        self._tell(VoiceReach(self.unheard))
        for participant in self.present.values():
            self._tell(ParticipantCame(participant.person.name, participant.kind))
            if participant.track is not None:
                old = participant.track
                participant.track = self._track(participant, old.sid)
                participant.track.muted = old.muted
                self._tell(AudioTrackHeard(participant.track))
        try:
            yield events
        finally:
            self._to_agent = None
            with trio.CancelScope(shield=True):
                await trio.sleep(self.random.uniform(0, 0.3))
            self.timeline.note("room", "the agent is out")

    @property
    def agent_is_in(self) -> bool:
        """Whether the agent can be heard."""
        return self._to_agent is not None

    def open_tracks(self) -> list[str]:
        """Tracks that somebody still listens to."""
        return [track.sid for track in self._tracks if track.open]

    def come(self, person: Person, kind: ParticipantKind, *, with_track: bool) -> None:
        """Somebody joins."""
        self.present[person.name] = Participant(person, kind)
        self.timeline.note("room", f"{person.name} ({kind.value}) comes")
        self._tell(ParticipantCame(person.name, kind))
        if with_track:
            self.publish(person.name)

    def go(self, name: str) -> None:
        """Somebody leaves."""
        self.unpublish(name)
        del self.present[name]
        self.timeline.note("room", f"{name} goes")
        self._tell(ParticipantWent(name))

    def publish(self, name: str) -> None:
        """Somebody switches a microphone on."""
        participant = self.present[name]
        self._sids += 1
        participant.track = self._track(participant, f"TR_{self._sids}")
        self.timeline.note("room", f"{name} has microphone {participant.track.sid}")
        self._tell(AudioTrackHeard(participant.track))

    def unpublish(self, name: str, track: Track | None = None) -> None:
        """Somebody takes a microphone away: the current one, or an earlier one."""
        participant = self.present[name]
        track = track or participant.track
        if track is None:
            return
        if track is participant.track:
            participant.track = None
        track.change(ended=True)
        self._tell(AudioTrackGone(track.sid, name))

    def reconnecting(self) -> None:
        """The connection breaks."""
        self.timeline.note("room", "reconnects")
        self._tell(RoomReconnecting())

    def reconnected(self) -> None:
        """The connection is fixed."""
        self.timeline.note("room", "has reconnected")
        self._tell(RoomReconnected())

    def reach(self, unheard: Unheard | None) -> None:
        """Whether the agent can be heard, as the server has it."""
        self.unheard = unheard
        self.timeline.note("room", "hears the agent" if unheard is None else unheard.value)
        self._tell(VoiceReach(unheard))

    def put_out(self, why: WhyLeft) -> None:
        """The agent is out, and not because it asked to be."""
        self.timeline.note("room", f"puts the agent out: {why.value}")
        for participant in self.present.values():
            if participant.track is not None:
                # Its sound ends, but nobody says that the track is gone.
                participant.track.change(ended=True)
        self._tell(RoomLeft(why, "simulated"))

    def types(self, text: RoomText) -> None:
        """Somebody types."""
        self._tell(text)

    def _track(self, participant: Participant, sid: str) -> Track:
        track = Track(sid, participant.person, participant.kind, self.random)
        self._tracks.append(track)
        return track

    def _tell(self, event: RoomEvent) -> None:
        if self._to_agent is not None:
            self._to_agent.send_nowait(event)
            if isinstance(event, RoomLeft):
                self._to_agent.close()
