"""An agent that does as it is told: a participant of the real LiveKit server that follows the conventions.

It has the attributes, the caption streams, the records and the RPC method of a real agent, and a voice that
is a tone. Tests of the page decide what it shows.
"""

from __future__ import annotations

import asyncio
import json
import math
from array import array
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import attrs
import trio
import trio_asyncio
from livekit import api, rtc

from actors.room.livekit_edge import UntimedLoop
from playground.livekit_server import LiveKitServer
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["FakeAgent", "fake_agent"]

_FRAME_MS = 20


@attrs.define
class FakeAgent:
    """An agent in a room."""

    room: rtc.Room
    typed: list[tuple[str, str]] = attrs.field(factory=list)
    """What was typed, with the identity of who typed it."""
    asked: list[dict[str, Any]] = attrs.field(factory=list)
    """What was asked of `voice-agent.configure`."""
    answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda changes: {"accepted": True, "why": ""}
    commanded: list[dict[str, Any]] = attrs.field(factory=list)
    """What was asked of `voice-agent.operate`."""
    obeys: bool = True
    loudness: float = 0.0
    """Of its tone, 0 to 1."""

    @property
    def people(self) -> list[str]:
        """The identities of the others."""
        return list(self.room.remote_participants)

    def tracks_of(self, identity: str) -> list[str]:
        """The ids of what somebody publishes; none of somebody who is not there."""
        person = self.room.remote_participants.get(identity)
        return [] if person is None else list(person.track_publications)

    async def meets_somebody(self, *, within_s: float = 30) -> str:
        """Waits until there is somebody else in the room, and gives the identity."""
        with trio.fail_after(within_s):
            while not self.people:
                await trio.sleep(0.05)
        return self.people[0]

    async def is_left_alone(self, *, within_s: float = 30) -> None:
        """Waits until there is nobody else in the room."""
        with trio.fail_after(within_s):
            while self.people:
                await trio.sleep(0.05)

    async def be(self, state: str, *, listening_to: str | None = None, tools: str = "") -> None:
        """Shows a state."""
        attributes = {"lk.agent.state": state, "voice-agent.tools": tools}
        if listening_to is not None:
            attributes["voice-agent.listening_to"] = listening_to
        await trio_asyncio.aio_as_trio(self.room.local_participant.set_attributes)(attributes)

    async def caption_person(self, identity: str, segment: str, text: str, *, final: bool) -> None:
        """Shows what a person says, as a whole text that replaces the former."""
        attributes = {"lk.segment_id": segment, "lk.transcription_final": str(final).lower()}
        writer = await trio_asyncio.aio_as_trio(self.room.local_participant.stream_text)(
            topic="lk.transcription", attributes=attributes, sender_identity=identity
        )
        await trio_asyncio.aio_as_trio(writer.write)(text)
        await trio_asyncio.aio_as_trio(writer.aclose)()

    async def open_caption(self, segment: str) -> rtc.TextStreamWriter:
        """Begins to show what it says itself."""
        writer: rtc.TextStreamWriter = await trio_asyncio.aio_as_trio(
            self.room.local_participant.stream_text
        )(
            topic="lk.transcription",
            attributes={"lk.segment_id": segment, "lk.transcription_final": "false"},
        )
        return writer

    async def say(self, segment: str, text: str, *, pause_s: float = 0.0) -> None:
        """Shows a whole reply word by word."""
        writer = await self.open_caption(segment)
        for word in text.split():
            await trio_asyncio.aio_as_trio(writer.write)(f"{word} ")
            await trio.sleep(pause_s)
        await self.close_caption(writer, segment)

    async def close_caption(self, writer: rtc.TextStreamWriter, segment: str) -> None:
        """Ends a caption as final."""
        await trio_asyncio.aio_as_trio(writer.aclose)(
            attributes={"lk.segment_id": segment, "lk.transcription_final": "true"}
        )

    async def tell(self, topic: str, record: Mapping[str, Any]) -> None:
        """Sends a record, e.g. on `voice-agent.turns`."""
        send = trio_asyncio.aio_as_trio(self.room.local_participant.send_text)
        await send(json.dumps(record), topic=topic)

    async def tell_turn(
        self,
        turn: int,
        *,
        latency_ms: int | None = None,
        barge_in_ms: int | None = None,
        reply_id: str = "reply-1",
        outcome: str = "played",
        interrupted: bool = False,
        heard_text: str = "",
    ) -> None:
        """Sends the record of a turn."""
        await self.tell(
            "voice-agent.turns",
            {
                "turn": turn,
                "turn_latency_ms": latency_ms,
                "barge_in_ms": barge_in_ms,
                "reply_id": reply_id,
                "outcome": outcome,
                "interrupted": interrupted,
                "heard_ms": 1000,
                "heard_text": heard_text,
            },
        )


@asynccontextmanager
async def fake_agent(livekit: LiveKitServer, room_name: str) -> AsyncIterator[FakeAgent]:
    """Has an agent join a room, and leave it at the end of the block."""
    token = (
        api.AccessToken(livekit.api_key, livekit.api_secret.reveal())
        .with_identity("voice-agent")
        .with_kind("agent")
        .with_grants(
            api.VideoGrants(room_join=True, room=room_name, can_update_own_metadata=True, agent=True)
        )
        .to_jwt()
    )
    async with trio_asyncio.open_loop() as opened, trio.open_nursery() as nursery:
        loop = cast(asyncio.AbstractEventLoop, UntimedLoop(opened))
        room = rtc.Room(loop=opened)
        agent = FakeAgent(room)
        chats_in, chats_out = trio.open_memory_channel[tuple[rtc.TextStreamReader, str]](64)

        async def read_chats() -> None:
            async for reader, identity in chats_out:
                agent.typed.append((identity, await trio_asyncio.aio_as_trio(reader.read_all)()))

        async def on_configure(call: rtc.RpcInvocationData) -> str:
            agent.asked.append(json.loads(call.payload))
            return json.dumps(agent.answer(agent.asked[-1]))

        async def on_operate(call: rtc.RpcInvocationData) -> str:
            agent.commanded.append(json.loads(call.payload))
            return json.dumps(
                {"done": True} if agent.obeys else {"done": False, "why": "there is no session"}
            )

        room.register_text_stream_handler("lk.chat", lambda reader, who: chats_in.send_nowait((reader, who)))
        await trio_asyncio.aio_as_trio(room.connect)(livekit.url, token)
        room.local_participant.register_rpc_method("voice-agent.configure", on_configure)
        room.local_participant.register_rpc_method("voice-agent.operate", on_operate)
        source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, 100, loop=loop)
        track = rtc.LocalAudioTrack.create_audio_track("agent", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await trio_asyncio.aio_as_trio(room.local_participant.publish_track)(track, options)
        nursery.start_soon(read_chats)
        nursery.start_soon(_hum, agent, source)
        try:
            yield agent
        finally:
            nursery.cancel_scope.cancel()
            source.clear_queue()
            with trio.move_on_after(2, shield=True):
                await trio_asyncio.aio_as_trio(room.disconnect)()


async def _hum(agent: FakeAgent, source: rtc.AudioSource) -> None:
    count = SAMPLE_RATE_HZ * _FRAME_MS // 1000
    number = 0
    while True:
        # As loud as syllables are, so that a picture of it looks like speech.
        wave = agent.loudness * abs(math.sin(number / 7) * math.sin(number / 31))
        turns = 2 * math.pi * 220 / SAMPLE_RATE_HZ
        samples = array(
            "h", (int(32767 * wave * math.sin(turns * (number * count + n))) for n in range(count))
        )
        frame = rtc.AudioFrame(samples.tobytes(), SAMPLE_RATE_HZ, 1, count)
        with trio.CancelScope(shield=True):
            await trio_asyncio.aio_as_trio(source.capture_frame)(frame)
        number += 1
        await trio.lowlevel.checkpoint()
