"""The examples beside a real call: `python runner.py --actor …` on the real LiveKit server and websocket."""

from __future__ import annotations

import json
import wave
from array import array
from pathlib import Path
from typing import Any

import pytest
import trio
import webvtt

from bench.guest import join_as_guest
from bench.speech import spoken
from channels.wire.events import (
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
)
from channels.wire.messages import ReplyCreate, SessionEnd
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import (
    Expect,
    Script,
    Send,
    ServerOptions,
    Step,
    VoiceAgentServer,
    voice_agent_server,
)
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms
from tests.agent_process import run_agent, settings_for

pytestmark = [pytest.mark.server, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[2] / "examples"


async def say(service: VoiceAgentServer, reply_id: str, text: str, pcm: bytes) -> None:
    """The service speaks a reply, all at once."""
    await service.send_event(ReplyStarted(reply_id))
    words = text.split()
    word_ms = len(pcm) / 48 / len(words)
    for number, word in enumerate(words):
        start, end = int(number * word_ms), int((number + 1) * word_ms)
        await service.send_event(AgentTranscriptDelta(word, reply_id, start_ms=start, end_ms=end))
    step = bytes_of_ms(100)
    for at in range(0, len(pcm), step):
        await service.send_event(ReplyAudio(pcm[at : at + step], reply_id))
    await service.send_event(AgentTranscript(text, reply_id))
    await service.send_event(ReplyDone(reply_id))


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def loud_s(side: array[int]) -> float:
    """How much of a side is loud, in steps of 10 ms."""
    step = SAMPLE_RATE_HZ // 100
    return sum(max(side[at : at + step], default=0) > 1000 for at in range(0, len(side), step)) / 100


async def test_a_call_is_written_down_recorded_and_ended_by_a_rule(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    script: list[Step] = [Expect("session.update"), Send(SessionReady("sess_1"))]
    actors = [
        f"{EXAMPLES}/transcript_logger.py:TranscriptLogger,folder={tmp_path}",
        f"{EXAMPLES}/recorder.py:Recorder,folder={tmp_path}",
        f"{EXAMPLES}/moderator.py:Moderator,rules={EXAMPLES}/moderator.toml",
    ]
    flags = [flag for actor in actors for flag in ("--actor", actor)]
    async with (
        voice_agent_server(ServerOptions(script=Script(script))) as service,
        run_agent(settings_for(livekit, service.url, "composed"), *flags) as agent,
        join_as_guest(livekit, "composed") as guest,
    ):
        await agent.prints("session_started", within_s=60)
        await agent.prints("heard_by", within_s=60)
        await say(service, "r1", "Hello, how can I help you?", spoken("Hello, how can I help you?"))
        await agent.prints("outcome=played", within_s=60)
        await guest.say(asked := spoken("Please stop calling me at home."))
        await service.send_event(SpeechStarted())
        await service.send_event(SpeechStopped())
        await service.send_event(UserTranscript("Please stop calling me at home."))
        with trio.fail_after(60):
            while not any(isinstance(entry.what, ReplyCreate) for entry in service.received):
                await trio.sleep(0.02)
        await say(service, "r2", "I am sorry. Goodbye!", spoken("I am sorry. Goodbye!"))
        with trio.fail_after(60):
            assert await agent.ended() == 0, "the agent ends by itself, and well"
        with trio.fail_after(20):  # what it said last may still be on its way
            while service.connections:
                await trio.sleep(0.02)
        assert sum(isinstance(entry.what, SessionEnd) for entry in service.received) == 1
        assert agent.printed.count("the person wants no calls") == 1
        assert "failed" not in agent.printed
        assert "Traceback" not in agent.printed

    lines: list[dict[str, Any]] = [
        json.loads(line) for line in only(tmp_path, "*.jsonl").read_text("utf-8").splitlines()
    ]
    assert [(line["name"], line["text"]) for line in lines] == [
        ("agent", "Hello, how can I help you?"),
        ("alice", "Please stop calling me at home."),
        ("agent", "I am sorry. Goodbye!"),
    ]
    assert len(webvtt.read(str(only(tmp_path, "*.vtt"))).captions) == 3
    with wave.open(str(only(tmp_path, "*.wav"))) as file:
        both = array("h", file.readframes(file.getnframes()))
    person, agent_side = both[0::2], both[1::2]
    lasted_s = len(asked) / 48_000
    assert 0.4 * lasted_s < loud_s(person) < lasted_s + 0.5
    assert loud_s(agent_side) > 0.4 * len(spoken("Hello, how can I help you?")) / 48_000
