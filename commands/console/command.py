"""The agent's side: a process at the microphone, for as long as the services run.

That process is found out about first: where there is no microphone, nothing else is started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from actors.room.actor import mint_client_token
from channels.child import ended, start_child, stop_child, stream_of
from channels.errors import NoAudioDevice
from channels.printable import tell
from channels.settings import Accounts
from commands.console.telling import LONGEST, Failed, Ready, Room, Told, read, write
from commands.services import Preparation
from commands.token import CLIENT_TOKEN_LIFE

__all__ = ["PERSON", "with_person"]

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from channels.ending import end_with
from commands.console.person import main
end_with(main)
"""
PERSON = (sys.executable, "-I", "-c", _PROGRAM, str(_ROOT))

_READY_WITHIN_S = 20.0
_LEAVES_WITHIN_S = 2.0
_STOPPING = ((signal.SIGTERM, 0.5), (signal.SIGKILL, 5.0))
_SECRETS = ("ASSEMBLYAI_API_KEY", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "OPENAI_API_KEY")

HOW_TO_TALK = """
Talk: the agent listens to {microphone} and speaks through {loudspeaker}.
Press Ctrl-C to stop.
"""


@asynccontextmanager
async def with_person(
    prepare: Preparation, room_name: str, identity: str, command: Sequence[str] = PERSON
) -> AsyncIterator[Accounts]:
    """The services, and somebody who talks from this computer in the agent's room.

    Args:
        prepare: starts the services.
        room_name: the agent's.
        identity: as whom the person joins.
        command: of the process at the microphone.

    Raises:
        NoAudioDevice: (perhaps in a group) there is no microphone or no loudspeaker, or it went away.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    # Native libraries of a desktop's sound write much that nobody can use to standard error.
    process = start_child(
        command,
        environ=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        async with stream_of(process.stdout) as told, stream_of(process.stdin) as orders:
            ready = None
            with trio.move_on_after(_READY_WITHIN_S):
                ready = await _read(told)
            if not isinstance(ready, Ready):
                raise _failure(ready)
            async with prepare() as accounts, trio.open_nursery() as nursery:
                livekit = accounts.livekit
                token = mint_client_token(livekit, room_name, identity, CLIENT_TOKEN_LIFE)
                await orders.send_all(write(Room(livekit.url, token.reveal())))
                tell(HOW_TO_TALK.format(microphone=ready.microphone, loudspeaker=ready.loudspeaker))
                nursery.start_soon(_watch, told)
                try:
                    yield accounts
                finally:
                    nursery.cancel_scope.cancel()
                    with trio.move_on_after(_LEAVES_WITHIN_S, shield=True):
                        await orders.aclose()
                        await ended(process)
    finally:
        await stop_child(process, _STOPPING)


async def _watch(told: trio.abc.ReceiveStream) -> None:
    raise _failure(await _read(told))


async def _read(told: trio.abc.ReceiveStream) -> Told | None:
    """What it tells next; None: it has ended, or tells nothing of this."""
    line = b""
    while not line.endswith(b"\n"):
        chunk = await told.receive_some(LONGEST)
        line += chunk
        if not chunk or len(line) > LONGEST:
            return None
    try:
        return read(line)
    except ValueError:
        return None


def _failure(told: Told | None) -> NoAudioDevice:
    if isinstance(told, Failed):
        return NoAudioDevice(told.what, told.fix)
    return NoAudioDevice(
        "this computer's microphone and loudspeaker stopped working",
        "run it again, or run `python runner.py` and talk in the browser",
    )
