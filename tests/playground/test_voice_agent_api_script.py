"""Scripted mode: a server that says what it is told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from trio_websocket import wrap_client_stream

from channels.errors import PlaygroundFault
from channels.wire.events import ReplyAudio, ReplyDone, SessionReady
from channels.wire.messages import SessionUpdate
from playground.glide import glide
from playground.voice_agent_api import (
    Close,
    Drop,
    Expect,
    Note,
    PersonSpeaks,
    Script,
    Send,
    SendRaw,
    ServerOptions,
    Stall,
    VoiceAgentServer,
    Wait,
    read_script,
)
from tests.playground.caller import calling

PLAIN_TURN = """
# A plain turn, in the way of the protocol reference.
{"t": 0.00, "d": ">", "m": {"type": "session.update"}}
{"t": 0.48, "d": "<", "m": {"type": "session.updated", "config": {}, "timestamp": 1790000000.48}}
{"t": 0.50, "d": "<", "m": {"type": "session.ready", "session_id": "sess_1", "timestamp": 1790000000.5}}
{"t": 0.60, "d": "<", "m": {"type": "reply.started", "reply_id": "resp_1", "item_id": "msg_1"}}
{"t": 0.61, "d": "<", "m": {"type": "reply.audio", "reply_id": "resp_1", "data": "AAAA"}}
{"t": 12.0, "d": ">", "m": {"type": "session.end"}}
{"t": 12.1, "d": "<", "m": {"type": "session.ended", "session_duration_seconds": 11.6}}
{"t": 12.1, "d": "<", "close": 1000}
{"t": 40.0, "d": ">", "upgrade": {"path": "/v1/ws"}}
{"t": 40.1, "d": ">", "m": {"type": "session.resume", "session_id": "sess_1"}}
{"t": 40.2, "d": "<", "close": 1008, "reason": "too late"}
"""


def playing(*steps: Any, **options: Any) -> VoiceAgentServer:
    return VoiceAgentServer(ServerOptions(script=Script(steps), **options))


async def test_a_file_is_played_with_its_delays_and_its_timestamps(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    path = tmp_path / "turn.jsonl"
    path.write_text(PLAIN_TURN)
    server = VoiceAgentServer(ServerOptions(script=read_script(path)))
    async with calling(server) as caller:
        await trio.sleep(1)
        await caller.send("session.update", session={})
        await caller.until("reply.audio")
        assert [arrived.at_s for arrived in caller.arrived] == pytest.approx([1.48, 1.5, 1.6, 1.61])
        assert caller.arrived[0].event["timestamp"] == 1790000000.48
        assert "timestamp" in caller.arrived[2].event
        await caller.send("input.audio", audio="AAA=")
        await caller.send("session.end")
        assert await caller.until_closed() == 1000
    async with calling(server) as caller:
        await caller.send("session.resume", session_id="sess_1")
        assert await caller.until_closed() == 1008
    assert server.script is not None
    assert (server.script.played, server.script.missed) == (2, [])


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"d": "<"}', '{"d": ">", "close": 1000}', '{"t": "x", "d": "<", "close": 1}']
)
def test_a_line_that_is_no_step_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"d": "<", "close": 1000}\n' + line + "\n")
    with pytest.raises(PlaygroundFault, match="line 2 of the script"):
        read_script(path)
    with pytest.raises(PlaygroundFault, match="cannot be read"):
        read_script(tmp_path / "missing.jsonl")


async def test_events_may_be_objects_mappings_or_no_json_at_all(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = [Send(SessionReady("sess_1")), Send({"type": "no.such.event"}), SendRaw("no JSON")]
    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(playing(*steps).serve_stream, theirs)
        headers = [(b"authorization", b"any key")]
        ws = await wrap_client_stream(nursery, ours, "localhost", "/v1/ws", extra_headers=headers)  # type: ignore[arg-type]
        assert json.loads(await ws.get_message())["session_id"] == "sess_1"
        assert json.loads(await ws.get_message())["type"] == "no.such.event"
        assert await ws.get_message() == "no JSON"
        nursery.cancel_scope.cancel()


async def test_a_drop_comes_after_what_was_sent_before_it_and_without_a_close(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = playing(Send(SessionReady("sess_1")), *[Send(ReplyAudio(bytes(480)))] * 200, Drop())
    async with calling(server) as caller:
        assert await caller.until_closed() == 1006
        assert len(caller.of("reply.audio")) == 200


async def test_a_message_that_is_expected_may_have_to_have_certain_fields(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = playing(Expect("tool.result", {"call_id": "2"}), Close(1000))
    async with calling(server) as caller:
        await caller.send("tool.result", call_id="1", result="")
        await trio.sleep(5)
        assert caller.close_code is None
        await caller.send("tool.result", call_id="2", result="")
        assert await caller.until_closed() == 1000


async def test_what_was_expected_and_did_not_come_is_noted(autojump_clock: trio.testing.MockClock) -> None:
    expected = Expect("session.end", within_s=3)
    server = playing(expected, Close(1000))
    async with calling(server) as caller:
        assert await caller.until_closed() == 1011
    assert trio.current_time() == pytest.approx(3)
    assert server.script is not None
    assert server.script.missed == [(1, expected)]


async def test_a_client_that_goes_while_something_is_expected_is_noted_too(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = playing(Expect("session.end"))
    async with calling(server) as caller:
        await caller.ws.aclose()
        await trio.sleep(1)
        assert server.script is not None
        assert len(server.script.missed) == 1


async def test_after_the_script_the_connection_stays_and_an_end_is_answered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with calling(playing(Send(SessionReady("sess_1")))) as caller:
        await trio.sleep(100)
        await caller.send("session.end")
        await caller.until("session.ended")
        assert await caller.until_closed() == 1000


async def test_each_connection_has_its_own_part_and_one_too_many_is_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = VoiceAgentServer(ServerOptions(script=Script([[Close(4001)], [Close(4002)]])))
    codes = []
    for _ in range(3):
        async with calling(server) as caller:
            codes.append(await caller.until_closed())
    assert codes == [4001, 4002, 1011]


async def test_while_it_stalls_the_server_reads_nothing(autojump_clock: trio.testing.MockClock) -> None:
    server = playing(Stall(5), Wait(0), Expect("session.end"), Close(1000), ping_s=None)
    async with calling(server) as caller:
        for _ in range(3):
            await caller.send("reply.create")
        await caller.send("session.end")
        await trio.sleep(4.9)
        assert server.received.total == 0
        assert await caller.until_closed() == 1000
        assert server.received.total == 4


async def test_a_wrong_key_is_refused_in_scripts_too(autojump_clock: trio.testing.MockClock) -> None:
    async with calling(playing(Close(1000)), key=None) as caller:
        assert await caller.until_closed() == 1008


async def test_what_crossed_the_socket_is_kept_with_its_times(autojump_clock: trio.testing.MockClock) -> None:
    server = playing(Expect("session.update"), Wait(2), Send(SessionReady("sess_1")), record=3)
    async with calling(server) as caller, trio.open_nursery() as nursery:
        nursery.start_soon(server.received.until, "session.update")
        await trio.sleep(1)
        await caller.send("session.update", session={"greeting": "Hi"})
        ready = await server.sent.until(SessionReady)
        assert ready.at_s == pytest.approx(3)
        assert server.received.of("session.update")[0].what == SessionUpdate({"greeting": "Hi"})
        for _ in range(10):
            await caller.send("reply.create")
        await trio.sleep(1)
        assert (len(server.received), server.received.total, server.received.forgotten) == (3, 11, 8)


async def test_a_client_is_heard_and_its_pings_are_answered_while_the_script_waits(
    autojump_clock: trio.testing.MockClock,
) -> None:
    steps = [Wait(30), Expect("tool.result"), Send(ReplyDone("r"))]
    async with calling(playing(*steps, ping_s=None)) as caller:
        await caller.send("tool.result", call_id="c", result="")
        for _ in range(1100):
            await caller.send("input.audio", audio="AAAA")
        with trio.fail_after(1):
            await caller.ws.ping()
        await caller.until("reply.done")


async def test_sound_is_streamed_beside_what_follows_until_the_connection_closes(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    path = tmp_path / "sound.jsonl"
    path.write_text(
        """
{"t": 0.0, "d": "<", "m": {"type": "reply.started", "reply_id": "r"}}
{"t": 0.5, "d": "<", "sound": {"reply_id": "r", "pitch": 2, "ms": 1000, "burst_ms": 200, "chunk_ms": 20}}
{"t": 0.8, "d": "<", "m": {"type": "input.speech.started"}}
{"t": 1.0, "d": "<", "close": 1000}
"""
    )
    async with calling(VoiceAgentServer(ServerOptions(script=read_script(path)))) as caller:
        assert await caller.until_closed() == 1000
    times = caller.times("reply.audio")
    assert times[:11] == pytest.approx([0.5] * 11), "200 ms at once, and the next chunk"
    assert times[11:] == pytest.approx([0.52 + 0.02 * n for n in range(25)])
    assert caller.times("input.speech.started") == pytest.approx([0.8])
    assert caller.sound("r") == glide(2, 0, 720)


async def test_a_client_that_need_not_say_it_is_waited_for_and_no_longer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    server = playing(Expect("tool.result", within_s=3, must=False), Close(1000))
    async with calling(server) as caller:
        assert await caller.until_closed() == 1000
    assert trio.current_time() == pytest.approx(3)
    assert server.script is not None
    assert [step.type for _, step in server.script.missed] == ["tool.result"]


async def test_whoever_watches_is_told_when_the_person_speaks(
    autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    path = tmp_path / "person.jsonl"
    path.write_text(
        '{"t": 0, "d": "note", "text": "quiet"}\n{"t": 2, "d": "person", "speaks_ms": 700}\n'
        '{"t": 3, "d": "<", "close": 1000}'
    )
    server = VoiceAgentServer(ServerOptions(script=read_script(path)))
    taken: list[tuple[float, object]] = []
    assert server.script is not None
    server.script.watch(lambda step: taken.append((trio.current_time(), step)))
    async with calling(server) as caller:
        assert await caller.until_closed() == 1000
    assert taken == [(0, Note("quiet")), (2, PersonSpeaks(700)), (3, Close(1000))]
    assert caller.arrived == []


@pytest.mark.parametrize(
    "sound",
    ['{"reply_id": "r"}', '{"reply_id": "r", "ms": 1e9}', '{"reply_id": "r", "ms": 9, "chunk_ms": 0}'],
)
def test_a_sound_that_is_none_is_named(tmp_path: Path, sound: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"t": 0, "d": "<", "sound": ' + sound + "}")
    with pytest.raises(PlaygroundFault, match="line 1 of the script"):
        read_script(path)
