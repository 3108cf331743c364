"""LiveKit's SDK alone, as the floor: no agent can fall silent sooner than `clear_queue()` lets it.

In: commands on standard input, a line each. `play` fills the queue of an otherwise idle `AudioSource`
with all the sound of a try at once, so that no capture waits; `clear` empties it and answers with the
`time.monotonic()` at which it was called, which all processes of a machine share. It says `ready` once
it has published, and ends with its input.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from livekit import api, rtc

from bench.pitch import REPLY_HZ, tone
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

__all__ = ["SOUND_MS", "main"]

SOUND_MS = 4000
"""More than the longest time to an interruption; the queue is made to hold it all."""


async def main() -> None:
    """Joins the room and obeys."""
    token = (
        api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
        .with_identity("bare-source")
        .with_grants(api.VideoGrants(room_join=True, room=os.environ["ROOM_NAME"]))
        .to_jwt()
    )
    pcm = tone(REPLY_HZ, SOUND_MS)
    sound = rtc.AudioFrame(pcm, SAMPLE_RATE_HZ, 1, len(pcm) // SAMPLE_BYTES)
    room = rtc.Room()
    source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, SOUND_MS)
    await room.connect(os.environ["LIVEKIT_URL"], token)
    try:
        track = rtc.LocalAudioTrack.create_audio_track("bare-source", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)
        print("ready", flush=True)
        while command := await _next_line():
            if command == "play":
                await source.capture_frame(sound)
            elif command == "clear":
                at = time.monotonic()
                source.clear_queue()
                print(at, flush=True)
    finally:
        source.clear_queue()
        await room.disconnect()


async def _next_line() -> str:
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line.strip()


if __name__ == "__main__":
    asyncio.run(main())
