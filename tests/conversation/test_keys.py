"""A caller who presses keys on their phone."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio_asyncio

from bench.guest import join_as_guest
from channels.wire.messages import ReplyCreate
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.agent_process import run_agent, settings_for

pytestmark = [pytest.mark.server, pytest.mark.slow]


async def test_the_keys_that_a_caller_presses_reach_the_service(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    room = f"keys-{tmp_path.name}"
    async with (
        voice_agent_server(ServerOptions(record=10_000)) as service,
        run_agent(settings_for(livekit, service.url, room)) as agent,
        join_as_guest(livekit, room) as caller,
    ):
        await agent.prints("session_started", within_s=60)
        for code, digit in ((4, "4"), (7, "7"), (11, "#")):
            await trio_asyncio.aio_as_trio(caller.room.local_participant.publish_dtmf)(code=code, digit=digit)
        with trio.fail_after(60):
            while not (asked := [one.what for one in service.received if isinstance(one.what, ReplyCreate)]):
                await trio.sleep(0.05)
        assert "4 7 #" in str(asked[0].instructions)
        assert "4 7" not in agent.printed, "it may be part of a card number"
