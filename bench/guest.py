"""A person in the room, for tests and benches: a second participant of the real LiveKit server.

It speaks what it is given, at real time, and keeps every 10 ms of what it hears with its time of arrival
(`time.monotonic()`, which all processes of one machine share).
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import attrs
import trio
import trio_asyncio
from livekit import api, rtc

from actors.room.livekit_edge import UntimedLoop
from channels.secret import Secret
from playground.livekit_server import LiveKitServer
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms

__all__ = ["AUDIBLE_RMS", "Guest", "HeardFrame", "join_as_guest", "rms"]

HEARD_FRAME_MS = 10
SPOKEN_FRAME_MS = 20

QUEUE_MS = 400
AHEAD_S = 0.3
"""So much of what is said waits to be sent: for so long this process may stand still without a gap in it."""
POLL_S = 0.1

AUDIBLE_RMS = 100.0
"""Of 32767. Opus turns digital silence into less than 5; quiet speech is above 300."""


def rms(pcm: bytes) -> float:
    """The loudness of PCM16 sound, 0 to 32767."""
    samples = array("h", pcm)
    return float((sum(s * s for s in samples) / max(1, len(samples))) ** 0.5)


@attrs.frozen
class HeardFrame:
    """10 ms of what the guest heard from one participant."""

    at: float
    """`time.monotonic()` of its arrival."""
    pcm: bytes = attrs.field(repr=False)
    loudness: float = attrs.field(init=False)

    @loudness.default
    def _(self) -> float:
        return rms(self.pcm)

    @property
    def audible(self) -> bool:
        """Whether a person would hear something."""
        return self.loudness > AUDIBLE_RMS


@attrs.define
class Guest:
    """A participant with ears and a mouth."""

    room: rtc.Room
    _source: rtc.AudioSource
    heard: list[HeardFrame] = attrs.field(factory=list)
    agent_tracks: set[str] = attrs.field(factory=set)
    agent_came: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set once there is a voice in the room."""
    _news: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def say(self, pcm: bytes) -> None:
        """Speaks PCM16 mono 24 kHz at real time; returns when it has been sent.

        Cancelled, it is silent at once.
        """
        step = bytes_of_ms(SPOKEN_FRAME_MS)
        start = trio.current_time()
        try:
            for number, offset in enumerate(range(0, len(pcm), step)):
                await self.capture(pcm[offset : offset + step].ljust(step, b"\0"))
                await trio.sleep_until(start + (number + 1) * SPOKEN_FRAME_MS / 1000 - AHEAD_S)
            await trio.sleep(AHEAD_S)
        except trio.Cancelled:
            self._source.clear_queue()
            raise

    async def capture(self, pcm: bytes) -> None:
        """Appends sound to what the microphone is about to send: whole steps of 10 ms, `QUEUE_MS` at most."""
        frame = rtc.AudioFrame(pcm, SAMPLE_RATE_HZ, 1, len(pcm) // 2)
        with trio.CancelScope(shield=True):
            await trio_asyncio.aio_as_trio(self._source.capture_frame)(frame)

    def listen(self, *, to_it: bool = True) -> None:
        """Subscribes to everybody who is there, or does no more."""
        for participant in self.room.remote_participants.values():
            for publication in participant.track_publications.values():
                publication.set_subscribed(to_it)

    async def hush(self, seconds: float) -> None:
        """Sends silence, as an open microphone does."""
        await self.say(bytes(bytes_of_ms(seconds * 1000)))

    async def hear_sound(self, *, within_s: float, since: float | None = None) -> HeardFrame:
        """Waits until something audible comes in."""
        since = time.monotonic() if since is None else since
        with trio.fail_after(within_s):
            while True:
                for frame in reversed(self.heard):
                    if frame.at < since:
                        break
                    if frame.audible:
                        return next(f for f in self.heard if f.at >= since and f.audible)
                await self._hear_more()

    async def hear_silence(self, *, for_s: float, within_s: float) -> None:
        """Waits until nothing audible has come in for a while."""
        silent_s, before = 0.0, time.monotonic()
        with trio.fail_after(within_s):
            while silent_s < for_s:
                known = len(self.heard)
                await self._hear_more()
                # What came while this process stood still has yet to be heard.
                silent_s, before = silent_s + min(time.monotonic() - before, POLL_S), time.monotonic()
                if any(frame.audible for frame in self.heard[known:]):
                    silent_s = 0.0

    def hear(self, pcm: bytes) -> None:
        """Takes in a frame that arrived now."""
        self.heard.append(HeardFrame(time.monotonic(), pcm))
        self._news.set()
        self._news = trio.Event()

    async def _hear_more(self) -> None:
        with trio.move_on_after(POLL_S):
            await self._news.wait()

    def last_audible_at(self, *, before: float = float("inf")) -> float:
        """When the last audible 10 ms arrived; minus infinity if none did."""
        return next((f.at for f in reversed(self.heard) if f.audible and f.at < before), float("-inf"))

    def sound_since(self, since: float, until: float = float("inf")) -> bytes:
        """What was heard in a span of time, as PCM16 mono 24 kHz."""
        return b"".join(f.pcm for f in self.heard if since <= f.at < until)


def _token(livekit: LiveKitServer, room_name: str, identity: str) -> Secret:
    token = api.AccessToken(livekit.api_key, livekit.api_secret.reveal()).with_identity(identity)
    return Secret(token.with_grants(api.VideoGrants(room_join=True, room=room_name)).to_jwt())


@asynccontextmanager
async def join_as_guest(
    livekit: LiveKitServer | tuple[str, Secret],
    room_name: str,
    identity: str = "alice",
    *,
    publish: bool = True,
    subscribe: bool = True,
) -> AsyncIterator[Guest]:
    """Joins a room of a real server, listens to everybody in it, and opens a microphone.

    Args:
        livekit: the server, or the URL and the token that somebody was given.
        room_name: not needed with a token.
        identity: not needed with a token.
        publish: whether to open a microphone.
        subscribe: whether to listen from the beginning; else from `Guest.listen` on.
    """
    url, token = (
        livekit if isinstance(livekit, tuple) else (livekit.url, _token(livekit, room_name, identity))
    )
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        room = rtc.Room(loop=loop)
        source = rtc.AudioSource(
            SAMPLE_RATE_HZ, 1, QUEUE_MS, loop=cast(asyncio.AbstractEventLoop, UntimedLoop(loop))
        )
        guest = Guest(room, source)
        tracks_in, tracks_out = trio.open_memory_channel[rtc.Track](16)

        def on_track(track: rtc.Track, _: object, participant: rtc.RemoteParticipant) -> None:
            if track.kind == rtc.TrackKind.KIND_AUDIO:
                guest.agent_tracks.add(participant.identity)
                guest.agent_came.set()
                tracks_in.send_nowait(track)

        async def listen(track: rtc.Track) -> None:
            stream = rtc.AudioStream.from_track(
                track=track,
                loop=loop,
                sample_rate=SAMPLE_RATE_HZ,
                num_channels=1,
                frame_size_ms=HEARD_FRAME_MS,
            )
            try:
                async for event in trio_asyncio.aio_as_trio(stream):
                    guest.hear(bytes(event.frame.data))
            finally:
                # Else the SDK offers it each of its events, and logs each time that its loop is closed.
                with trio.move_on_after(1, shield=True):
                    await trio_asyncio.aio_as_trio(stream.aclose)()

        async def listen_to_all() -> None:
            async for track in tracks_out:
                nursery.start_soon(listen, track)

        room.on("track_subscribed", on_track)
        # Whoever cancels a connect of the SDK is ended by it, 15 s later.
        with trio.CancelScope(shield=True):
            await trio_asyncio.aio_as_trio(room.connect)(
                url, token.reveal(), rtc.RoomOptions(auto_subscribe=subscribe)
            )
        nursery.start_soon(listen_to_all)
        if publish:
            track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
            options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
            await trio_asyncio.aio_as_trio(room.local_participant.publish_track)(track, options)
        try:
            yield guest
        finally:
            source.clear_queue()
            # Whoever gave up early would still be there, for as long as LiveKit waits for them.
            with trio.move_on_after(10, shield=True):
                await trio_asyncio.aio_as_trio(room.disconnect)()
            nursery.cancel_scope.cancel()
