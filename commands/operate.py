"""`python runner.py operate`: steers a live call from a shell, one JSON command per line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator, Callable

import trio

from actors.room.actor import AGENT_IDENTITY
from actors.room.livekit_edge import line_to_agent
from channels.errors import VoiceAgentError, reason_of
from channels.printable import complain, tell
from channels.texts import OPERATE_METHOD
from commands.agent_room import AgentRoom, cancel_on_ctrl_c, room_of_agent
from commands.agents_here import LiveKitRoom

__all__ = ["operate"]


def operate(options: argparse.Namespace, configured: Callable[[], LiveKitRoom]) -> int:
    """Gives the agent each line of standard input and prints its answer; gives the exit code.

    It is 1 if the agent cannot be reached, or if a command was not done.

    Raises:
        SettingsError: the options do not go together, or a setting is missing.
    """
    room = room_of_agent(options, configured, "operator")
    try:
        return trio.run(_operate, room)
    except (VoiceAgentError, BaseExceptionGroup) as error:
        reason = reason_of(error)
        if reason is None:
            raise
        complain(reason)
        return 1


async def _operate(room: AgentRoom) -> int:
    all_done = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_on_ctrl_c, nursery.cancel_scope)
        async with line_to_agent(room.url, room.token(), AGENT_IDENTITY) as line:
            async for command in _lines():
                shown = json.dumps({"token": room.token().reveal()})
                answer = await line.call(OPERATE_METHOD, f"{shown}\n{command}")
                tell(answer)
                all_done = all_done and _is_done(answer)
        nursery.cancel_scope.cancel()
    return 0 if all_done else 1


def _is_done(answer: str) -> bool:
    try:
        first = json.loads(answer.partition("\n")[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.get("done") is True


async def _lines() -> AsyncIterator[str]:
    while True:
        # The thread waits while the person thinks; Ctrl-C abandons it.
        line = await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
        if not line:
            return
        if line.strip():
            yield line.strip()
