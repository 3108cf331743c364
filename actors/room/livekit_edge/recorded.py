"""Recordings that people made before the agent came, and send when it is there: one bounded byte stream each.

LiveKit's clients can open the microphone before the room (`preConnectBuffer` and the like). They record until
somebody hears their track, and send that to the first agent; the stream says which track continues it. None
of it is trusted: a person sends one at a time, within a time limit; anything unreadable is refused with one
line.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from livekit import rtc

from channels.ports import SoundRecorded
from channels.printable import printable
from sound.recordings import Recording, RecordingUnreadable

__all__ = ["RECORDED_TOPIC", "RecordedSounds"]

RECORDED_TOPIC = "lk.agent.pre-connect-audio-buffer"

MOST_AT_ONCE = 8
"""People whose recordings come at the same time."""
MOST_TIMES = 2
"""As long as the longest one that is read: 8 MB in the worst case. More cannot be a call's recording."""
WITHIN_S = 10.0
"""From the first byte to the last. A client that misses that it is heard goes on for so long."""
MOST_REFUSALS = 50
"""How many refusals are logged in all, so that nobody can fill the log with rubbish."""

_log = logging.getLogger(__name__)


class RecordedSounds:
    """Reads what people recorded.

    Args:
        loop: of the SDK.
        is_person: whether somebody with that identity may be listened to.
        tell: is told of each recording that could be read.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        is_person: Callable[[str], bool],
        tell: Callable[[SoundRecorded], None],
    ) -> None:
        self._loop = loop
        self._is_person = is_person
        self._tell = tell
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._refused = 0

    def take(self, reader: rtc.ByteStreamReader, identity: str) -> None:
        """Reads a stream; the SDK calls this when one begins."""
        if not self._is_person(identity) or identity in self._reading or len(self._reading) >= MOST_AT_ONCE:
            reader.close()
            self._refuse(identity, "it is not their turn to send one")
            return
        try:
            recording = Recording.of(reader.info.mime_type, reader.info.attributes or {})
        except RecordingUnreadable as failure:
            reader.close()
            self._refuse(identity, str(failure))
            return
        reading = self._loop.create_task(self._read(reader, recording, identity))
        self._reading[identity] = reading
        reading.add_done_callback(lambda _: self._reading.pop(identity, None))

    def stop(self) -> None:
        """Reads no more."""
        for reading in list(self._reading.values()):
            reading.cancel()

    async def _read(self, reader: rtc.ByteStreamReader, recording: Recording, identity: str) -> None:
        try:
            written = await asyncio.wait_for(_bytes_of(reader, recording.most_bytes), WITHIN_S)
            # Ten seconds take up to 100 ms: too long to hold up the voice.
            pcm = await self._loop.run_in_executor(None, recording.read, written)
            self._tell(SoundRecorded(recording.track_sid, identity, pcm))
        except (TimeoutError, RecordingUnreadable, rtc.StreamError) as failure:
            self._refuse(
                identity, str(failure) if isinstance(failure, RecordingUnreadable) else "it broke off"
            )
        finally:
            reader.close()

    def _refuse(self, identity: str, why: str) -> None:
        self._refused += 1
        if self._refused <= MOST_REFUSALS:
            _log.warning(
                "a recording from %s is refused: %s", printable(identity, longest=80), printable(why)
            )


async def _bytes_of(reader: rtc.ByteStreamReader, most: int) -> bytes:
    written = bytearray()
    async for chunk in reader:
        written += chunk
        if len(written) > MOST_TIMES * most:
            raise RecordingUnreadable("it is too long")
    return bytes(written)
