"""The Voice Agent API server as a process of its own, for the time of a `with` block.

In the agent's own process it would take time from the agent whenever it recognises or speaks, and be told
to end by the same Ctrl-C: the agent could not end its session any more. Of secrets the process gets only a
key that is made for it, by its environment, which nobody else on this machine can read. It keeps a log of its
own, and dies with its owner on Linux (`channels.child`).
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from channels.child import ended, start_child, stop_child
from channels.errors import PlaygroundFault
from channels.secret import Secret

__all__ = ["VoiceAgentProcess", "voice_agent_process"]

_ROOT = Path(__file__).resolve().parent.parent
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from channels.ending import end_with
from playground.voice_agent_api import main
end_with(main)
"""
_SECRETS = ("ASSEMBLYAI_API_KEY", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
_START_S = 30.0
_STOPPING = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))


@attrs.frozen
class VoiceAgentProcess:
    """A server that has been started."""

    process: subprocess.Popen[bytes]
    log: Path
    """What it says of itself."""
    api_key: Secret
    """The one that it lets in."""

    async def url(self) -> str:
        """Waits until it listens; gives where.

        Raises:
            PlaygroundFault: it ended, or said nothing within 30 seconds.
        """
        assert self.process.stdout is not None
        line = b""
        with trio.move_on_after(_START_S):
            # The thread ends with the process, which is ended however the block is left.
            line = await trio.to_thread.run_sync(self.process.stdout.readline, abandon_on_cancel=True)
        if not line:
            raise self.fault("did not start")
        return line.decode().strip()

    async def watch(self) -> None:
        """Waits for as long as it runs.

        Raises:
            PlaygroundFault: it has ended.
        """
        await ended(self.process)
        raise self.fault("stopped unexpectedly")

    def fault(self, what: str) -> PlaygroundFault:
        """The error for what it did, with its own last words."""
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        words = f": {lines[-1][:500]}" if lines else ""
        return PlaygroundFault(
            f"the Voice Agent API server {what}{words}",
            "start it again, or try it on its own: python -m playground.voice_agent_api",
        )


@asynccontextmanager
async def voice_agent_process(*arguments: str) -> AsyncIterator[VoiceAgentProcess]:
    """Starts the server on a free port; on the way out, cancelled or not, it is ended.

    Args:
        arguments: of its command line.
    """
    key = Secret(secrets.token_hex(16))
    environ = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    environ["ASSEMBLYAI_API_KEY"] = key.reveal()
    # It works where its owner does, for the sake of `.env`; -I: nothing there is to be imported.
    command = [sys.executable, "-I", "-c", _PROGRAM, str(_ROOT), "--port", "0", *arguments]
    with tempfile.TemporaryDirectory(prefix="voice-agent-api-") as folder:
        log = Path(folder) / "server.log"
        with log.open("wb") as stderr:
            process = start_child(command, environ=environ, stdout=subprocess.PIPE, stderr=stderr)
        try:
            yield VoiceAgentProcess(process, log, key)
        finally:
            await stop_child(process, _STOPPING)
            assert process.stdout is not None
            process.stdout.close()
