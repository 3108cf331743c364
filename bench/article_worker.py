"""The article's worker, for contrast: one asyncio loop that reads the websocket and plays what it reads.

In: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, ROOM_NAME, ASSEMBLYAI_API_KEY, VOICE_AGENT_URL from
the environment, and GREETING if it shall say something first. It does what the article says, step by step,
and no more: `reply.audio` is awaited into an `AudioSource` of the default size (1 s)
inside the reading loop, and `input.speech.started` and an interrupted `reply.done` clear its queue. So an
event behind a second of sound is read when that sound has been played, and sound that comes after the
clearing is played too. Ends with its websocket or by Ctrl-C.

Our own words around the article's steps; its websocket library is exchanged for aiohttp, which
`livekit-api` brings: both stop reading the socket when the loop does not ask for more.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import Awaitable, Callable

import aiohttp
from livekit import api, rtc

__all__ = ["main"]

SAMPLE_RATE_HZ = 24_000


async def main() -> None:
    """Joins the room, waits for somebody's microphone, and serves that one person."""
    room_name = os.environ["ROOM_NAME"]
    token = (
        api.AccessToken(os.environ["LIVEKIT_API_KEY"], os.environ["LIVEKIT_API_SECRET"])
        .with_identity("voice-agent")
        .with_grants(api.VideoGrants(room_join=True, room=room_name, can_publish=True, can_subscribe=True))
        .to_jwt()
    )
    room = rtc.Room()
    source = rtc.AudioSource(SAMPLE_RATE_HZ, 1)
    microphone: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()

    @room.on("track_subscribed")
    def on_track(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO and not microphone.done():
            microphone.set_result(track)

    await room.connect(os.environ["LIVEKIT_URL"], token)
    try:
        voice = rtc.LocalAudioTrack.create_audio_track("agent-voice", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(voice, options)
        await bridge(await microphone, source)
    finally:
        source.clear_queue()
        await room.disconnect()


async def bridge(microphone: rtc.Track, source: rtc.AudioSource) -> None:
    """Joins a microphone and the agent's voice to the Voice Agent API until the websocket closes."""
    headers = {"Authorization": f"Bearer {os.environ['ASSEMBLYAI_API_KEY']}"}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(os.environ["VOICE_AGENT_URL"], headers=headers) as ws,
    ):
        session = {"system_prompt": "You are a voice agent."}
        if "GREETING" in os.environ:
            session["greeting"] = os.environ["GREETING"]
        await ws.send_json({"type": "session.update", "session": session})
        forwarding: asyncio.Task[None] | None = None
        try:
            async for message in ws:
                event = json.loads(message.data)
                kind = event["type"]
                if kind == "session.ready" and forwarding is None:
                    forwarding = asyncio.create_task(forward(microphone, ws.send_json))
                elif kind == "reply.audio":
                    pcm = base64.b64decode(event["data"])
                    await source.capture_frame(rtc.AudioFrame(pcm, SAMPLE_RATE_HZ, 1, len(pcm) // 2))
                elif kind == "input.speech.started" or (
                    kind == "reply.done" and event.get("status") == "interrupted"
                ):
                    source.clear_queue()
        finally:
            if forwarding is not None:
                forwarding.cancel()


async def forward(microphone: rtc.Track, send: Callable[[dict[str, str]], Awaitable[None]]) -> None:
    """Sends a microphone's sound as it comes."""
    stream = rtc.AudioStream.from_track(track=microphone, sample_rate=SAMPLE_RATE_HZ, num_channels=1)
    async for event in stream:
        sound = base64.b64encode(bytes(event.frame.data)).decode("ascii")
        await send({"type": "input.audio", "audio": sound})


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
