"""The process at the microphone: a participant of the room, and nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import trio

from actors.room.livekit_edge.this_computer import OwnAudio, this_computer
from channels.errors import NoAudioDevice, VoiceAgentError, reason_of
from channels.secret import Secret
from commands.console.telling import LONGEST, Failed, Ready, Room, Told, read, write

__all__ = ["main", "sit_down"]


def main() -> int:
    """Talks until standard input ends; gives the exit code."""
    return trio.run(sit_down)


async def sit_down(**audio: Callable[[], OwnAudio]) -> int:
    """As `main`; `open_audio` is that of `this_computer`."""
    try:
        with this_computer(**audio) as computer:
            _tell(Ready(computer.microphone, computer.loudspeaker))
            async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as commands:
                room = read(await _line(commands))
                assert isinstance(room, Room)
                async with (
                    computer.in_room(room.url, Secret(room.token)) as over,
                    trio.open_nursery() as nursery,
                ):
                    nursery.start_soon(_wait_for_end, commands, over)
                    await over.wait()
                    nursery.cancel_scope.cancel()
    except (VoiceAgentError, BaseExceptionGroup) as error:
        reason = reason_of(error)
        if reason is None:
            raise
        _tell(Failed(reason.what, reason.fix))
        return 1
    return 0


async def _line(commands: trio.abc.ReceiveStream) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        chunk = await commands.receive_some(LONGEST)
        line += chunk
        if not chunk or len(line) > LONGEST:
            raise NoAudioDevice("the agent has ended", "start it again")
    return line


async def _wait_for_end(commands: trio.abc.ReceiveStream, over: trio.Event) -> None:
    while await commands.receive_some(LONGEST):
        pass
    over.set()


def _tell(told: Told) -> None:
    sys.stdout.buffer.write(write(told))
    sys.stdout.buffer.flush()
