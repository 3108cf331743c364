"""One step of a build: a command that a person watches and can interrupt.

In: a command, its folder and environment, and which of its output lines count as progress. Out: its
output lines; meanwhile one line of progress when it starts and every few seconds, with what has been
counted and the seconds since the start. A command that fails raises `BuildFailed` with its last lines.

The command runs in a session of its own, so that stopping it also stops what it has started. When
cancelled, it is terminated, given a few seconds, then killed; nothing of it is left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs
import trio

from channels.child import ended, start_child, stream_of
from channels.errors import PlaygroundFault

__all__ = ["BuildFailed", "Progress", "Step"]

Progress: TypeAlias = Callable[[str], None]

_HEARTBEAT_S = 5.0
_GRACE_S = 5.0
_LINES_IN_WHAT = 3
_LINES_IN_OUTPUT = 20

_FIX = (
    "get online and start again (it continues where it stopped), or install livekit-server on PATH, "
    "or set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET for a server elsewhere"
)


class BuildFailed(PlaygroundFault):
    """The LiveKit server could not be built here.

    Args:
        what: the step that failed.
        lines: what the step's command printed; the last few become part of the message.

    Attributes:
        output: the last lines that the command printed.
    """

    def __init__(self, what: str, lines: Sequence[str] = ()) -> None:
        told = [line.strip() for line in lines if line.strip()]
        super().__init__(": ".join([what, *filter(None, [" | ".join(told[-_LINES_IN_WHAT:])])]), _FIX)
        self.output = "\n".join(told[-_LINES_IN_OUTPUT:])


@attrs.frozen
class Step:
    """A command of the build, and how its progress is told."""

    title: str
    """What is being done, as a person would say it."""
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    counts: Callable[[str], bool] = lambda line: False
    """Whether a line of the output is one more of `unit`."""
    unit: str = ""

    async def run(self, progress: Progress) -> list[str]:
        """Runs the command to its end and gives its output, line by line.

        Raises:
            BuildFailed: the command cannot be started, or ended with another code than 0.
        """
        progress(f"{self.title} ...")
        try:
            process = start_child(
                self.command,
                environ=self.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.cwd,
            )
        except OSError as error:
            raise BuildFailed(f"{self.title}: {self.command[0]} cannot be started", [str(error)]) from error
        try:
            async with stream_of(process.stdout) as output:
                lines = await self._watch(output, progress)
            code = await ended(process)
        finally:
            await _end(process)
        if code != 0:
            raise BuildFailed(f"{self.title} failed with exit code {code}", lines)
        return lines

    async def _watch(self, output: trio.abc.ReceiveStream, progress: Progress) -> list[str]:
        began = told = trio.current_time()
        lines: list[str] = []
        rest = b""
        counted = 0
        while True:
            chunk: bytes | bytearray | None = None
            with trio.move_on_at(told + _HEARTBEAT_S):
                chunk = await output.receive_some()
            if chunk is None or trio.current_time() >= told + _HEARTBEAT_S:
                told = trio.current_time()
                count = f"{counted} {self.unit}, " if self.unit else ""
                progress(f"{self.title}: {count}{told - began:.0f} s")
            if chunk is None:
                continue
            *complete, rest = (rest + chunk).split(b"\n")
            if not chunk and rest:
                complete.append(rest)
            fresh = [line.decode(errors="replace") for line in complete]
            counted += sum(map(self.counts, fresh))
            lines += fresh
            if not chunk:
                return lines


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Leaves no process of the step behind, cancelled or not."""
    with trio.CancelScope(shield=True):
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                with trio.move_on_after(_GRACE_S):
                    await ended(process)
