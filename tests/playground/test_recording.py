"""A log of a live call, whoever wrote it, becomes a script that can be played."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import PlaygroundFault
from playground.glide import glide
from playground.recording import read_log, script_of
from playground.recording.__main__ import main
from playground.voice_agent_api import (
    Drop,
    Expect,
    PersonSpeaks,
    ServerOptions,
    VoiceAgentServer,
    read_script,
)
from tests.playground.caller import calling

CALL: list[tuple[int, str, dict[str, Any]]] = [
    (1000, ">", {"type": "session.update", "session": {"system_prompt": "The boss is called Anna."}}),
    (1300, "<", {"type": "session.updated"}),
    (1310, "<", {"type": "session.ready", "resume_token": "rt-9f8e7d6c5b4a", "expires_at": 1790000000}),
    (1320, "<", {"type": "reply.started"}),
    (3320, "<", {"type": "transcript.agent", "text": "Hello there, friend."}),
    (3700, "<", {"type": "reply.done"}),
    (5000, "<", {"type": "input.speech.started"}),
    (6500, "<", {"type": "input.speech.stopped"}),
    (6501, "<", {"type": "transcript.user", "text": "Where is my order?"}),
    (6502, "<", {"type": "reply.started"}),
    (7000, "<", {"type": "tool.call", "name": "order_status", "call_id": "call_7"}),
    (7400, "<", {"type": "reply.done"}),
    (7900, ">", {"type": "tool.result", "call_id": "call_7", "result": "shipped"}),
    (8200, "<", {"type": "reply.started"}),
    (9200, "<", {"type": "transcript.agent", "text": "It is on its way.", "interrupted": True}),
    (9202, "<", {"type": "reply.done", "status": "interrupted"}),
]


def script(*lines: Any, unit: str | None = None) -> list[dict[str, Any]]:
    """The script of a log, without its heading."""
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return [json.loads(line) for line in script_of(read_log(io.BytesIO(text.encode()), unit=unit))[1:]]


def events(lines: list[dict[str, Any]], kind: str = "") -> list[dict[str, Any]]:
    return [line["m"] for line in lines if line["d"] == "<" and "m" in line and kind in line["m"]["type"]]


COMPACT = [{"ms": ms, "d": d, "m": m} for ms, d, m in CALL]


@pytest.mark.parametrize(
    "written",
    [
        [{"t": ms / 1000, "dir": d, "msg": m} for ms, d, m in CALL],
        [{"t_ms": ms, "direction": "in" if d == "<" else "out", "message": m} for ms, d, m in CALL],
        [
            {"at": ms, "direction": "recv" if d == "<" else "sent", "message": json.dumps(m)}
            for ms, d, m in CALL
        ],
        [{"wall_ms": 1790000000000 + ms, "d": "server" if d == "<" else "client", **m} for ms, d, m in CALL],
        [{"at": f"2026-09-29T12:00:0{ms // 1000}.{ms % 1000:03}Z", "event": m} for ms, _, m in CALL],
    ],
    ids=["seconds", "ms, in and out", "texts", "flattened, by the calendar", "ISO, no direction"],
)
def test_whoever_wrote_it_the_same_call_is_the_same_script(written: list[dict[str, Any]]) -> None:
    unit = "ms" if written[0].get("at") == 1000 else None
    expected, made = script(*COMPACT), script(*written, unit=unit)
    assert [{**line, "t": 0} for line in made] == [{**line, "t": 0} for line in expected]
    since = [line["t"] - made[0]["t"] for line in made]
    assert since == pytest.approx([line["t"] - expected[0]["t"] for line in expected], abs=0.002)


def test_what_a_log_leaves_out_is_filled_in() -> None:
    lines = script(*COMPACT)
    ids = [event["reply_id"] for event in events(lines, "reply.")]
    assert ids == ["resp_1", "resp_1", "resp_2", "resp_2", "resp_3", "resp_3"]
    assert events(lines, "session.ready")[0]["config"]["output"]["voice"] == "alba"
    assert events(lines, "tool.call")[0]["arguments"] == {}
    assert [event["delta"] for event in events(lines, "delta")[:3]] == ["Hello", "there,", "friend."]
    places = [(event["start_ms"], event["end_ms"]) for event in events(lines, "delta")[:3]]
    assert places[0][0] == 0
    assert all(begin < end for begin, end in places)


def test_each_reply_that_said_something_has_a_sound_of_its_own_and_a_tool_call_has_none() -> None:
    sounds = {
        line["sound"]["reply_id"]: (line["t"], line["sound"]) for line in script(*COMPACT) if "sound" in line
    }
    assert sounds.keys() == {"resp_1", "resp_3"}
    begins_s, sound = sounds["resp_1"]
    assert begins_s == pytest.approx(1.32 + 0.49)
    assert begins_s + sound["ms"] / 1000 - 0.15 == pytest.approx(3.7 - 0.07, abs=0.002)
    begins_s, cut = sounds["resp_3"]
    assert begins_s + cut["ms"] / 1000 - 0.15 == pytest.approx(9.2, abs=0.01), "until it was interrupted"
    assert sound["pitch"] != cut["pitch"]


def test_a_sum_of_sound_is_spread_over_those_who_spoke() -> None:
    whole = {
        "ms": 1800,
        "d": "summary",
        "of": "reply.audio (whole run)",
        "count": 300,
        "firstMs": 1800,
        "lastMs": 9195,
    }
    sounds = [line for line in script(*COMPACT[:4], whole, *COMPACT[4:]) if "sound" in line]
    assert [line["t"] for line in sounds] == pytest.approx([1.8, 8.2], abs=0.6)
    assert sum(line["sound"]["ms"] for line in sounds) == pytest.approx(3000, abs=20)


def test_sound_that_is_in_the_log_is_played_as_it_is() -> None:
    pcm = base64.b64encode(bytes(range(240)) * 2).decode()
    given = {"ms": 1400, "d": "<", "m": {"type": "reply.audio", "data": pcm}}
    left_out = {"ms": 1500, "d": "<", "m": {"type": "reply.audio", "data": "<480 bytes>", "bytes": 480}}
    lines = script(*COMPACT[:4], given, left_out, *COMPACT[4:6])
    assert [event["data"] for event in events(lines, "reply.audio")] == [pcm]
    assert [line["sound"]["ms"] for line in lines if "sound" in line] == [10.0]


def test_the_person_is_heard_before_the_service_says_so() -> None:
    (guessed,) = (line for line in script(*COMPACT) if line["d"] == "person")
    assert guessed["t"] == pytest.approx(5.0 - 0.888)
    assert guessed["t"] + guessed["speaks_ms"] / 1000 == pytest.approx(6.5 - 0.7)
    clip = {"ms": 4500, "d": "probe", "kind": "clip.start", "voiceOnsetMs": 100}
    (told,) = (line for line in script(*COMPACT[:6], clip, *COMPACT[6:]) if line["d"] == "person")
    assert told["t"] == 4.6


def test_the_script_waits_for_a_client_only_where_the_service_did() -> None:
    chatter = {"ms": 1400, "d": ">", "m": {"type": "input.audio", "audio": "AAAA"}}
    typed = {"ms": 1500, "d": ">", "m": {"type": "conversation.message", "role": "user", "content": "hi"}}
    waits = [line for line in script(*COMPACT[:4], chatter, typed, *COMPACT[4:]) if line["d"] == ">"]
    assert [line["m"] for line in waits] == [
        {"type": "session.update"},
        {"type": "tool.result", "call_id": "call_7"},
    ]
    assert waits[1]["must"] is False
    assert waits[1]["within"] <= 5


def test_a_dropped_socket_is_one_drop_and_the_next_connection() -> None:
    lines = script(
        *COMPACT[:6],
        {"ms": 4000, "d": "probe", "kind": "test.drop_socket"},
        {"ms": 4003, "d": "<", "close": 1006},
        {"ms": 4100, "d": "probe", "kind": "ws.open", "mode": "resume"},
        {"ms": 4101, "d": ">", "m": {"type": "session.resume", "session_id": "sess_1"}},
        {"ms": 4150, "d": "<", "m": {"type": "session.error", "code": "session_not_found"}},
        {"ms": 4200, "d": "<", "close": 1008},
        {"ms": 4300, "d": ">", "m": {"type": "session.update"}},
        {"ms": 4400, "d": "<", "m": {"type": "session.ready"}},
        {"ms": 4500, "d": ">", "m": {"type": "tool.result", "call_id": "call_7"}},
    )
    told = [line.get("close") or line.get("m", {}).get("type", "upgrade") for line in lines if line["t"] >= 4]
    assert told == [
        1006,
        "upgrade",
        "session.resume",
        "session.error",
        1008,
        "upgrade",
        "session.update",
        "session.ready",
    ], "and nobody waits for the result of a tool that the old session called for"


def test_when_a_session_ends_is_left_to_the_client_and_the_next_one_is_another_connection() -> None:
    lines = script(
        *COMPACT[:6],
        {"ms": 4000, "d": ">", "m": {"type": "session.end"}},
        {"ms": 4010, "d": "<", "m": {"type": "session.ended"}},
        {"ms": 4300, "d": ">", "m": {"type": "session.update"}},
        {"ms": 4400, "d": "<", "m": {"type": "session.ready"}},
        {"ms": 5000, "d": "<", "m": {"type": "session.ended"}},
        {"ms": 5200, "d": "<", "m": {"type": "session.ready"}},
    )
    told = [
        line.get("close") or line.get("m", {}).get("type", "upgrade") for line in lines if line["t"] >= 3.75
    ]
    assert told == [
        *("upgrade", "session.update", "session.ready", "session.ended", 1000),
        *("upgrade", "session.update", "session.ready"),
    ]


def test_keys_tokens_and_prompts_stay_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key, token = "0123456789abcdef0123456789abcdef", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
    log = tmp_path / "log.jsonl"
    ready = {
        "type": "session.ready",
        "session_id": "sess_of_theirs",
        "resume_token": token,
        "config": {"system_prompt": "The code is 4711.", "input": {"api_key": key}, "tools": [{"http": key}]},
    }
    rows = [
        {"ms": 0, "d": ">", "upgrade": {"path": f"/v1/ws?token={token}", "authorization": f"Bearer {key}"}},
        {
            "ms": 1,
            "d": ">",
            "m": {"type": "session.update", "session": {"system_prompt": "The code is 4711."}},
        },
        {"ms": 2, "d": "<", "m": ready},
        {"ms": 3, "d": "<", "m": {"type": "session.error", "message": f"Bearer {key} is not {token}"}},
        {"ms": 4, "d": "<", "m": {"type": "tool.call", "arguments": {"password": "hunter2", "a": [key]}}},
        {"ms": 5, "d": "<", "m": {"type": "some.news", "deep": {"token": token, "text": f"key={key}"}}},
    ]
    log.write_text("\n".join(json.dumps(row) for row in rows))
    assert main([str(log)]) == 0
    printed = capsys.readouterr().out
    for secret in (key, token, "hunter2", "4711", "sess_of_theirs"):
        assert secret not in printed
    assert "some.news" in printed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"ms": 1, "type": "reply.done"}\nhello', "line 2 of the log: not JSON"),
        (b"[" * 200_000, "line 1 of the log: not JSON"),
        (b'{"ms": 1, "m": ' + b'{"m":' * 100_000 + b"}" * 100_001, "line 1 of the log: not JSON"),
        (b"7", "line 1 of the log: not a JSON object"),
        (b"\xff\xfe", "line 1 of the log: not JSON"),
        (b'{"ms": 1e999, "type": "reply.done"}', "line 1 of the log: no time"),
        (b'{"ms": NaN, "type": "reply.done"}', "line 1 of the log: no time"),
        (b'{"type": "reply.done"}', "line 1 of the log: no time"),
        (b'{"ms": ' + b"9" * 5000 + b"}", "line 1 of the log: not JSON"),
        (b'{"ms": 1}', "no message of"),
        (b"", "no message of"),
        (b'{"a": "' + b"x" * (5 * 2**20) + b'"}', "line 1 of the log: longer than"),
        (b'{"ms": 1, "type": "reply.started"}\n' * 2100, "of the log: more than 2000 turns"),
    ],
)
def test_a_log_that_is_none_is_told_by_its_line(
    text: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.jsonl"
    log.write_bytes(text)
    assert main([str(log)]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err) < 300
    assert main([str(tmp_path / "none")]) == 2


def test_times_that_leap_are_clamped_and_those_that_run_backwards_too() -> None:
    lines = script(
        {"ms": 0, "type": "session.ready"},
        {"ms": 1e14, "type": "input.speech.stopped"},
        {"ms": 1e14 - 5000, "type": "input.speech.stopped"},
        {"ms": 1e14 + 1000, "type": "input.speech.stopped"},
    )
    times = [line["t"] for line in lines if line.get("m", {}).get("type") == "input.speech.stopped"]
    assert times == [600, 600, 601]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(
    """session.ready reply.started reply.audio reply.done transcript.agent tool.call transcript.agent.delta
    input.speech.started input.speech.stopped session.update x""".split()
)
FIELDS = st.sampled_from(
    """ms t at d dir m type kind of count firstMs lastMs voiceOnsetMs close data text reply_id call_id
    interrupted status config bytes start_ms upgrade""".split()
)
VALUES = JSON | WORDS | st.sampled_from(["<", ">", "probe", "reply.audio (whole run)"]) | st.integers(0, 5000)
ROWS = st.dictionaries(FIELDS, VALUES | st.dictionaries(FIELDS, VALUES, max_size=6), max_size=8)


@given(st.lists(ROWS, max_size=12))
def test_whatever_stands_in_a_log_the_script_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    text = "\n".join(json.dumps(row) for row in rows)
    try:
        made = script_of(read_log(io.BytesIO(text.encode())))
    except PlaygroundFault:
        return
    path = tmp_path_factory.mktemp("made") / "script.jsonl"
    path.write_text("\n".join(made))
    read_script(path)


async def test_the_script_plays(autojump_clock: trio.testing.MockClock, tmp_path: Path) -> None:
    path = tmp_path / "script.jsonl"
    rows = [*COMPACT, {"ms": 9500, "d": "<", "close": 1006}]
    path.write_text(
        "\n".join(script_of(read_log(io.BytesIO(b"\n".join(json.dumps(r).encode() for r in rows)))))
    )
    read = read_script(path)
    (steps,) = read.connections
    assert isinstance(steps[0], Expect)
    assert isinstance(steps[-1], Drop)
    assert sum(isinstance(step, PersonSpeaks) for step in steps) == 1
    server = VoiceAgentServer(ServerOptions(script=read))
    async with calling(server) as caller:
        await caller.send("session.update", session={})
        assert await caller.until_closed() == 1006
    assert caller.sound("resp_1").startswith(glide(0, 0, 1000))
    assert caller.sound("resp_3").startswith(glide(2, 0, 500))
    assert server.script is not None
    (missed,) = server.script.missed
    assert missed[1].type == "tool.result", "nobody ran the tool; the call went on without its result"
