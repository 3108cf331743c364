"""The graph of a running agent: what flows through each channel, as the agent itself tells it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import runner
from bench.guest import join_as_guest
from channels.child import ended, start_child, stream_of
from channels.errors import AgentSilent, NotAllowedInRoom, SettingsError
from commands.arguments import parse
from commands.graph import draw, show_graph
from commands.graph.counters import Reading, flows, read_counters
from commands.graph.live import as_table
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, voice_agent_server
from tests.agent_process import ROOT, run_agent, settings_for

MICROPHONE = {"name": "microphone", "capacity": 4, "passed": 120, "dropped": 3, "depth": 4, "deepest": 4}


def answer(**changes: object) -> str:
    return json.dumps({"done": True, "channels": [MICROPHONE | changes]})


def test_rates_are_between_two_readings() -> None:
    before, now = read_counters(answer(passed=100)), read_counters(answer())
    (flow,) = flows(before, now, 2.0)
    assert (flow.name, flow.per_second) == ("microphone", 10.0)
    assert flow.note == "10.0/s, 4 of 4 waiting, 3 dropped"
    assert flow.as_json() == MICROPHONE | {"per_second": 10.0, "age_ms": None}


def test_how_old_sound_is_stands_beside_how_much_of_it_waits() -> None:
    (flow,) = flows({}, read_counters(answer(age_ms=85)), 1.0)
    assert flow.note.endswith("3 dropped, 85 ms old")


def test_an_agent_that_began_anew_does_not_flow_backwards() -> None:
    (flow,) = flows({"microphone": Reading(5000, 0, 0, 1, 4)}, read_counters(answer()), 1.0)
    assert flow.per_second == 120.0


def test_the_drawing_says_what_flows_where_it_said_what_fits() -> None:
    drawing = draw(runner.wire, {"microphone": "20.0/s, 0 of 4 waiting"})
    assert '"microphone<br/><small>20.0/s, 0 of 4 waiting</small>"' in drawing
    assert '"orders<br/><small>1024 commands<br/>' in drawing, "of which nothing is known"


def test_the_table_can_be_read() -> None:
    console = Console(width=80, record=True, quiet=False, file=None, force_terminal=False)
    with console.capture() as shown:
        console.print(as_table(flows({}, read_counters(answer(age_ms=85)), 1.0)))
    assert re.search(r"microphone +120\.0 +120 +4 +4 +4 +3 +85", shown.get())


def test_who_is_refused_is_told_what_to_do() -> None:
    with pytest.raises(NotAllowedInRoom, match=r"not have the roomAdmin grant.*--operator"):
        read_counters('{"done": false, "why": "the token does not have the roomAdmin grant for this room"}')


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps))
def test_an_answer_that_is_none_is_said_to_be(said: str) -> None:
    with pytest.raises(AgentSilent, match="cannot be understood"):
        read_counters(said)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--once"], "--live"),
        (["--json"], "--live"),
        (["--url", "ws://x"], "--live"),
        (["--live", "--token", "secret"], "LIVEKIT_TOKEN"),
    ],
)
def test_what_does_not_go_together_is_said(arguments: list[str], why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        show_graph(parse(["graph", *arguments]), lambda notes: "", lambda: pytest.fail("not needed"))
    assert "secret" not in str(caught.value)


def graph(settings: Mapping[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python runner.py graph --live …`."""
    command = [sys.executable, str(ROOT / "runner.py"), "graph", "--live", *arguments]
    return subprocess.run(
        command, env=settings, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.server
@pytest.mark.slow
async def test_what_flows_through_a_running_agent_is_shown(livekit: LiveKitServer, tmp_path: Path) -> None:
    room = f"watched-{tmp_path.name}"
    async with voice_agent_server(ServerOptions()) as service:
        settings = settings_for(livekit, service.url, room)

        async def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
            return await trio.to_thread.run_sync(graph, settings, tmp_path, *arguments)

        nobody = await ask("--json")
        assert nobody.returncode == 1
        assert "there is no agent in the room" in nobody.stderr

        async with run_agent(settings) as agent:
            await agent.prints("room_joined", within_s=60)
            quiet = await ask("--json")
            assert quiet.returncode == 0, quiet.stderr
            assert "session_started" not in agent.printed, "who only watches is nobody to talk with"

            async with join_as_guest(livekit, room) as alice, trio.open_nursery() as nursery:
                nursery.start_soon(alice.hush, 600)
                await agent.prints("session_started", within_s=60)
                for _ in range(5):
                    channels = json.loads((await ask("--json")).stdout)["channels"]
                    told = {each["name"]: each for each in channels}
                    # Frames of 50 ms. What a busy machine was late with comes all at once, for a second.
                    if 5 < told["microphone"]["per_second"] < 40:
                        break
                else:
                    pytest.fail(f"20 frames a second were to be told of: {told['microphone']}")
                assert set(vars(runner.Channels())) <= {name.replace(" ", "_") for name in told}
                assert "tap front end" in told

                drawn = (await ask("--once")).stdout
                assert drawn.startswith("flowchart LR")
                assert re.search(r'MicPump --"microphone<br/><small>[\d.]+/s, \d+ of 400 waiting', drawn)

                picture = await ask("--svg", str(tmp_path / "graph.svg"))
                assert picture.returncode == 0, picture.stderr
                assert "waiting" in (tmp_path / "graph.svg").read_text()

                await watch_until_ctrl_c(settings, tmp_path)
                nursery.cancel_scope.cancel()
        assert "heard_by" not in "".join(
            line for line in agent.printed.splitlines() if "identity=graph-" in line
        )


async def watch_until_ctrl_c(settings: Mapping[str, str], folder: Path) -> None:
    """The table, which is drawn anew each second."""
    command = [sys.executable, str(ROOT / "runner.py"), "graph", "--live"]
    env = {**settings, "FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100", "LINES": "60"}
    process = start_child(command, environ=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    shown, pressed = b"", False
    with trio.fail_after(60):
        async with stream_of(process.stdout) as out:
            async for chunk in out:
                shown += chunk
                # Two of them may come at once.
                if not pressed and shown.count(b"messages/s") >= 3:
                    process.send_signal(signal.SIGINT)
                    pressed = True
        assert await ended(process) == 0
    assert shown.count(b"messages/s") >= 3
    assert b"microphone" in shown


@pytest.mark.server
@pytest.mark.slow
async def test_without_an_account_the_printed_token_is_enough(tmp_path: Path) -> None:
    async with run_agent({}, folder=tmp_path) as agent:
        url, token = await agent.way_in()
        told = await trio.to_thread.run_sync(
            graph, {"LIVEKIT_TOKEN": token.reveal()}, tmp_path, "--json", "--url", url
        )
        assert told.returncode == 0, told.stderr
        assert "microphone" in {each["name"] for each in json.loads(told.stdout)["channels"]}
        assert token.reveal() not in told.stdout + told.stderr
