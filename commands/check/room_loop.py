"""A tiny real call: the agent's side speaks into a temporary room, and a client's side hears it."""

from __future__ import annotations

import math
import secrets
from array import array
from collections.abc import AsyncIterator
from datetime import timedelta

import trio

from actors.room.actor import mint_agent_token, mint_client_token
from actors.room.livekit_edge import livekit_edge
from channels.errors import VoiceAgentError, reason_of
from channels.ports import AudioTrackHeard, Loudspeaker, MicrophoneTrack, RoomEvent
from channels.settings import LiveKitAccount
from commands.check.finding import Colour, Finding
from sound.pcm import SAMPLE_RATE_HZ

__all__ = ["check_room_loop"]

WITHIN_S = 20.0
BEEPS = 5
BEEP_EVERY_S = 0.5
BEEP_MS = 60
FRAME_MS = 20
_TOKEN_LIFE = timedelta(minutes=2)
_LOUD = 3000
"""Of 32767. The beep has 12000, and a room without it nothing."""


async def check_room_loop(account: LiveKitAccount) -> Finding:
    """Joins twice, publishes, subscribes, and measures how long a beep takes from one to the other."""
    room_name = f"check-{secrets.token_hex(4)}"
    took: list[float] = []
    try:
        with trio.move_on_after(WITHIN_S) as patience:
            took = await _beep_through(account, room_name)
    except (VoiceAgentError, BaseExceptionGroup) as failure:
        error = reason_of(failure)
        if error is None:
            raise
        return Finding("room", Colour.RED, error.what, error.fix)
    if patience.cancelled_caught or not took:
        return Finding(
            "room",
            Colour.RED,
            f"joined, but no sound came through within {WITHIN_S:.0f} s",
            "allow UDP to the LiveKit server (or TURN/TLS on 443); see LiveKit's connection test",
        )
    middle = sorted(took)[len(took) // 2] * 1000
    measured = {"one_way_ms": round(middle, 1), "worst_ms": round(max(took) * 1000, 1)}
    said = f"joined, published, subscribed; a beep is heard after {middle:.0f} ms"
    if middle > 400:
        return Finding("room", Colour.YELLOW, said, "run the agent closer to the LiveKit server", measured)
    return Finding("room", Colour.GREEN, said, measured=measured)


async def _beep_through(account: LiveKitAccount, room_name: str) -> list[float]:
    sent: list[float] = []
    # Each side in a task of its own: a task has one loop of the SDK.
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_speak, account, room_name, sent)
        async with (
            livekit_edge(queue_size_ms=100) as edge,
            edge.room.join(
                account.url, mint_client_token(account, room_name, "check", _TOKEN_LIFE)
            ) as events,
        ):
            took = await _hear(await _first_track(events), sent)
        nursery.cancel_scope.cancel()
    return took


async def _speak(account: LiveKitAccount, room_name: str, sent: list[float]) -> None:
    async with (
        livekit_edge(queue_size_ms=100) as edge,
        edge.room.join(account.url, mint_agent_token(account, room_name)),
    ):
        await _beep(edge.loudspeaker, sent)


async def _first_track(events: AsyncIterator[RoomEvent]) -> MicrophoneTrack:
    async for event in events:
        if isinstance(event, AudioTrackHeard):
            return event.track
    raise trio.EndOfChannel


async def _beep(loudspeaker: Loudspeaker, sent: list[float]) -> None:
    """Beeps at intervals until it is cancelled."""
    beep = _tone(BEEP_MS)
    # The first sound of a track opens it at the other end, and is often lost.
    await trio.sleep(BEEP_EVERY_S)
    while True:
        sent.append(trio.current_time())
        step = SAMPLE_RATE_HZ // 1000 * FRAME_MS * 2
        for offset in range(0, len(beep), step):
            await loudspeaker.capture(beep[offset : offset + step])
        await trio.sleep(BEEP_EVERY_S)


async def _hear(track: MicrophoneTrack, sent: list[float]) -> list[float]:
    took: list[float] = []
    answered = -1
    async with track.frames(FRAME_MS) as frames:
        async for pcm in frames:
            now, last = trio.current_time(), len(sent) - 1
            if last > answered and max(memoryview(pcm).cast("h")) > _LOUD:
                answered = last
                took.append(now - sent[last])
                if len(took) == BEEPS:
                    break
    return took


def _tone(length_ms: int) -> bytes:
    count = SAMPLE_RATE_HZ * length_ms // 1000
    return array(
        "h", (round(12_000 * math.sin(2 * math.pi * 440 * n / SAMPLE_RATE_HZ)) for n in range(count))
    ).tobytes()
