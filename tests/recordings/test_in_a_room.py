"""Recorded calls in a real room: `python runner.py`, the real LiveKit server, a real websocket, a listener.

Each reply has a pitch of its own, by which the listener tells them apart after Opus and the network. What is
said of times here is only what no busy machine can change: orders, and seconds against milliseconds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import pytest
import trio

from bench.guest import HEARD_FRAME_MS, Guest, HeardFrame, join_as_guest
from bench.speech import people
from channels.wire.events import ReplyAudio
from channels.wire.messages import ToolResult
from playground.glide import pitch_hz
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import (
    PersonSpeaks,
    Script,
    Send,
    ServerOptions,
    Step,
    voice_agent_server,
)
from sound.pcm import SAMPLE_RATE_HZ, ms_of_bytes
from tests.agent_process import run_agent, settings_for
from tests.recordings.recorded import script_of

pytestmark = [pytest.mark.server, pytest.mark.slow]

_WINDOW_FRAMES = 4
"""40 ms: long enough to tell pitches apart that are three semitones from each other."""
_AROUND_FRAMES = 10
"""A frame sounds like most of the 100 ms on each side: where a packet was lost, WebRTC makes up a sound."""
_WHOLE = 0.8
"""Of a reply's length: WebRTC shortens what comes late, and a busy machine loses packets."""
_TOOLS = Path(__file__).parent / "tool_of_the_notes.py"


@attrs.frozen
class InTheRoom:
    """What a listener heard of a call."""

    frames: Sequence[tuple[float, str]]
    """Audible 10 ms, each with its time and its reply."""
    results: int
    """Of tools, that the service was sent."""
    missed: int
    spoke_at: Sequence[float]
    """When the person began to speak."""
    decided_at: Mapping[str, float]
    """When the service told that a reply is interrupted."""

    def ms(self, reply_id: str) -> int:
        """How much was heard of a reply."""
        return HEARD_FRAME_MS * sum(one == reply_id for _, one in self.frames)

    def first(self, reply_id: str) -> float:
        """When it was heard first."""
        return min((at for at, one in self.frames if one == reply_id), default=float("inf"))

    def last(self, reply_id: str) -> float:
        """When it was heard last."""
        return max((at for at, one in self.frames if one == reply_id), default=float("-inf"))


async def play_in_a_room(livekit: LiveKitServer, name: str) -> InTheRoom:
    script = script_of(name)
    sound = people("two_cities")
    async with voice_agent_server(ServerOptions(script=script)) as service:
        player = service.script
        assert player is not None
        speaks, spoken = trio.open_memory_channel[float](16)
        spoke_at: list[float] = []
        decided_at: dict[str, float] = {}

        def watch(step: Step) -> None:
            match step:
                case PersonSpeaks(ms=ms):
                    speaks.send_nowait(ms)
                case Send(event={"type": "reply.done", "status": "interrupted", "reply_id": reply_id}):
                    decided_at[str(reply_id)] = time.monotonic()

        player.watch(watch)
        room_name = f"recorded-{name}"
        settings = settings_for(livekit, service.url, room_name)
        async with join_as_guest(livekit, room_name) as guest, trio.open_nursery() as nursery:
            nursery.start_soon(_speak, guest, sound, spoken, spoke_at)
            async with run_agent(settings, "--tools", str(_TOOLS)) as agent:
                with trio.fail_after(120):
                    while not player.ended:
                        assert agent.process.returncode is None
                        await trio.sleep(0.05)
                    await guest.hear_silence(for_s=2.0, within_s=30)
                assert "Traceback" not in agent.printed
            results = sum(isinstance(entry.what, ToolResult) for entry in service.received)
            nursery.cancel_scope.cancel()
    frames = _told_apart(guest.heard, _lengths(script))
    return InTheRoom(frames, results, len(player.missed), spoke_at, decided_at)


async def _speak(
    guest: Guest, sound: bytes, spoken: trio.MemoryReceiveChannel[float], spoke_at: list[float]
) -> None:
    """An open microphone, into which the person speaks when it is time to."""
    while True:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(guest.hush, 300)
            ms = await spoken.receive()
            nursery.cancel_scope.cancel()
        spoke_at.append(time.monotonic())
        await guest.say(sound[: int(ms) * 48])


def _lengths(script: Script) -> Mapping[str, float]:
    """The replies in the order of their sounds, with their lengths in ms."""
    lengths: dict[str, float] = {}
    for connection in script.connections:
        for step in connection:
            if isinstance(step, Send) and isinstance(step.event, ReplyAudio):
                reply_id = step.event.reply_id or ""
                lengths[reply_id] = lengths.get(reply_id, 0.0) + ms_of_bytes(len(step.event.data))
    return lengths


def _told_apart(frames: Sequence[HeardFrame], lengths: Mapping[str, float]) -> list[tuple[float, str]]:
    """The scripts give the reply `resp_N` the pitch N - 1."""
    pitches = {reply_id: pitch_hz(int(reply_id.removeprefix("resp_")) - 1) for reply_id in lengths}
    nearest: list[str | None] = []
    for place, frame in enumerate(frames):
        if not frame.audible:
            nearest.append(None)
            continue
        around = frames[max(0, place - _WINDOW_FRAMES // 2) : place + _WINDOW_FRAMES // 2]
        samples = np.frombuffer(b"".join(one.pcm for one in around), "<i2").astype(float)
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), SAMPLE_RATE_HZ))
        hz = 200 + int(np.argmax(spectrum[200:4000]))
        nearest.append(min(pitches, key=lambda reply_id: abs(np.log(hz / pitches[reply_id]))))
    found = []
    for place, (frame, reply_id) in enumerate(zip(frames, nearest, strict=True)):
        if reply_id is not None:
            window = nearest[max(0, place - _AROUND_FRAMES) : place + _AROUND_FRAMES + 1]
            near = Counter(one for one in window if one is not None)
            found.append((frame.at, near.most_common(1)[0][0]))
    return found


async def test_an_interrupted_greeting_stops_long_before_the_service_decides(livekit: LiveKitServer) -> None:
    script, call = script_of("bargein.run1"), await play_in_a_room(livekit, "bargein.run1")
    lengths = _lengths(script)
    # The person speaks 1.4 s into it; the service streams all of it, and decides 2.9 s later.
    assert call.first("resp_1") < call.spoke_at[0]
    assert call.last("resp_1") < call.decided_at["resp_1"]
    assert call.last("resp_1") < call.first("resp_2")
    assert call.ms("resp_2") > lengths["resp_2"] * _WHOLE


async def test_after_a_split_sentence_the_tool_runs_and_its_answer_is_heard(livekit: LiveKitServer) -> None:
    script, call = script_of("roundtrip.run1"), await play_in_a_room(livekit, "roundtrip.run1")
    lengths = _lengths(script)
    assert call.results == 1
    assert call.missed == 0
    assert call.ms("resp_1") > lengths["resp_1"] * _WHOLE
    assert call.ms("resp_3") > lengths["resp_3"] * _WHOLE


async def test_an_answer_that_the_service_takes_back_is_heard_once_more_from_its_beginning(
    livekit: LiveKitServer,
) -> None:
    name = "interrupt-during-pending-tool.run1"
    script, call = script_of(name), await play_in_a_room(livekit, name)
    lengths = _lengths(script)
    assert call.results == 1
    # The service takes it back as soon as it has sent it: what is late by then is not heard.
    assert call.ms("resp_3") > lengths["resp_3"] * 0.3
    assert call.last("resp_3") < call.first("resp_4")
    assert call.ms("resp_4") > lengths["resp_4"] * _WHOLE
