"""A live call steered from a shell: commands on standard input, answers on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import pytest
import trio

from bench.guest import join_as_guest
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from tests.agent_process import ROOT, run_agent, settings_for

COMMAND = [sys.executable, str(ROOT / "runner.py"), "operate"]


@pytest.mark.server
@pytest.mark.slow
async def test_each_line_is_answered_and_the_last_one_ends_the_call(livekit: LiveKitServer) -> None:
    async with voice_agent_server(ServerOptions(speech=ToneSpeech)) as service:
        settings = settings_for(livekit, service.url, "operated-from-a-shell")
        async with run_agent(settings) as agent, join_as_guest(livekit, "operated-from-a-shell") as guest:
            await guest.hear_sound(within_s=60)
            lines = ['{"do": "prompt", "text": "Be brief."}', '{"do": "dance"}', '{"do": "end"}']
            run = partial(trio.run_process, COMMAND, env=settings, capture_stdout=True, check=False)
            done = await run(stdin="\n".join(lines).encode())
            answers = [json.loads(line) for line in done.stdout.splitlines()]
            assert [answer["done"] for answer in answers] == [True, False, True]
            assert "there is no such command; the commands are say" in answers[1]["why"]
            assert done.returncode == 1, "one was not done"
            with trio.fail_after(30):
                assert await agent.ended() == 0


@pytest.mark.server
def test_where_there_is_no_agent_that_is_said(livekit: LiveKitServer) -> None:
    settings = settings_for(livekit, "ws://127.0.0.1:1/v1/ws", "nobody-is-here")
    done = subprocess.run(
        COMMAND, env=settings, input='{"do": "end"}\n', capture_output=True, encoding="utf-8", timeout=60
    )
    assert done.returncode == 1
    assert "there is no agent in the room" in done.stderr
    assert "Traceback" not in done.stderr
