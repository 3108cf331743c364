"""Clients that do what no client should: each hurts itself only."""

from __future__ import annotations

import base64
import json
import random
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, open_websocket_url

from playground.voice_agent.connection import MAX_FRAME_BYTES
from playground.voice_agent_api import (
    Burst,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    hum,
    voice_agent_server,
)
from tests.playground.caller import calling, on_the_line


def a_server(**options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(speech=ToneSpeech, **options))


UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: k\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

MALFORMED = [
    "",
    "no JSON",
    "null",
    "[]",
    '"session.update"',
    "{}",
    '{"type":3}',
    '{"type":"session.resume"}',
    '{"type":"session.update","session":[]}',
    '{"type":"input.audio","audio":3}',
    '{"type":"tool.result","call_id":"1","result":{}}',
    '{"type":"conversation.message","role":"user"}',
    '{"type":"session.update","session":{"tools":' + "[" * 50_000,
    "[" * 100_000 + "]" * 100_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    "1" * 100_000,
    '{"type":"\\ud800"}',
]


@pytest.mark.parametrize("frame", MALFORMED, ids=range(len(MALFORMED)))
async def test_a_malformed_frame_is_answered_and_leaves_the_session_alone(
    autojump_clock: trio.testing.MockClock, frame: str
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.ws.send_message(frame)
        assert (await caller.until("session.error"))["code"] == "invalid_format"
        await caller.start()
        await caller.ws.send_message(frame)
        await caller.until("session.error", 2)
        await caller.send("reply.create")
        await caller.until("reply.done")
    assert server.crashes == 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ("no JSON", "Invalid JSON format."),
        ('{"type":"bogus"}', "Unknown message type: bogus"),
        ('{"type":"input.audio"}', "Invalid message format for type 'input.audio'"),
    ],
)
async def test_errors_of_form_have_the_words_that_were_recorded(
    autojump_clock: trio.testing.MockClock, frame: str, message: str
) -> None:
    async with calling(a_server()) as caller:
        await caller.ws.send_message(frame)
        error = await caller.until("session.error")
        assert error["message"] == message
        assert error["param"] is None
        assert error["session_id"] is None


async def test_a_binary_frame_is_no_message(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(a_server()) as caller:
        await caller.ws.send_message(b'{"type":"session.update","session":{}}')
        assert (await caller.until("session.error"))["code"] == "invalid_format"


async def test_a_tool_schema_that_is_nested_too_deeply_is_refused(
    autojump_clock: trio.testing.MockClock,
) -> None:
    deep: Any = {}
    for _ in range(200):
        deep = {"properties": deep}
    async with calling(a_server()) as caller:
        await caller.send("session.update", session={"tools": [{"name": "f", "parameters": deep}]})
        assert await caller.until_closed() == 1008
        assert caller.of("session.error")[0]["param"] == "tools[0].parameters"


async def test_a_frame_that_is_too_big_closes_with_1009_and_one_that_is_just_not_is_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.start()
        fits = (MAX_FRAME_BYTES - 100) // 4 * 3 // 2 * 2
        await caller.send("input.audio", audio=base64.b64encode(bytes(fits)).decode())
        await caller.send("input.audio", audio=base64.b64encode(bytes(MAX_FRAME_BYTES)).decode())
        assert await caller.until_closed() == 1009
    assert server.received.of("input.audio")
    assert server.crashes == 0


async def test_messages_out_of_all_order_do_no_harm(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    async with calling(server) as caller:
        await caller.send("session.end")
        await caller.send("tool.result", call_id="x", result="x")
        await caller.send("session.update", session={})
        await caller.send("session.update", session={"system_prompt": "early"})
        await caller.send("reply.create")
        await caller.until("session.ready")
        await caller.send("session.resume", session_id="x")
        await caller.send("session.update", session={"agent_id": "x"})
        await caller.send("reply.create")
        await caller.until("reply.done")
        await caller.send("session.end")
        await caller.send("session.end")
        assert await caller.until_closed() == 1000
    codes = [error["code"] for error in caller.of("session.error")]
    assert codes == ["invalid_format", "invalid_format", "invalid_format", "agent_id_not_first"]
    assert server.crashes == 0


@pytest.mark.parametrize("seed", range(30))
async def test_random_messages_never_crash_the_server(
    autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    chance = random.Random(seed)
    values: list[Any] = [
        None,
        True,
        3,
        -1,
        1e308,
        "",
        "x",
        [],
        {},
        {"voice": "eve"},
        [{"name": "f"}],
        "AAAA",
        "AAA=",
    ]
    types = [
        "session.update", "session.resume", "input.audio", "tool.result", "reply.create",
        "conversation.message", "reply.cancel", "x",
    ]  # fmt: skip
    keys = [
        "session",
        "session_id",
        "audio",
        "call_id",
        "result",
        "is_error",
        "instructions",
        "role",
        "content",
        "reply_id",
    ]
    server = a_server()
    async with calling(server) as caller:
        if chance.random() < 0.7:
            await caller.start(greeting="Hello there, it is a nice day.")
        try:
            for _ in range(60):
                fields = {key: chance.choice(values) for key in chance.sample(keys, chance.randrange(5))}
                await caller.send(chance.choice(types), **fields)
                if chance.random() < 0.1:
                    await server.interrupt_now()
                if chance.random() < 0.3:
                    await trio.sleep(chance.random())
        except ConnectionClosed:
            assert await caller.until_closed() == 1008
    assert server.crashes == 0


@pytest.mark.parametrize("seed", range(20))
async def test_random_bytes_in_place_of_frames_never_crash_the_server(
    autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    chance = random.Random(seed)
    server = a_server(canned_reply=hum(2000))
    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(server.serve_stream, theirs)
        async with on_the_line(ours) as caller:
            await caller.start(greeting="Hello.")
            with suppress(trio.BrokenResourceError):
                for _ in range(chance.randrange(1, 6)):
                    await ours.send_all(chance.randbytes(chance.randrange(1, 300)))
                    await trio.sleep(0.1)
        await trio.sleep(40)
        assert server.sessions == 0
        nursery.cancel_scope.cancel()
    assert server.crashes == 0


@pytest.mark.parametrize(
    "request_head",
    [
        UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
        UPGRADE.replace(b"Version: 13", b"Version: 12"),
        UPGRADE.replace(b"GET", b"POST"),
        UPGRADE.replace(b"Connection: Upgrade", b"Connection: close"),
        UPGRADE.replace(b"Host: x\r\n", b""),
    ],
)
async def test_a_handshake_that_is_none_is_over_in_seconds(
    autojump_clock: trio.testing.MockClock, request_head: bytes
) -> None:
    server = a_server()
    ours, theirs = trio.testing.memory_stream_pair()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve_stream, theirs)
            with suppress(trio.BrokenResourceError):
                await ours.send_all(request_head)
                await ours.send_all(b"\x00" * 100)
            await trio.sleep(5)
            await trio.aclose_forcefully(ours)
    assert server.crashes == 0


async def test_a_client_that_reads_nothing_is_closed_and_the_others_do_not_notice(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    server = a_server(canned_reply=hum(60_000), chunk_ms=100, ping_s=None)
    ours, theirs = trio.testing.lockstep_stream_pair()  # no buffer: what is not read is not sent
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, theirs)
        async with calling(server) as other:
            await other.start(greeting="Hello.")
            await ours.send_all(UPGRADE)
            await ours.receive_some(1000)
            begin = b'{"type":"session.update","session":{"greeting":"Hello."}}'
            await ours.send_all(bytes([0x81, 0x80 | len(begin), 0, 0, 0, 0]) + begin)
            await trio.sleep(5)
            assert server.connections == 2
            await trio.sleep(15)
            assert server.connections == 1
            assert other.times("reply.audio")[-1] == pytest.approx(trio.current_time(), abs=0.11)
        nursery.cancel_scope.cancel()
    assert "it read nothing for 10 s" in caplog.text
    assert server.crashes == 0


async def test_a_burst_of_any_length_waits_for_a_client_that_reads(
    autojump_clock: trio.testing.MockClock,
) -> None:
    minutes = hum(1000) * 180
    async with calling(a_server(canned_reply=minutes, pacing=Burst(), chunk_ms=200)) as caller:
        await caller.start(greeting="Hello.")
        await caller.until("reply.done")
        assert len(caller.sound()) == len(minutes) + 9600


async def test_a_client_that_answers_no_pings_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    server = a_server()
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.serve_stream, theirs)
        await ours.send_all(UPGRADE)
        await trio.sleep(39)
        assert server.connections == 1
        await trio.sleep(2)
        assert server.connections == 0
    assert server.crashes == 0


async def test_dropped_connections_end_over_tcp_by_a_reset() -> None:
    async with voice_agent_server(ServerOptions(speech=ToneSpeech, start_ms=0)) as server:
        headers = [(b"authorization", b"Bearer k")]
        async with open_websocket_url(server.url, extra_headers=headers) as ws:
            await ws.send_message(json.dumps({"type": "session.update", "session": {}}))
            while json.loads(await ws.get_message())["type"] != "session.ready":
                pass
            await server.drop_connections()
            with trio.fail_after(60), pytest.raises(ConnectionClosed) as closed:
                await ws.get_message()
            assert closed.value.reason is not None
            assert closed.value.reason.code == 1006
        assert server.sessions == 1
    assert server.crashes == 0
