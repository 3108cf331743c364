"""A `MicPump` at work in a room that the test plays: tracks that speak when told, and what came out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from actors.mic import MicPump
from channels.bounded import Channel, Full, Receiver, Sender
from channels.happenings import Happening, HeardBy
from channels.messages import MicrophoneFrame
from channels.ports import AudioTrackGone, AudioTrackHeard, ParticipantKind, TrackEvent, TrackSource
from channels.settings import LevelSettings, ListenSettings
from channels.taps import Taps
from sound.pcm import bytes_of_ms

__all__ = ["Pump", "Track", "machine", "number_of", "person", "pump", "taken"]


class Track:
    """A participant's audio track, as the port shows it."""

    def __init__(
        self,
        sid: str,
        identity: str,
        kind: ParticipantKind = ParticipantKind.PERSON,
        source: TrackSource = TrackSource.MICROPHONE,
        *,
        slow_to_close: bool = False,
        recorded_before: bool = False,
    ) -> None:
        self.sid = sid
        self.identity = identity
        self.kind = kind
        self.source = source
        self.recorded_before = recorded_before
        self.slow_to_close = slow_to_close
        """Whether a frame more comes out of it when it is closed."""
        self.open = 0
        self.frame_ms: int | None = None
        self.at_once: Callable[[], bool] | None = None
        self._speak, self._hear = trio.open_memory_channel[bytes](10_000)

    def speak(self, number: int) -> None:
        """One frame."""
        self.sound(number.to_bytes(4, "little") + bytes(bytes_of_ms(50) - 4))

    def sound(self, pcm: bytes) -> None:
        """One frame of this sound."""
        self._speak.send_nowait(pcm)

    def end(self) -> None:
        """The sound ends, as it may when the track goes away."""
        self._speak.close()

    @asynccontextmanager
    async def frames(
        self, frame_ms: int, at_once: Callable[[], bool] | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.frame_ms, self.at_once = frame_ms, at_once
        self.open += 1
        try:
            yield self._late() if self.slow_to_close else self._hear.clone()
        finally:
            self.open -= 1

    async def _late(self) -> AsyncIterator[bytes]:
        while True:
            await trio.lowlevel.checkpoint_if_cancelled()
            with trio.CancelScope(shield=True):
                pcm = await self._hear.receive()
            yield pcm


def person(name: str, track: str = "", source: TrackSource = TrackSource.MICROPHONE) -> Track:
    return Track(f"TR_{name}{track}", name, source=source)


def machine(name: str) -> Track:
    return Track(f"TR_{name}", name, ParticipantKind.MACHINE)


def number_of(frame: MicrophoneFrame) -> int:
    return int.from_bytes(frame.pcm[:4], "little")


@attrs.define
class Pump:
    """A `MicPump` at work, with its ends."""

    tracks: Sender[TrackEvent]
    service: Channel[MicrophoneFrame]
    frames: Receiver[MicrophoneFrame]
    onset: Receiver[MicrophoneFrame]
    happenings: Receiver[Happening]
    happened: Sender[Happening]
    """What it is told happened elsewhere."""
    scope: trio.CancelScope
    over: bool = False

    async def come(self, *tracks: Track) -> None:
        for track in tracks:
            self.tracks.send_nowait(AudioTrackHeard(track))
        await wait_all_tasks_blocked()

    async def go(self, *tracks: Track) -> None:
        for track in tracks:
            self.tracks.send_nowait(AudioTrackGone(track.sid, track.identity))
        await wait_all_tasks_blocked()

    async def heard(self) -> list[int]:
        """The numbers of the frames that wait for the service."""
        await wait_all_tasks_blocked()
        return taken(self.frames)

    def sounds(self) -> list[bytes]:
        """What waits for the service."""
        return [frame.pcm for frame in self.waiting()]

    def waiting(self) -> list[MicrophoneFrame]:
        """The frames that wait for the service."""
        frames = []
        while True:
            try:
                frames.append(self.frames.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel):
                return frames

    def told(self) -> list[HeardBy]:
        """Whom it said to listen to, since the last time."""
        told: list[HeardBy] = []
        while True:
            try:
                happening = self.happenings.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return told
            assert isinstance(happening, HeardBy)
            told.append(happening)

    def listened_to(self) -> list[str | None]:
        """Whom it said to listen to by name, since the last time."""
        return [heard_by.identity for heard_by in self.told()]


def taken(frames: Receiver[MicrophoneFrame]) -> list[int]:
    numbers = []
    while True:
        try:
            numbers.append(number_of(frames.receive_nowait()))
        except (trio.WouldBlock, trio.EndOfChannel):
            return numbers


@asynccontextmanager
async def pump(listen: str = "first", *, capacity: int = 1000, most_gain: float = 1.0) -> AsyncIterator[Pump]:
    tracks = Channel[TrackEvent](
        "tracks", capacity=256, unit="tracks", full=Full.FAIL, because="as in the wiring"
    )
    service = Channel[MicrophoneFrame](
        "microphone", capacity=capacity, unit="frames", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    onset = Channel[MicrophoneFrame](
        "onset", capacity=20, unit="frames", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    happened = Channel[Happening](
        "happened", capacity=256, unit="happenings", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    taps = Taps()
    happenings = taps.tap("test", capacity=10_000)
    async with trio.open_nursery() as nursery:
        at_work = Pump(
            tracks.sender(),
            service,
            service.receiver(),
            onset.receiver(),
            happenings,
            happened.sender(),
            nursery.cancel_scope,
        )
        actor = MicPump(
            ListenSettings(listen),
            tracks.receiver(),
            service.sender(),
            onset.sender(),
            taps,
            LevelSettings(most_gain),
            happened.receiver(),
        )

        async def run() -> None:
            with trio.CancelScope() as at_work.scope:
                await actor.run()
            at_work.over = True

        nursery.start_soon(run)
        yield at_work
        nursery.cancel_scope.cancel()
