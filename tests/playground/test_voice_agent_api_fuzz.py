"""Frames that no client should send, over a real websocket: each has its answer and harms nobody."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio_websocket import ConnectionClosed, WebSocketConnection, open_websocket_url

from channels.child import tied
from playground.voice_agent.connection import MAX_FRAME_BYTES
from playground.voice_agent_api import ServerOptions, ToneSpeech, VoiceAgentServer, voice_agent_server
from tests.wire_schema import CLIENT_TYPES, payload

ROOT = Path(__file__).resolve().parents[2]
FORM, SOUND = "invalid_format", "invalid_audio"


@attrs.frozen
class Hostile:
    """A frame and what the server says to it."""

    frame: str | bytes
    answer: str
    """The code of its `session.error`."""

    def __repr__(self) -> str:
        return f"{self.frame[:200]!r} ({len(self.frame)}) → {self.answer}"


Frames: TypeAlias = st.SearchStrategy[Hostile]

texts = st.text(max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


def _is_message_like(text: str) -> bool:
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and isinstance(content.get("type"), str)


RIGHT: Mapping[str, Any] = {"string": "AAAA", "object": {}, "boolean": True}


def _of_another_type(kind: str) -> st.SearchStrategy[Any]:
    right: type = type(RIGHT[kind])
    return json_values.filter(lambda value: not isinstance(value, right))


def _with(kind: str, fields: Mapping[str, Any], name: str, value: object) -> str:
    return json.dumps({"type": kind, **fields, name: value})


def _wrong_fields() -> Frames:
    """Each field of each message with a value of a wrong type or left out, the others as they should be."""
    frames: list[st.SearchStrategy[str]] = []
    for kind in sorted(CLIENT_TYPES):
        described = {name: schema for name, schema in payload(kind)["properties"].items() if name != "type"}
        kinds = {name: "object" if name == "session" else "string" for name in described}
        kinds |= {"is_error": "boolean"} if "is_error" in described else {}
        fields = {name: RIGHT[kinds[name]] for name in described}
        for name in described:
            wrong = _of_another_type(kinds[name])
            if name in payload(kind)["required"]:
                others = {other: value for other, value in fields.items() if other != name}
                frames.append(st.just(json.dumps({"type": kind, **others})))
            else:
                wrong = wrong.filter(lambda value: value is not None)  # as good as left out
            frames.append(st.builds(_with, st.just(kind), st.just(fields), st.just(name), wrong))
    return st.one_of(frames).map(lambda frame: Hostile(frame, FORM))


def _sound(audio: str) -> str:
    return json.dumps({"type": "input.audio", "audio": audio})


not_json: Frames = st.text().filter(lambda t: not _is_message_like(t)).map(lambda t: Hostile(t, FORM))
cut_short: Frames = st.integers(1, 40).map(
    lambda n: Hostile('{"type":"session.update","session":{"tools":[]}}'[:n], FORM)
)
deep: Frames = st.builds(
    lambda opening, levels: Hostile('{"type":"session.update","session":' + opening * levels, FORM),
    st.sampled_from(["[", '{"a":']),
    st.integers(1, 20_000),
)
deep_and_whole: Frames = st.integers(20_000, 200_000).map(lambda n: Hostile("[" * n + "]" * n, FORM))
not_numbers: Frames = st.builds(
    lambda number, frame: Hostile(frame % number, FORM),
    st.sampled_from(["NaN", "Infinity", "-Infinity", "1e999", "-1e999"]),
    st.sampled_from([
        '{"type":"session.update","session":{"output":{"volume":%s}}}',
        '{"type":"session.update","session":{"tools":[{"type":"function","name":"f","parameters":{"x":%s}}]}}',
        '{"type":"reply.create","instructions":"x","more":%s}',
        "%s",
    ]),
)  # fmt: skip
unknown_types: Frames = st.one_of(
    texts.filter(lambda t: t not in CLIENT_TYPES).map(lambda t: json.dumps({"type": t})),
    st.sampled_from(
        ['{"type":"\\ud800"}', '{"type":"reply.create","type":"x"}', '{"type":"' + "x" * 9000 + '"}']
    ),
).map(lambda frame: Hostile(frame, FORM))
binary: Frames = (st.binary(max_size=200) | st.just(b'{"type":"reply.create"}')).map(
    lambda b: Hostile(b, FORM)
)
bad_base64: Frames = st.sampled_from(
    ["%%%", "AAA", "AA=A", "A", "AAAA====", "ÄÖ==", "\u0000", "AA AA", "AA-_"]
).map(lambda text: Hostile(_sound(text), SOUND))
odd_sound: Frames = st.integers(0, 500).map(
    lambda n: Hostile(_sound(base64.b64encode(bytes(2 * n + 1)).decode()), SOUND)
)
duplicated: Frames = st.just(Hostile('{"type":"input.audio","audio":"AAAA","audio":"AAA"}', SOUND))
hostile = st.one_of(
    not_json, cut_short, deep, deep_and_whole, not_numbers, unknown_types, binary, bad_base64, odd_sound,
    duplicated, _wrong_fields(),
)  # fmt: skip


@asynccontextmanager
async def a_server() -> AsyncIterator[VoiceAgentServer]:
    quick = ServerOptions(speech=ToneSpeech, start_ms=0, ready_gap_ms=0, leading_silence_ms=0, record=0)
    async with voice_agent_server(quick) as server:
        yield server


@asynccontextmanager
async def a_session(server: VoiceAgentServer) -> AsyncIterator[WebSocketConnection]:
    """A session that is ready."""
    headers = [(b"authorization", b"Bearer k")]
    async with open_websocket_url(server.url, extra_headers=headers) as ws:
        await ws.send_message('{"type":"session.update","session":{"system_prompt":"p"}}')
        while json.loads(await ws.get_message())["type"] != "session.ready":
            pass
        yield ws


async def answers(ws: WebSocketConnection) -> list[dict[str, Any]]:
    """All that comes up to the answer to an update that is made now."""
    await ws.send_message('{"type":"session.update","session":{"system_prompt":"q"}}')
    found: list[dict[str, Any]] = []
    while not found or found[-1]["type"] != "session.updated":
        found.append(json.loads(await ws.get_message()))
    return found


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.lists(hostile, min_size=1, max_size=12))
def test_each_hostile_frame_is_answered_and_the_session_and_the_server_go_on(
    frames: list[Hostile],
) -> None:
    async def scene() -> None:
        with trio.fail_after(60):
            async with a_server() as server:
                async with a_session(server) as ws:
                    for one in frames:
                        await ws.send_message(one.frame)
                    errors = [event for event in await answers(ws) if event["type"] == "session.error"]
                    assert [error["code"] for error in errors] == [one.answer for one in frames]
                    assert all(len(error["message"]) < 300 for error in errors)
                async with a_session(server) as ws:
                    await answers(ws)
                assert server.crashes == 0

    trio.run(scene)


@given(first=hostile.filter(lambda one: one.answer == FORM))
@settings(max_examples=30, deadline=None)
def test_a_hostile_first_frame_is_answered_too_and_the_session_can_still_begin(first: Hostile) -> None:
    async def scene() -> None:
        with trio.fail_after(60):
            async with (
                a_server() as server,
                open_websocket_url(server.url, extra_headers=[(b"authorization", b"Bearer k")]) as ws,
            ):
                await ws.send_message(first.frame)
                assert json.loads(await ws.get_message())["code"] == FORM
                await ws.send_message('{"type":"session.update","session":{}}')
                assert json.loads(await ws.get_message())["type"] == "session.updated"
                assert server.crashes == 0

    trio.run(scene)


@pytest.mark.parametrize("key", ["system_prompt", "instructions", "content"])
async def test_half_a_surrogate_pair_is_replaced_before_anybody_has_to_write_it(key: str) -> None:
    with trio.fail_after(60):
        async with a_server() as server:
            async with a_session(server) as ws:
                frames = {
                    "system_prompt": r'{"type":"session.update","session":{"system_prompt":"a\ud800b😀"}}',
                    "instructions": r'{"type":"reply.create","instructions":"a\ud800b"}',
                    "content": r'{"type":"conversation.message","role":"user","content":"a\udc00b"}',
                }
                await ws.send_message(frames[key])
                seen = await answers(ws)
                assert "session.error" not in [event["type"] for event in seen]
                if key == "system_prompt":
                    assert seen[0]["config"]["system_prompt"] == "a?b😀"
            assert server.crashes == 0


@pytest.mark.parametrize("filler", ["[", "x", '{"a":', "\\u0041", "9"])
async def test_a_frame_that_is_too_big_closes_its_own_connection_only(filler: str) -> None:
    with trio.fail_after(60):
        async with a_server() as server, a_session(server) as other:
            async with a_session(server) as ws:
                await ws.send_message((filler * (MAX_FRAME_BYTES + 1))[: MAX_FRAME_BYTES + 1])
                with pytest.raises(ConnectionClosed) as closed:
                    await ws.get_message()
                assert closed.value.reason is not None
                assert closed.value.reason.code == 1009
            await answers(other)
            assert server.crashes == 0


def test_fifty_of_the_biggest_frames_take_no_lasting_memory_and_little_at_a_time() -> None:
    program = [sys.executable, "-m", "tests.playground.biggest_frames"]
    done = subprocess.run(tied(program), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["codes"] == [FORM, FORM, FORM, SOUND, SOUND] * 10
    assert told["kept"] < 4 * MAX_FRAME_BYTES
    assert told["most"] < 64 * MAX_FRAME_BYTES
    assert told["crashes"] == 0
