"""Somebody at this computer, in a room through its own microphone and loudspeaker.

LiveKit's SDK has both built in ("platform audio"), with WebRTC's echo cancellation between them, and needs no
package for it. It plays whatever it hears, for the whole process: so whoever sits at this computer is a
participant in a process of their own, never in that of an agent, which hears people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

import attrs
import trio
import trio_asyncio
from livekit import rtc

from actors.room.livekit_edge.connecting import Connecting
from actors.room.livekit_edge.loop import LEAVE_WITHIN_S, politely, room_of_its_own
from channels.errors import NoAudioDevice
from channels.secret import Secret

__all__ = ["OwnAudio", "ThisComputer", "this_computer"]

_FIX = "plug one in or allow its use, or run `python runner.py` and talk in the browser, on any machine"

_CHOSEN = "default: "


class _Device(Protocol):
    @property
    def name(self) -> str: ...


class OwnAudio(Protocol):
    """What is used of `rtc.PlatformAudio`."""

    def recording_devices(self) -> Sequence[_Device]:
        """The microphones."""

    def playout_devices(self) -> Sequence[_Device]:
        """The loudspeakers."""

    def create_audio_source(self) -> Any:
        """What the microphone hears, as the source of a track; has `close`."""

    def close(self) -> None:
        """Gives the devices back."""


@attrs.frozen
class ThisComputer:
    """The devices of this computer, opened."""

    microphone: str
    """As a person would call it."""
    loudspeaker: str
    _audio: OwnAudio

    @asynccontextmanager
    async def in_room(self, url: str, token: Secret) -> AsyncIterator[trio.Event]:
        """Talks and listens in a room for as long as the block is open; yields what happens when it is over.

        Args:
            url: of LiveKit.
            token: for the room, to speak and to listen.

        Raises:
            RoomUnreachable, NoWayToRoom, NotAllowedInRoom: as `Connecting.connect`.
        """
        async with trio_asyncio.open_loop() as loop:
            room, over = room_of_its_own(loop), trio.Event()
            room.on("disconnected", lambda _: over.set())
            source, connecting = self._audio.create_audio_source(), Connecting()
            try:
                await connecting.connect(room, url, token)
                track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
                options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
                await trio_asyncio.aio_as_trio(room.local_participant.publish_track)(track, options)
                yield over
            finally:
                await connecting.end()
                await politely(room.disconnect, within_s=LEAVE_WITHIN_S)
                source.close()


@contextmanager
def this_computer(open_audio: Callable[[], OwnAudio] = rtc.PlatformAudio) -> Iterator[ThisComputer]:
    """Opens the devices that this computer uses when nobody chooses others.

    Args:
        open_audio: finds them.

    Raises:
        NoAudioDevice: there is no microphone, no loudspeaker, or neither.
    """
    try:
        audio = open_audio()
    except rtc.PlatformAudioError:  # on a machine without a sound card it fails as a whole
        raise NoAudioDevice("no microphone and loudspeaker were found on this computer", _FIX) from None
    try:
        microphone = _used(audio.recording_devices, "microphone")
        loudspeaker = _used(audio.playout_devices, "loudspeaker")
        yield ThisComputer(microphone, loudspeaker, audio)
    finally:
        audio.close()


def _used(devices: Callable[[], Sequence[_Device]], what: str) -> str:
    try:
        found = devices()
    except rtc.PlatformAudioError:
        found = ()
    if not found:
        raise NoAudioDevice(f"no {what} was found on this computer", _FIX)
    # Where the system's choice is marked, it is so (Linux); elsewhere it is not told.
    first = found[0].name
    if first.startswith(_CHOSEN):
        return first.removeprefix(_CHOSEN)
    return first if len(found) == 1 else f"the usual {what} of {len(found)}"
