"""A guest whose app let them choose the identity `voice-agent` waits for an operator's token."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from functools import partial

import jwt
import pytest
import trio
from livekit import api, rtc

from bench.guest import join_as_guest
from channels.errors import SettingsError
from channels.secret import Secret
from channels.settings import LiveKitAccount
from commands.agent_room import room_of_agent
from commands.agents_here import LiveKitRoom
from commands.arguments import parse
from playground.livekit_server import LiveKitServer
from tests.agent_process import ROOT, settings_for

ROOM = LiveKitRoom(LiveKitAccount("ws://x", "devkey", Secret("a-secret-of-thirty-two-characters")), "tea")


@pytest.mark.server
@pytest.mark.parametrize("command", [["operate"], ["graph", "--live", "--once"]])
async def test_nobody_but_an_agent_is_shown_the_operators_token(
    livekit: LiveKitServer, command: list[str]
) -> None:
    room = f"impostor-{command[0]}"
    async with join_as_guest(livekit, room, "voice-agent", publish=False) as impostor:
        caught: list[str] = []

        def take(data: rtc.RpcInvocationData) -> str:
            caught.append(data.payload)
            return '{"done":true}'

        impostor.room.local_participant.register_rpc_method("voice-agent.operate", take)
        run = partial(trio.run_process, capture_stdout=True, capture_stderr=True, check=False)
        done = await run(
            [sys.executable, str(ROOT / "runner.py"), *command],
            env=settings_for(livekit, "ws://127.0.0.1:1/v1/ws", room),
            stdin=b'{"do": "statistics"}\n',
        )
    assert caught == []
    assert done.returncode == 1
    assert "is not an agent" in done.stderr.decode()


def test_a_token_that_is_shown_is_good_for_minutes_and_made_anew_for_each_call() -> None:
    room = room_of_agent(parse(["operate"]), lambda: ROOM, "operator")
    verifier = api.TokenVerifier("devkey", ROOM.account.api_secret.reveal(), leeway=timedelta(0))
    claims = verifier.verify(room.token().reveal())
    assert claims.video is not None
    assert claims.video.room_admin

    told = jwt.decode(room.token().reveal(), options={"verify_signature": False})
    assert told["exp"] - told["nbf"] <= 120
    assert room.token() is not room.token()


@pytest.mark.parametrize("command", [["operate"], ["graph", "--live"]])
def test_a_token_on_the_command_line_is_refused_since_everybody_can_read_it_there(command: list[str]) -> None:
    with pytest.raises(SettingsError, match="LIVEKIT_TOKEN") as caught:
        room_of_agent(parse([*command, "--url", "ws://x", "--token", "sesame"]), lambda: ROOM, "x")
    assert "sesame" not in str(caught.value)


def test_the_token_comes_from_the_environment() -> None:
    room = room_of_agent(
        parse(["operate", "--url", "ws://x"]),
        lambda: pytest.fail("not needed"),
        "x",
        {"LIVEKIT_TOKEN": " sesame\n"},
    )
    assert room.token().reveal() == "sesame"


@pytest.mark.server
def test_the_token_comes_from_the_first_line_of_standard_input(livekit: LiveKitServer) -> None:
    token = api.AccessToken(livekit.api_key, livekit.api_secret.reveal()).with_identity("bob")
    grants = api.VideoGrants(room_join=True, room="by-standard-input")
    done = subprocess.run(
        [sys.executable, str(ROOT / "runner.py"), "operate", "--url", livekit.url],
        env={},
        input=token.with_grants(grants).to_jwt() + "\n" + json.dumps({"do": "end"}) + "\n",
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "there is no agent in the room 'by-standard-input'" in done.stderr


def test_without_any_token_it_is_said_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(SettingsError, match="LIVEKIT_TOKEN"):
        room_of_agent(parse(["operate", "--url", "ws://x"]), lambda: ROOM, "x", {})
