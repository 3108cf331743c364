"""Each recorded call, played to a bare client over a websocket: its events in order, at their times."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from playground.voice_agent_api import ServerOptions, VoiceAgentServer, voice_agent_server
from tests.playground.caller import Arrived, Caller, calling, on_the_line
from tests.recordings.recorded import NAMES, log_of, script_of

Dial = Callable[[], AbstractAsyncContextManager[Caller]]


@attrs.frozen
class Connection:
    """What a log has of one websocket."""

    said: list[tuple[float, dict[str, Any]]] = attrs.field(factory=list)
    """By the service, with the times in ms."""
    first: str = "session.update"
    closes: int | None = None


def connections_of(name: str) -> list[Connection]:
    found = [Connection()]
    for row in log_of(name):
        if "close" in row:
            found[-1] = attrs.evolve(found[-1], closes=row["close"])
        elif row["d"] == "<":
            if found[-1].closes is not None:
                found.append(Connection())
            found[-1].said.append((row["ms"], row["m"]))
        elif row["d"] == ">" and row["m"]["type"].startswith("session."):
            if found[-1].closes is not None:
                found.append(Connection())
            found[-1] = attrs.evolve(found[-1], first=row["m"]["type"])
    return found


async def play(dial: Dial, connection: Connection) -> list[Arrived]:
    """Plays a client that answers tool calls at once and says no more."""
    async with dial() as caller:
        fields: dict[str, Any] = (
            {"session_id": "sess_1"} if connection.first == "session.resume" else {"session": {}}
        )
        await caller.send(connection.first, **fields)
        expected = len(recorded(connection))
        answered = 0
        with trio.fail_after(120):
            while caller.close_code is None and len(events(caller.arrived, connection)) < expected:
                calls = caller.of("tool.call")
                for call in calls[answered:]:
                    await caller.send("tool.result", call_id=call["call_id"], result="no", is_error=False)
                answered = len(calls)
                await trio.sleep(0.02)
            if connection.closes is not None:
                assert await caller.until_closed() == connection.closes
        return caller.arrived


def recorded(connection: Connection) -> list[str]:
    return [message["type"] for _, message in connection.said]


def events(arrived: list[Arrived], connection: Connection) -> list[Arrived]:
    """But for those of which the log has a sum only."""
    summed = {"reply.audio", "transcript.agent.delta"} - set(recorded(connection))
    return [one for one in arrived if one.event["type"] not in summed]


def in_order(arrived: list[Arrived], connection: Connection) -> None:
    heard = events(arrived, connection)
    assert [one.event["type"] for one in heard] == recorded(connection)
    for one, (_, message) in zip(heard, connection.said, strict=True):
        assert message.items() <= one.event.items(), "what was recorded of it"
    speaking = None
    for one in arrived:
        match one.event:
            case {"type": "reply.started", "reply_id": reply_id}:
                speaking = reply_id
            case {"type": "reply.audio", "reply_id": reply_id}:
                assert reply_id == speaking, "sound comes between its reply's beginning and its end"
            case {"type": "reply.done"}:
                speaking = None


@pytest.mark.parametrize("name", NAMES)
async def test_in_virtual_time_each_event_comes_at_its_time(
    autojump_clock: trio.testing.MockClock, name: str
) -> None:
    server = VoiceAgentServer(ServerOptions(script=script_of(name), ping_s=None))
    for connection in connections_of(name):
        arrived = await play(lambda: calling(server), connection)
        in_order(arrived, connection)
        heard = events(arrived, connection)
        for one, (ms, message) in zip(heard, connection.said, strict=True):
            since_s = one.at_s - heard[0].at_s
            assert since_s == pytest.approx((ms - connection.said[0][0]) / 1000, abs=0.002), message
    assert server.crashes == 0


@pytest.mark.slow
async def test_over_tcp_and_in_real_time_nothing_comes_early_or_out_of_order() -> None:
    async def over_tcp(name: str) -> None:
        options = ServerOptions(script=script_of(name))
        async with voice_agent_server(options) as server:

            @asynccontextmanager
            async def dial() -> AsyncIterator[Caller]:
                port = int(server.url.split(":")[2].split("/")[0])
                async with on_the_line(await trio.open_tcp_stream("127.0.0.1", port)) as caller:
                    yield caller

            for connection in connections_of(name):
                began = trio.current_time()
                arrived = await play(dial, connection)
                heard = events(arrived, connection)
                assert [one.event["type"] for one in heard] == recorded(connection)
                first_ms = connection.said[0][0]
                for one, (ms, message) in zip(heard, connection.said, strict=True):
                    assert one.at_s - began > (ms - first_ms) / 1000 - 0.001, f"{message} comes early"

    async with trio.open_nursery() as nursery:
        for name in NAMES:
            nursery.start_soon(over_tcp, name)
