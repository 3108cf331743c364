"""What a room costs: nothing while nobody is in it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import trio
import trio_asyncio
from livekit import api

from bench.guest import join_as_guest
from channels.wire.messages import SessionEnd, SessionUpdate
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from tests.agent_process import run_agent, settings_for

pytestmark = [pytest.mark.server, pytest.mark.slow]


async def test_when_all_have_left_the_session_ends_and_the_next_person_is_greeted_in_a_new_one(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    room = f"life-{tmp_path.name}"
    async with voice_agent_server(ServerOptions(speech=ToneSpeech, record=10_000)) as service:

        def sent(kind: type[object]) -> int:
            return sum(isinstance(one.what, kind) for one in service.received)

        settings = {**settings_for(livekit, service.url, room), "VOICE_AGENT_CALL_ALONE_MS": "1000"}
        async with run_agent(settings) as agent:
            await agent.prints("room_joined", within_s=60)
            await trio.sleep(1)
            assert service.connections == 0, "nobody is there yet"
            async with join_as_guest(livekit, room, "alice") as alice:
                await alice.hear_sound(within_s=60)
                assert service.connections == 1
            await agent.prints("everybody left", within_s=60)
            with trio.fail_after(60):
                while service.connections:
                    await trio.sleep(0.05)
            assert (sent(SessionUpdate), sent(SessionEnd)) == (1, 1)
            async with join_as_guest(livekit, room, "bob") as bob:
                await bob.hear_sound(within_s=60)
                assert sent(SessionUpdate) == 2
            assert "Traceback" not in agent.printed


async def test_an_agent_that_shall_leave_when_the_call_is_over_ends_in_good_order(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    room = f"over-{tmp_path.name}"
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        settings = {
            **settings_for(livekit, service.url, room),
            "VOICE_AGENT_CALL_ALONE_MS": "500",
            "VOICE_AGENT_CALL_WHEN_OVER": "leave",
        }
        async with run_agent(settings) as agent:
            async with join_as_guest(livekit, room, "alice") as alice:
                await alice.hear_sound(within_s=60)
            with trio.fail_after(60):
                assert await agent.ended() == 0
            assert "the call is over: everybody left" in agent.printed
            assert "Traceback" not in agent.printed


async def test_a_room_that_livekit_closes_when_all_have_left_is_there_for_the_next_person(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    room = f"emptied-{tmp_path.name}"

    async def create() -> None:
        # The server's own patience: five minutes for the first to come, 20 s after the last has left.
        asked = api.CreateRoomRequest(name=room, empty_timeout=2, departure_timeout=1)
        http = livekit.url.replace("ws", "http", 1)
        async with api.LiveKitAPI(http, livekit.api_key, livekit.api_secret.reveal()) as rooms:
            await rooms.room.create_room(asked)

    async with trio_asyncio.open_loop():
        await trio_asyncio.aio_as_trio(create)()
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        settings = {**settings_for(livekit, service.url, room), "VOICE_AGENT_CALL_ALONE_MS": "500"}
        async with run_agent(settings) as agent:
            async with join_as_guest(livekit, room, "alice") as alice:
                await alice.hear_sound(within_s=60)
            await agent.prints("rejoined=True", within_s=60)
            async with join_as_guest(livekit, room, "bob") as bob:
                await bob.hear_sound(within_s=60)
            assert "[error" not in agent.printed, "an empty room is no trouble"


async def test_a_terminal_that_is_closed_ends_the_session_in_good_order(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    room = f"hung-up-{tmp_path.name}"
    async with voice_agent_server(ServerOptions(speech=ToneSpeech, record=10_000)) as service:
        async with (
            run_agent(settings_for(livekit, service.url, room)) as agent,
            join_as_guest(livekit, room, "alice") as alice,
        ):
            await alice.hear_sound(within_s=60)
            agent.process.send_signal(signal.SIGHUP)
            with trio.fail_after(60):
                assert await agent.ended() == 0
            assert "Traceback" not in agent.printed
        with trio.fail_after(20):  # what it said last may still be on its way
            while service.connections:
                await trio.sleep(0.05)
        assert sum(isinstance(one.what, SessionEnd) for one in service.received) == 1
