"""Two rooms in one process: each has its conversation, and what happens to one is nothing to the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import structlog
import trio

from bench.guest import join_as_guest
from channels.bounded import Receiver
from channels.happenings import Happening, ParticipantLeft
from channels.secret import Secret
from channels.settings import Accounts, ApiAccount, LiveKitAccount, Settings
from channels.streams import Addition
from commands.serve import RoomEnded, RoomSpec
from commands.serve.supervisor import supervise
from playground.livekit_server import LiveKitServer
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server
from runner import wire

pytestmark = [pytest.mark.server, pytest.mark.slow]


@attrs.define
class BreaksOnDemand:
    """An actor that the call cannot do without, by its own word, and that fails when carol leaves."""

    happenings: Receiver[Happening]
    essential: bool = True

    async def run(self) -> None:
        async for happening in self.happenings:
            if happening == ParticipantLeft("carol"):
                raise ValueError("carol left")


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


async def test_a_room_that_fails_comes_back_and_the_one_beside_it_notices_nothing(
    livekit: LiveKitServer, tmp_path: Path, lines: list[Any]
) -> None:
    service_options = ServerOptions(speech=ToneSpeech, endpointing_ms=None)
    async with voice_agent_server(service_options) as service, trio.open_nursery() as nursery:
        accounts = Accounts(
            LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret),
            ApiAccount(service.url, api_key=Secret("0" * 32)),
        )

        def spec(name: str) -> RoomSpec:
            return RoomSpec(
                Settings(name),
                accounts,
                lambda *given: wire(*given, additions=[Addition(BreaksOnDemand)]),
                record=tmp_path / "{room}.jsonl",
            )

        def told(room: str, event: str) -> list[Any]:
            return [line for line in lines if line.get("room") == room and line["event"] == event]

        async def until_told(room: str, event: str, times: int = 1) -> None:
            with trio.fail_after(60):
                while len(told(room, event)) < times:
                    await trio.sleep(0.02)

        ended: list[RoomEnded] = []

        async def serve() -> None:
            ended.extend(await supervise([spec("many tea"), spec("many lounge")], structlog.get_logger()))

        nursery.start_soon(serve)
        async with (
            join_as_guest(livekit, "many tea", "alice") as alice,
            join_as_guest(livekit, "many lounge", "bob") as bob,
        ):
            await alice.hear_sound(within_s=60)
            await bob.hear_sound(within_s=60)
            async with join_as_guest(livekit, "many tea", "carol"):
                await until_told("many tea", "participant_joined", times=2)
            await until_told("many tea", "ended")
            failed = told("many tea", "ended")[0]
            assert "BreaksOnDemand" in failed["why"]
            assert failed["again_in_s"] <= 1.0
            # The greeting of a new call, in the same room.
            await until_told("many tea", "room_joined", times=2)
            await alice.hear_sound(within_s=60)
        nursery.cancel_scope.cancel()
    assert not ended, "both rooms were served to the end"
    assert not told("many lounge", "ended")
    assert len(told("many lounge", "room_joined")) == 1
    assert all("room" in line for line in lines if line["event"] != "library")
    # Each call has a record of its own, the one after the failure too.
    assert sorted(os.listdir(tmp_path)) == [
        "many lounge.jsonl",
        "many tea-2.jsonl",
        "many tea.jsonl",
    ]
