"""A worker of `livekit-agents`, for contrast: run by an interpreter of its own that has it.

    PYTHON bench/livekit_agents_worker.py start

It has no plugin for the Voice Agent API, so it does less than the others: an `AgentSession` with Silero's
voice detector listens to the person, and a job whose metadata is not empty speaks a tone all the time
(`session.say(audio=…)`). It has no STT, LLM or TTS, sends no sound to any service, and writes no captions,
whose timing costs it more than its sound. All else is as it comes: `start`, a process a job, as many idle
processes as there are processors, the detector loaded in each before it gets a job. Two things are set: its
load is 0, so that it takes every room, and its health endpoint has a free port.

In: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET and AGENT_NAME from the environment.
"""

from __future__ import annotations

import array
import asyncio
import math
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, JobProcess, cli
from livekit.agents.voice.room_io import RoomOptions
from livekit.plugins import silero

_RATE_HZ = 24_000
_FRAME_MS = 20
_TONE_HZ = 440
_SPEAKS_FOR_S = 360
_AHEAD_S = 0.15
"""The sound comes as the live service sends it: so much at once, then in real time."""


def _load_models(process: JobProcess) -> None:
    process.userdata["vad"] = silero.VAD.load()


async def _tone() -> AsyncIterator[rtc.AudioFrame]:
    count = _RATE_HZ * _FRAME_MS // 1000
    wave = [round(8192 * math.sin(2 * math.pi * _TONE_HZ * n / _RATE_HZ)) for n in range(count * 5)]
    pcm = array.array("h", wave).tobytes()
    step = count * 2
    began = asyncio.get_running_loop().time()
    for number in range(_SPEAKS_FOR_S * 1000 // _FRAME_MS):
        due = began + number * _FRAME_MS / 1000 - _AHEAD_S
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        at = number % 5 * step
        yield rtc.AudioFrame(pcm[at : at + step], _RATE_HZ, 1, count)


async def _serve(job: JobContext) -> None:
    session: Any = AgentSession(vad=job.proc.userdata["vad"])
    options = RoomOptions(text_output=False)
    await session.start(agent=Agent(instructions="Speak."), room=job.room, room_options=options)
    if job.job.metadata:
        session.say("A tone.", audio=_tone())


def _server() -> Any:
    server: Any = AgentServer(setup_fnc=_load_models, load_fnc=lambda: 0.0, port=0)
    server.rtc_session(_serve, agent_name=os.environ["AGENT_NAME"])
    return server


if __name__ == "__main__":
    # Its job processes import this file by its name, not as what was started.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    cli.run_app(_server())
