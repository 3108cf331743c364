"""The programs that are measured, each a process of its own, as a user would run it.

A program gets the environment that it needs and nothing else of ours: no `.env`, no key of a real
account, no proxy. It runs in a session of its own, so that Ctrl-C in a terminal reaches the bench only,
which then stops it the way a person would: by SIGINT, or by the end of the input of one that reads
commands, and by SIGKILL if that does not help.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import trio

from channels.child import ended, start_child, stop_child, stream_of
from channels.errors import VoiceAgentError, reason_of
from channels.stopping import Stopped, until_told_to_stop
from playground.livekit_server import LiveKitServer

__all__ = [
    "AGENT",
    "ARTICLE",
    "BARE_SOURCE",
    "Program",
    "ProgramFailed",
    "count_up_to",
    "environment",
    "run_program",
    "tell",
    "until_signal",
]

_ROOT = Path(__file__).resolve().parent.parent

AGENT: Sequence[str] = (sys.executable, str(_ROOT / "runner.py"))
ARTICLE: Sequence[str] = (sys.executable, "-m", "bench.article_worker")
BARE_SOURCE: Sequence[str] = (sys.executable, "-m", "bench.bare_source")

_STOP_WITHIN_S = 5.0
_LINES_TOLD = 5


R = TypeVar("R")


class ProgramFailed(VoiceAgentError):
    """A measured program ended, or did not do its part; the text has the end of its log."""


def environment(livekit: LiveKitServer, room_name: str, voice_agent_url: str = "") -> dict[str, str]:
    """What a program needs to join a room, and to find the Voice Agent API."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(_ROOT),
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": livekit.api_key,
        "LIVEKIT_API_SECRET": livekit.api_secret.reveal(),
        "ROOM_NAME": room_name,
        "ASSEMBLYAI_API_KEY": "the-bench-checks-no-key",
        "VOICE_AGENT_URL": voice_agent_url,
    }


class Program:
    """A running program."""

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        log: Path,
        commands: trio.lowlevel.FdStream | None,
        answers: trio.lowlevel.FdStream | None,
    ) -> None:
        self._name = name
        self._process = process
        self._log = log
        self._commands = commands
        self._answers = answers
        self._unread = b""
        self._killed = False

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def printed(self) -> str:
        """Its log so far."""
        return self._log.read_text(errors="replace")

    async def watch(self) -> None:
        """Waits for what must not happen.

        Raises:
            ProgramFailed: it has ended, and was not killed.
        """
        code = await ended(self._process)
        if not self._killed:
            raise self.failure(f"it ended by itself, with code {code}")

    def kill(self) -> None:
        """Ends it at once, as a crash would; the block goes on without it."""
        self._killed = True
        self._process.kill()

    def failure(self, what: str) -> ProgramFailed:
        """The error for something that it did not do, with the end of its log."""
        lines = self._log.read_text(errors="replace").splitlines()[-_LINES_TOLD:]
        told = " | ".join(line.strip() for line in lines if line.strip())
        return ProgramFailed(f"{self._name}: {what}", f"see the end of its log: {told or 'it is empty'}")

    async def tell(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self._commands is not None
        await self._commands.send_all(line.encode() + b"\n")

    async def answer(self, *, within_s: float) -> str:
        """The next line of its standard output.

        Raises:
            ProgramFailed: none came.
        """
        assert self._answers is not None
        with trio.move_on_after(within_s):
            while b"\n" not in self._unread:
                more = await self._answers.receive_some()
                if not more:
                    break
                self._unread += more
        line, end, self._unread = self._unread.partition(b"\n")
        if not end:
            raise self.failure("it does not answer")
        return line.decode()

    async def end(self) -> None:
        """Ends it, cancelled or not."""
        steps = [(signal.SIGINT, _STOP_WITHIN_S), (signal.SIGKILL, _STOP_WITHIN_S)]
        if self._commands is not None:
            del steps[0]
            with trio.CancelScope(shield=True):
                await self._commands.aclose()
                with trio.move_on_after(_STOP_WITHIN_S):
                    await ended(self._process)
        await stop_child(self._process, steps)
        if self._answers is not None:
            await trio.aclose_forcefully(self._answers)


@asynccontextmanager
async def run_program(
    command: Sequence[str],
    env: Mapping[str, str],
    folder: Path,
    *,
    talks: bool = False,
    terminal: int | None = None,
) -> AsyncIterator[Program]:
    """Runs a program for the time of the block.

    Args:
        command: what to run.
        env: its whole environment.
        folder: an empty folder to run in; its log goes there too.
        talks: its standard input and output are read and written with `tell` and `answer`.
        terminal: its standard streams instead of its log (a file descriptor).

    Raises:
        ProgramFailed: (in a group) it ended before the block did.
    """
    log = folder / "program.log"
    with log.open("ab") as out:
        process = start_child(
            command,
            environ=env,
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if talks else out if terminal is None else terminal,
            stderr=out if terminal is None else terminal,
            cwd=folder,
        )
    program = Program(
        Path(command[-1]).name,
        process,
        log,
        stream_of(process.stdin) if talks else None,
        stream_of(process.stdout) if talks else None,
    )
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(program.watch)
            yield program
            nursery.cancel_scope.cancel()
    finally:
        await program.end()


def count_up_to(most: int) -> Callable[[str], int]:
    """The type of a flag that counts something."""

    def count(text: str) -> int:
        number = int(text)
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f"a number from 1 to {most}")
        return number

    return count


def tell(line: str) -> None:
    """What a bench says while it measures: to stderr, apart from its figures."""
    print(line, file=sys.stderr, flush=True)


async def until_signal(measure: Callable[[], Awaitable[R]]) -> R | int:
    """Measures; a signal ends it, with nothing reported: half a run is none.

    Returns:
        What was measured, or the exit code when it could not be.
    """

    async def measured() -> R | int:
        try:
            return await measure()
        except (VoiceAgentError, BaseExceptionGroup) as error:
            reason = reason_of(error)
            if reason is None:
                raise
            tell(str(reason))
            return 1

    outcome = await until_told_to_stop(measured)
    if isinstance(outcome, Stopped):
        tell("stopping")
        return outcome.code
    return outcome
