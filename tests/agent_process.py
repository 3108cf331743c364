"""The agent as users run it: `python runner.py` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from channels.settings.catalogue import CATALOGUE
from playground.livekit_server import LiveKitServer

__all__ = ["AgentProcess", "run_agent", "settings_for"]

ROOT = Path(__file__).resolve().parent.parent


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

    process: trio.Process
    printed: str = ""
    """Both its log and its output."""

    async def prints(self, text: str, *, within_s: float) -> None:
        """Waits until it has printed a text."""
        with trio.fail_after(within_s):
            while text not in self.printed:
                await trio.sleep(0.02)

    async def leave(self) -> float:
        """Presses Ctrl-C; returns how many seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        with trio.fail_after(20):
            await self.process.wait()
        return time.monotonic() - started


@asynccontextmanager
async def run_agent(
    settings: Mapping[str, str], *arguments: str, folder: Path = ROOT
) -> AsyncIterator[AgentProcess]:
    """Runs the agent in a folder (its `.env` counts) with nothing but these settings set."""
    own = {entry.env for entry in CATALOGUE.values()}
    environ = {name: value for name, value in os.environ.items() if name not in own}
    process = await trio.lowlevel.open_process(
        [sys.executable, str(ROOT / "runner.py"), *arguments],
        env={**environ, **settings},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    agent = AgentProcess(process)

    async def read() -> None:
        assert process.stdout is not None
        async for chunk in process.stdout:
            agent.printed += chunk.decode(errors="replace")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            yield agent
        finally:
            with trio.CancelScope(shield=True):
                if process.returncode is None:
                    process.send_signal(signal.SIGINT)
                    with trio.move_on_after(5):
                        await process.wait()
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            nursery.cancel_scope.cancel()
            print(agent.printed)
