"""An operator steers a live call: `python runner.py`, the real LiveKit server, tokens as they are printed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
import trio
import trio_asyncio

from actors.room.actor import AGENT_IDENTITY
from bench.guest import Guest, join_as_guest
from channels.secret import Secret
from channels.texts import CHAT_TOPIC, OPERATE_METHOD
from playground.dialogue import Dialogue
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.agent_process import ROOT, run_agent, settings_for
from tests.talk import TIMES, words_in

pytestmark = [pytest.mark.server, pytest.mark.slow]


def token_of(settings: Mapping[str, str], *arguments: str) -> str:
    """What `python runner.py token` prints."""
    command = [sys.executable, str(ROOT / "runner.py"), "token", *arguments]
    return subprocess.run(command, env=settings, check=True, capture_output=True, text=True).stdout.strip()


async def operate(guest: Guest, *lines: Any) -> list[dict[str, Any]]:
    """Calls the agent and gives its answers."""
    answer = await trio_asyncio.aio_as_trio(guest.room.local_participant.perform_rpc)(
        destination_identity=AGENT_IDENTITY,
        method=OPERATE_METHOD,
        payload="\n".join(json.dumps(line) for line in lines),
        response_timeout=60.0,
        max_round_trip_latency=30.0,
    )
    return [json.loads(line) for line in answer.split("\n")]


async def is_heard(guest: Guest, ask: Callable[[], Awaitable[None]], *words: str) -> None:
    """Asks until these words are understood in what the agent says: a busy machine may lose one."""
    heard = list[str]()
    for _ in range(TIMES):
        began = time.monotonic()
        await ask()
        await guest.hear_sound(within_s=60, since=began)
        await guest.hear_silence(for_s=1.0, within_s=60)
        heard.append(await words_in(guest.sound_since(began)))
        if all(word in heard[-1] for word in words):
            return
    raise AssertionError(f"it said {heard}")


async def test_an_operator_has_it_say_something_changes_its_prompt_and_ends_the_call(
    livekit: LiveKitServer,
) -> None:
    async with voice_agent_server(ServerOptions(brain=Dialogue)) as service:
        settings = settings_for(livekit, service.url, "operated")
        tokens = {
            "bob": token_of(settings, "--identity", "bob", "--operator"),
            "mallory": token_of(settings, "--identity", "mallory"),
        }
        async with (
            run_agent(settings) as agent,
            join_as_guest(livekit, "operated") as alice,
            join_as_guest((livekit.url, Secret(tokens["bob"])), "", publish=False) as bob,
            join_as_guest((livekit.url, Secret(tokens["mallory"])), "", publish=False) as mallory,
        ):
            await alice.hear_sound(within_s=60)
            await alice.hear_silence(for_s=1.0, within_s=60)

            for stolen in (tokens["mallory"], tokens["bob"]):
                (refused,) = await operate(mallory, {"token": stolen}, {"do": "end"})
                assert refused["done"] is False
            await agent.prints("operator_refused", within_s=20)

            async def have_it_said() -> None:
                say = {"do": "say", "text": "The library closes in ten minutes."}
                assert await operate(bob, {"token": tokens["bob"]}, say) == [{"done": True}]

            await is_heard(alice, have_it_said, "library", "minutes")

            prompt = {"do": "prompt", "text": "Your name is Sarah. Be brief."}
            assert await operate(bob, {"token": tokens["bob"]}, prompt) == [{"done": True}]

            async def ask_its_name() -> None:
                send_text = alice.room.local_participant.send_text
                await trio_asyncio.aio_as_trio(send_text)("What is your name?", topic=CHAT_TOPIC)

            await is_heard(alice, ask_its_name, "sarah")

            (counted,) = await operate(bob, {"token": tokens["bob"]}, {"do": "statistics"})
            passed = {channel["name"]: channel["passed"] for channel in counted["channels"]}
            assert passed["microphone"] > 20

            assert await operate(bob, {"token": tokens["bob"]}, {"do": "end"}) == [{"done": True}]
            with trio.fail_after(60):
                assert await agent.ended() == 0
        log = agent.printed.splitlines()
        # Refusals of one second are told once.
        refused_lines = [line for line in log if "operator_refused" in line and "mallory" in line]
        assert 1 <= len(refused_lines) <= 2
        (ended,) = [line for line in log if "operator_acted" in line and "end" in line.split()[-1]]
        assert "bob" in ended
        for token in tokens.values():
            assert not any(part in agent.printed for part in token.split(".")[1:])
