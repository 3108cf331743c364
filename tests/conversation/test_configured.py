"""What was configured is what the service is told and what is heard, with an account and without one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
import trio_asyncio

from actors.room.actor import AGENT_IDENTITY
from bench.guest import Guest, join_as_guest
from bench.speech import at_16_khz
from channels.texts import CONFIGURE_METHOD
from channels.wire.messages import SessionUpdate
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from sound.recogniser import Recogniser
from tests.agent_process import run_agent, settings_for

pytestmark = [pytest.mark.server, pytest.mark.slow]

CONFIGURED = """
template = "support"
profile = "deliberate"
variables.company = "Acme"

[session]
greeting = "The weather is fine today."
input.keyterms = ["LiveKit"]
output.voice = "eve"
"""


async def test_the_first_message_to_the_service_is_what_the_file_says(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    (tmp_path / "agent.toml").write_text(CONFIGURED)
    async with (
        voice_agent_server(ServerOptions()) as service,
        run_agent(
            settings_for(livekit, service.url, "configured"), "--config", "agent.toml", folder=tmp_path
        ),
        join_as_guest(livekit, "configured") as guest,
    ):
        await guest.hear_sound(within_s=60)
        first = next(iter(service.received)).what
        assert isinstance(first, SessionUpdate)
        prompt = first.session["system_prompt"]
        assert prompt.startswith("You are the automated support assistant of Acme.")
        assert "Rules that always hold" in prompt
        assert {name: first.session[name] for name in first.session if name != "system_prompt"} == {
            "greeting": "The weather is fine today.",
            "input": {
                "keyterms": ["LiveKit"],
                "turn_detection": {
                    "vad_threshold": 0.5,
                    "min_silence": 600,
                    "max_silence": 2500,
                    "interrupt_response": True,
                },
            },
            "output": {"voice": "eve"},
        }


async def configure(guest: Guest, changes: Mapping[str, str]) -> Any:
    """Asks the agent for a change, as the page does."""
    answer = await trio_asyncio.aio_as_trio(guest.room.local_participant.perform_rpc)(
        destination_identity=AGENT_IDENTITY,
        method=CONFIGURE_METHOD,
        payload=json.dumps(changes),
        response_timeout=60.0,
        max_round_trip_latency=30.0,
    )
    return json.loads(answer)


async def test_without_an_account_the_same_file_says_how_the_agent_greets(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(CONFIGURED)
    async with run_agent({}, "--config", "agent.toml", folder=tmp_path) as agent:
        way_in = await agent.way_in()
        began = time.monotonic()
        async with join_as_guest(way_in, "") as guest:
            await guest.hear_sound(within_s=60)
            await guest.hear_silence(for_s=1.0, within_s=60)
            heard = guest.sound_since(began)
            # Everybody in a room of one's own machine is its owner, and may change how turns are taken.
            for profile in ("adaptive", "fast-paced"):
                assert (await configure(guest, {"profile": profile}))["accepted"] is True
            refused = await configure(guest, {"voice": "james"})
            assert refused == {"accepted": False, "why": "The service fixes the voice when a session starts."}
        words = await trio.to_thread.run_sync(lambda: Recogniser().transcribe(at_16_khz(heard)))
    assert "weather" in words.lower()
