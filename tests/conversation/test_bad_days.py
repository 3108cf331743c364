"""What a person meets when something around the agent breaks, or nothing is set up at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from bench.guest import Guest, join_as_guest
from bench.speech import silence, spoken
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import ServerConfig, run_server
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from tests.agent_process import LEAVES_WITHIN_S, run_agent, settings_for

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.mark.parametrize(
    ("comes_back", "fixed"),
    [
        # The SDK fixes a short outage by itself; after some 25 s it gives up, and the agent joins anew.
        ("when the connection breaks", "room_restored"),
        ("when the SDK has given up", "rejoined=True"),
    ],
)
async def test_a_killed_livekit_server_gives_the_conversation_back_when_it_returns(
    tmp_path: Path, comes_back: str, fixed: str
) -> None:
    config = ServerConfig.choose(await find_or_build(progress=print), tmp_path / "livekit.log")
    async with (
        voice_agent_server(ServerOptions(speech=ToneSpeech, endpointing_ms=None)) as service,
        run_server(config) as first_server,
        run_agent(settings_for(config.server, service.url, "killed")) as agent,
    ):
        async with join_as_guest(config.server, "killed") as guest:
            await guest.hear_sound(within_s=60)
            first_server.kill()
            await agent.prints("room_lost", within_s=60)
        if fixed == "rejoined=True":
            await agent.prints("joining again", within_s=60)
        async with run_server(config):
            await agent.prints(fixed, within_s=60)
            async with join_as_guest(config.server, "killed", "bob") as guest:
                await agent.prints("identity=bob", within_s=60)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ask_until_answered, guest)
                    await guest.hear_sound(within_s=90)
                    nursery.cancel_scope.cancel()
            assert await agent.leave() < LEAVES_WITHIN_S
            assert "Traceback" not in agent.printed


async def ask_until_answered(guest: Guest) -> None:
    """Asks again after some seconds, as people do who hear nothing."""
    while True:
        await guest.say(spoken("Hello, can you hear me again?") + silence(15_000))


async def test_with_nothing_set_the_agent_brings_its_own_services_and_says_how_to_join(
    tmp_path: Path,
) -> None:
    async with run_agent({}, folder=tmp_path) as agent:
        async with join_as_guest(await agent.way_in(), "") as guest:
            await guest.hear_sound(within_s=60)
        took_s = await agent.leave()
        assert agent.process.returncode == 0
        assert took_s < LEAVES_WITHIN_S
        assert "Traceback" not in agent.printed


@pytest.mark.parametrize("missing", ["LIVEKIT_API_SECRET", "ASSEMBLYAI_API_KEY"])
async def test_a_missing_setting_is_one_line_and_exit_code_2(tmp_path: Path, missing: str) -> None:
    settings = {
        "LIVEKIT_URL": "wss://example.livekit.cloud",
        "LIVEKIT_API_KEY": "APIkey123456",
        "LIVEKIT_API_SECRET": "a-secret-that-nobody-may-see",
        "ASSEMBLYAI_API_KEY": "another-secret-that-nobody-may-see",
    }
    del settings[missing]
    async with run_agent(settings, folder=tmp_path) as agent:
        with trio.fail_after(60):
            assert await agent.ended() == 2
        assert missing in agent.printed
        assert len(agent.printed.strip().splitlines()) == 1
        assert "nobody-may-see" not in agent.printed
