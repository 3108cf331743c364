"""The agent as users run it: `python runner.py` in a process of its own."""

from __future__ import annotations

import codecs
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import attrs
import trio

from channels.child import ended, start_child, stop_child, stream_of
from channels.secret import Secret
from channels.settings.catalogue import CATALOGUE
from playground.livekit_server import LiveKitServer

__all__ = ["LEAVES_WITHIN_S", "AgentProcess", "listened_to", "run_agent", "settings_for"]

ROOT = Path(__file__).resolve().parent.parent

LEAVES_WITHIN_S = 10.0
"""It takes a second where nothing else runs; LiveKit's SDK, interrupted in the middle of joining, 15."""

_LAST_WORDS_S = 5.0
"""How long to wait for what was printed last, when a child that is left may still hold the pipe."""


def settings_for(livekit: LiveKitServer, api_url: str, room_name: str) -> dict[str, str]:
    """What a `.env` would say."""
    return {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": livekit.api_key,
        "LIVEKIT_API_SECRET": livekit.api_secret.reveal(),
        "ASSEMBLYAI_API_KEY": "0123456789abcdef0123456789abcdef",
        "VOICE_AGENT_URL": api_url,
        "ROOM_NAME": room_name,
    }


@attrs.define
class AgentProcess:
    """A running agent and what it printed so far."""

    process: subprocess.Popen[bytes]
    printed: str = ""
    """Both its log and its output."""
    silent: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when it, and all its children, will print no more."""

    async def prints(self, text: str, *, within_s: float) -> None:
        """Waits until it has printed a text."""
        with trio.fail_after(within_s):
            while text not in self.printed:
                await trio.sleep(0.02)

    async def way_in(self) -> tuple[str, Secret]:
        """The URL and the token that it prints without an account, once its room is there."""
        await self.prints("Press Ctrl-C to stop", within_s=60)
        found = re.search(r"URL\s+(wss?://\S+)\s+token\s+(\S+)", self.printed)
        assert found is not None, self.printed
        return found[1], Secret(found[2])

    async def ended(self) -> int:
        """Waits until it ends by itself, and all that it printed is here; gives its exit code."""
        code = await ended(self.process)
        with trio.move_on_after(_LAST_WORDS_S):
            await self.silent.wait()
        return code

    async def leave(self) -> float:
        """Presses Ctrl-C; returns how many seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        with trio.fail_after(60):
            await ended(self.process)
            took_s = time.monotonic() - started
            await self.ended()
        return took_s


Running = TypeVar("Running", bound=AgentProcess)


@asynccontextmanager
async def run_agent(
    settings: Mapping[str, str],
    *arguments: str,
    folder: Path = ROOT,
    program: Sequence[str] = (str(ROOT / "runner.py"),),
) -> AsyncIterator[AgentProcess]:
    """Runs the agent in a folder (its `.env` counts) with nothing but these settings set."""
    own = {entry.env for entry in CATALOGUE.values()}
    environ = {name: value for name, value in os.environ.items() if name not in own}
    process = start_child(
        [sys.executable, *program, *arguments],
        environ={**environ, **settings},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    async with listened_to(AgentProcess(process), ((signal.SIGINT, 5.0), (signal.SIGKILL, 5.0))) as agent:
        yield agent


@asynccontextmanager
async def listened_to(
    agent: Running, stopped_by: Sequence[tuple[signal.Signals, float]]
) -> AsyncIterator[Running]:
    """Takes down what it prints until the block ends, stops it then, and shows what it printed."""

    async def read() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        async with stream_of(agent.process.stdout) as out:
            async for chunk in out:
                agent.printed += decoder.decode(chunk)
        agent.silent.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            yield agent
        finally:
            await stop_child(agent.process, stopped_by)
            with trio.move_on_after(_LAST_WORDS_S, shield=True):
                await agent.silent.wait()
            nursery.cancel_scope.cancel()
            print(agent.printed)
