"""What somebody reads who runs the agent in their terminal: the conversation, nothing of its machinery."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from bench.guest import join_as_guest
from bench.speech import silence, spoken
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.agent_process import run_agent, settings_for
from tests.window import run_in_window

pytestmark = [pytest.mark.server]

ACCOUNT = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "k",
    "LIVEKIT_API_SECRET": "s" * 32,
    "ASSEMBLYAI_API_KEY": "a" * 32,
}


def without_busy(shown: Sequence[str]) -> list[str]:
    """All lines but that the machine is too busy, which says nothing of the agent, and empty ones."""
    lines = [line for line in shown if line and not line.startswith("! Sound was late")]
    busy = [number for number, line in enumerate(lines) if line.startswith("! Loop held")]
    return [line for number, line in enumerate(lines) if number not in busy and number - 1 not in busy]


@pytest.mark.slow
async def test_a_conversation_can_be_read_and_ctrl_c_leaves_a_clean_prompt(livekit: LiveKitServer) -> None:
    async with voice_agent_server(ServerOptions(endpointing_ms=None)) as service:
        settings = settings_for(livekit, service.url, "in-a-terminal")
        async with (
            run_in_window(settings) as window,
            join_as_guest(livekit, "in-a-terminal") as guest,
            trio.open_nursery() as nursery,
        ):
            await window.shows("Agent:", within_s=60)
            await guest.say(silence(500) + spoken("The weather is very nice today."))
            nursery.start_soon(guest.hush, 60)
            await window.shows("answered in", within_s=60)
            assert await window.press_ctrl_c() == 0
            nursery.cancel_scope.cancel()
    lines = without_busy(window.lines)
    assert window.lines[-1] == "", "the line at the bottom is gone"
    assert re.fullmatch(r"Agent: \w.+", next(line for line in lines if line.startswith("Agent:")))
    alice = next(number for number, line in enumerate(lines) if line.startswith("alice: "))
    assert any(re.match(r"Agent: You said.*\(answered in \d+\.\d s\)", line) for line in lines[alice:])
    assert any(
        re.match(r" {7}\((1 answer, in|\d answers, half of them within) ", line) for line in lines[alice:]
    )
    # No line of a library, native or not, and none of the log.
    known = ("Agent: ", "alice: ", "       ", "Starting")
    assert [line for line in lines if not line.startswith(known)] == []


async def test_a_terminal_shows_why_it_ended_and_the_fix_and_nothing_else() -> None:
    async with run_in_window(ACCOUNT) as window:
        with trio.fail_after(60):
            while window.process.poll() is None:
                await trio.sleep(0.02)
        await window.shows("check LIVEKIT_URL", within_s=20)
    shown = without_busy(window.lines)
    assert shown[0].startswith("Starting (")
    assert shown[1:] == [
        "! Ended: LiveKit at ws://127.0.0.1:1 cannot be reached",
        "  check LIVEKIT_URL, and that the server is running",
    ]


@pytest.mark.parametrize("arguments", [("--verbose",), ("--log", "text"), ("--log", "json")])
async def test_whoever_asks_for_the_log_gets_it_in_a_terminal_too(arguments: tuple[str, ...]) -> None:
    async with run_in_window(ACCOUNT, *arguments) as window:
        await window.shows("signal connection failed", within_s=60)
    assert "Ended:" not in window.drawn


async def test_a_service_that_writes_to_a_terminal_gets_the_log_in_which_no_words_are() -> None:
    async with run_in_window(ACCOUNT, has_keyboard=False) as window:
        await window.shows("signal connection failed", within_s=60)
    assert "Ended:" not in window.drawn


@pytest.mark.skipif(
    Path("/dev/snd").exists() or "PULSE_SERVER" in os.environ, reason="there is a sound card here"
)
async def test_where_there_is_no_microphone_console_says_so_at_once_and_what_to_do(tmp_path: Path) -> None:
    async with run_agent({}, "--log", "conversation", "console", folder=tmp_path) as agent:
        with trio.fail_after(60):
            assert await agent.ended() == 1
        await agent.prints("in the browser", within_s=20)
    shown = without_busy(agent.printed.splitlines())
    assert shown[1] == "! Ended: no microphone and loudspeaker were found on this computer"
    assert "`python runner.py`" in shown[2]
    assert len(shown) == 3, "nothing else was started"
