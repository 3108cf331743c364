"""The wire's text and back: what we send is what the protocol documents, what we hear may be anything."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.wire.codec import BadMessage, EventReader, read_message, write_event, write_message
from channels.wire.events import (
    EVENTS,
    AgentTranscript,
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyFailed,
    ReplyStarted,
    ServerEvent,
    SessionEnded,
    SessionFailed,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    Unrecognised,
    UserTranscript,
    UserTranscriptDelta,
)
from channels.wire.messages import (
    MESSAGES,
    ClientMessage,
    ConversationMessage,
    InputAudio,
    ReplyCancel,
    ReplyCreate,
    SessionEnd,
    SessionResume,
    SessionUpdate,
    ToolResult,
)

MOST_NAMES = 64

texts = st.text(max_size=30)
numbers = st.floats(-1e9, 1e9)
whole = st.integers(-(2**52), 2**52)
plain = st.none() | st.booleans() | whole | numbers | texts
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)
objects: st.SearchStrategy[Mapping[str, Any]] = st.dictionaries(texts, values, max_size=4)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


events: st.SearchStrategy[ServerEvent] = st.one_of(
    st.builds(SessionReady, texts, objects, whole, texts),
    st.builds(SessionUpdated, objects),
    st.builds(SessionEnded, numbers, maybe(numbers)),
    st.builds(SessionFailed, texts, texts, maybe(texts), maybe(texts)),
    st.builds(SpeechStarted),
    st.builds(SpeechStopped),
    st.builds(UserTranscriptDelta, texts, texts),
    st.builds(UserTranscript, texts, texts),
    st.builds(ReplyStarted, texts, texts),
    st.builds(ReplyAudio, st.binary(max_size=100), maybe(texts)),
    st.builds(AgentTranscriptDelta, texts, texts, texts, maybe(whole), maybe(whole)),
    st.builds(AgentTranscript, texts, texts, texts, st.booleans()),
    st.builds(ReplyDone, texts, texts),
    st.builds(ReplyFailed, texts, texts, texts, st.booleans(), maybe(whole), maybe(texts), maybe(texts)),
    st.builds(ToolCall, texts, texts, objects),
)
messages: st.SearchStrategy[ClientMessage] = st.one_of(
    st.builds(SessionUpdate, objects),
    st.builds(SessionResume, texts),
    st.builds(SessionEnd),
    st.builds(InputAudio, st.binary(max_size=100)),
    st.builds(ToolResult, texts, texts, st.booleans()),
    st.builds(ReplyCreate, maybe(texts)),
    st.builds(ConversationMessage, texts, texts),
    st.builds(ReplyCancel, texts),
)


def heard(content: Mapping[str, Any] | str | bytes) -> ServerEvent:
    """What a fresh reader makes of a frame."""
    return EventReader().read(json.dumps(content) if isinstance(content, Mapping) else content)


def passed_by(*contents: Mapping[str, Any] | str) -> dict[str, int]:
    """What a reader counted."""
    reader = EventReader()
    for content in contents:
        reader.read(json.dumps(content) if isinstance(content, Mapping) else content)
    return dict(reader.passed_by)


# There and back.


@given(events, numbers)
def test_every_event_comes_through_as_it_was_sent(event: ServerEvent, timestamp: float) -> None:
    reader = EventReader()
    assert reader.read(write_event(event, timestamp=timestamp)) == event
    assert not reader.passed_by


@given(messages)
def test_every_message_comes_through_as_it_was_sent(message: ClientMessage) -> None:
    assert read_message(write_message(message)) == message


@given(events)
def test_an_event_in_bytes_is_the_same_event(event: ServerEvent) -> None:
    assert EventReader().read(write_event(event, timestamp=0.0).encode()) == event


def test_the_properties_above_know_every_event_and_every_message() -> None:
    assert set(EVENTS.values()) == {
        SessionReady, SessionUpdated, SessionEnded, SessionFailed, SpeechStarted, SpeechStopped,
        UserTranscriptDelta, UserTranscript, ReplyStarted, ReplyAudio, AgentTranscriptDelta,
        AgentTranscript, ReplyDone, ReplyFailed, ToolCall,
    }  # fmt: skip
    assert set(MESSAGES.values()) == {
        SessionUpdate, SessionResume, SessionEnd, InputAudio, ToolResult, ReplyCreate,
        ConversationMessage, ReplyCancel,
    }  # fmt: skip


# What is sent, to the letter of the protocol.


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (SessionUpdate({"greeting": "Hi"}), {"type": "session.update", "session": {"greeting": "Hi"}}),
        (SessionResume("sess_1"), {"type": "session.resume", "session_id": "sess_1"}),
        (SessionEnd(), {"type": "session.end"}),
        (InputAudio(b"\x00\x00\x00"), {"type": "input.audio", "audio": "AAAA"}),
        (
            ToolResult("call_1", '{"a":1}'),
            {"type": "tool.result", "call_id": "call_1", "result": '{"a":1}', "is_error": False},
        ),
        (ReplyCreate(), {"type": "reply.create"}),
        (ReplyCreate("Say hello."), {"type": "reply.create", "instructions": "Say hello."}),
        (
            ConversationMessage("user", "hello"),
            {"type": "conversation.message", "role": "user", "content": "hello"},
        ),
        (ReplyCancel("resp_1"), {"type": "reply.cancel", "reply_id": "resp_1"}),
    ],
)
def test_a_message_has_the_fields_of_the_protocol_and_no_others(
    message: ClientMessage, wire: Mapping[str, Any]
) -> None:
    assert json.loads(write_message(message)) == wire


def test_sound_is_audio_on_the_way_in_and_data_on_the_way_out() -> None:
    out = json.loads(write_event(ReplyAudio(b"\x01\x02", "resp_1"), timestamp=1.5))
    assert out == {"type": "reply.audio", "data": "AQI=", "reply_id": "resp_1", "timestamp": 1.5}


@given(messages)
def test_a_message_is_one_line(message: ClientMessage) -> None:
    assert "\n" not in write_message(message)


def test_half_a_surrogate_pair_ends_nobodys_call() -> None:
    sent = write_message(ReplyCreate("a\ud800b\U0001f600"))
    sent.encode()
    assert read_message(sent) == ReplyCreate("a?b\U0001f600")
    in_two_pieces = ReplyCreate("\ud83d" + "\ude00")
    assert read_message(write_message(in_two_pieces)) == ReplyCreate("\U0001f600")
    said = write_event(UserTranscript("a\udfffb"), timestamp=0.0)
    said.encode()
    assert heard(said) == UserTranscript("a?b")


# What is heard, leniently.

RECORDED: list[tuple[dict[str, Any], ServerEvent]] = [
    ({"type": "input.speech.started", "timestamp": 1790000004.1}, SpeechStarted()),
    ({"type": "input.speech.started", "timestamp": "2026-09-24T10:00:00Z"}, SpeechStarted()),
    ({"type": "input.speech.started", "timestamp": None}, SpeechStarted()),
    ({"type": "input.speech.stopped"}, SpeechStopped()),
    ({"type": "reply.audio", "data": "AAAA"}, ReplyAudio(b"\0\0\0", None)),
    ({"type": "reply.audio", "data": "", "reply_id": "resp_1"}, ReplyAudio(b"", "resp_1")),
    ({"type": "reply.done", "reply_id": "resp_1"}, ReplyDone("resp_1", "completed")),
    ({"type": "reply.done", "reply_id": "resp_1", "status": "cancelled"}, ReplyDone("resp_1", "cancelled")),
    ({"type": "reply.started", "reply_id": "fc-call_1"}, ReplyStarted("fc-call_1")),
    (
        {"type": "session.ended", "session_duration_seconds": 11, "audio_duration_seconds": None},
        SessionEnded(11.0),
    ),
    (
        {"type": "session.error", "code": "unauthorized", "message": "No", "session_id": None, "param": None},
        SessionFailed("unauthorized", "No"),
    ),
    (
        {"type": "session.error", "code": "invalid_format", "message": "No"},
        SessionFailed("invalid_format", "No"),
    ),
    ({"type": "error", "message": "No"}, SessionFailed("", "No")),
    ({"type": "session.ready", "session_id": "sess_1"}, SessionReady("sess_1")),
    (
        {"type": "transcript.agent.delta", "delta": "Hi", "start_ms": None, "end_ms": 12.0},
        AgentTranscriptDelta("Hi", end_ms=12),
    ),
    (
        {"type": "tool.call", "call_id": "c", "name": "n", "arguments": {"a": [1]}},
        ToolCall("c", "n", {"a": [1]}),
    ),
]


@pytest.mark.parametrize(("wire", "event"), RECORDED)
def test_what_was_recorded_and_what_is_documented_is_understood(
    wire: dict[str, Any], event: ServerEvent
) -> None:
    assert heard(wire) == event
    assert not passed_by(wire)


@given(events, st.dictionaries(texts, values, max_size=5))
def test_unknown_fields_change_nothing_and_are_counted(event: ServerEvent, more: dict[str, Any]) -> None:
    content = json.loads(write_event(event, timestamp=0.0))
    unknown = more.keys() - content.keys()
    reader = EventReader()
    assert reader.read(json.dumps({**more, **content})) == event
    assert reader.passed_by.total() == len(unknown)


def test_unknown_events_pass_by_by_name_and_are_counted() -> None:
    assert heard({"type": "reply.mood", "mood": "calm"}) == Unrecognised("reply.mood", "unknown event")
    counted = passed_by({"type": "reply.mood"}, {"type": "reply.mood"}, {"type": "other"})
    assert counted == {"event reply.mood": 2, "event other": 1}


def test_a_field_that_may_be_missing_may_be_of_a_wrong_type_too_and_is_counted() -> None:
    wire = {"type": "transcript.agent", "text": "Hi", "reply_id": 5, "item_id": [], "interrupted": "no"}
    assert heard(wire) == AgentTranscript("Hi")
    assert passed_by(wire) == {
        "malformed transcript.agent.reply_id": 1,
        "malformed transcript.agent.item_id": 1,
        "malformed transcript.agent.interrupted": 1,
    }


@pytest.mark.parametrize(
    "wire",
    [
        {"type": "reply.audio"},
        {"type": "reply.audio", "audio": "AAAA"},
        {"type": "reply.audio", "data": "%%%"},
        {"type": "reply.audio", "data": "AAA"},
        {"type": "reply.audio", "data": "äöü="},
        {"type": "reply.audio", "data": None},
        {"type": "session.ready"},
        {"type": "session.ready", "session_id": 5},
        {"type": "transcript.user.delta", "delta": "Hi"},
        {"type": "reply.done"},
        {"type": "tool.call", "call_id": "c"},
    ],
)
def test_an_event_without_what_it_is_about_passes_by_whole(wire: dict[str, Any]) -> None:
    event = heard(wire)
    assert isinstance(event, Unrecognised)
    assert event.type == wire["type"]
    assert passed_by(wire) == {f"malformed {wire['type']}": 1}


@pytest.mark.parametrize(
    "number",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "9" * 400,
        "-" + "9" * 400,
        "9" * 5000,
        str(2**53),
        "true",
        '"5"',
        "{}",
    ],
)
def test_a_number_that_is_none_is_left_out(number: str) -> None:
    frame = f'{{"type":"session.ready","session_id":"s","expires_at":{number}}}'
    event = heard(frame)
    # Python reads no integer of 5000 digits at all: then the frame passes by.
    assert event == SessionReady("s") or (len(number) == 5000 and isinstance(event, Unrecognised))


@pytest.mark.parametrize(
    "frame",
    [
        "",
        " ",
        "null",
        "5",
        '"text"',
        "[]",
        '[{"type":"input.speech.started"}]',
        "{}",
        '{"type":null}',
        '{"type":["input.speech.started"]}',
        "{",
        '{"type":"input.speech.started"',
        '{"type":"input.speech.started"}{}',
        "\ufeff{}",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"type":"session.updated","config":' + '{"a":' * 900 + "1" + "}" * 901,
        b"",
        b"\xff\xfe\x00\x00",
        b"\x00" * 100,
        b"\xed\xa0\x80",
    ],
    ids=lambda frame: repr(frame[:30]),
)
def test_what_is_no_event_at_all_is_no_crash(frame: str | bytes) -> None:
    event = heard(frame)
    assert isinstance(event, Unrecognised | SessionUpdated)
    assert len(repr(event)) < 50_000


json_like = st.recursive(
    plain | st.sampled_from([float("nan"), float("inf"), 10**400, -(10**30)]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
field_names = st.sampled_from(
    sorted({field.name for kind in (*EVENTS.values(), *MESSAGES.values()) for field in attrs.fields(kind)})
)
types = st.sampled_from([*EVENTS, *MESSAGES, "error", "x" * 5000, ""]) | texts
nearly = st.builds(
    lambda kind, fields, more: {**more, **fields, "type": kind},
    types | json_like,
    st.dictionaries(field_names, json_like | st.text("AB=+/", max_size=8), max_size=6),
    st.dictionaries(texts, json_like, max_size=3),
)


@given(nearly | json_like)
def test_whatever_json_a_server_sends_reading_it_never_raises(content: Any) -> None:
    reader = EventReader()
    event = reader.read(json.dumps(content))
    assert isinstance(event, (*EVENTS.values(), Unrecognised))


@given(st.text() | st.binary())
@example('{"type":"\\ud800"}')
def test_whatever_text_or_bytes_a_server_sends_reading_it_never_raises(frame: str | bytes) -> None:
    assert isinstance(EventReader().read(frame), (*EVENTS.values(), Unrecognised))


@given(events, st.data())
def test_a_frame_that_was_cut_or_garbled_on_its_way_never_raises(
    event: ServerEvent, data: st.DataObject
) -> None:
    frame = write_event(event, timestamp=0.0)
    at = data.draw(st.integers(0, len(frame)))
    garbled = frame[:at] + data.draw(st.text(max_size=3)) + frame[at + data.draw(st.integers(0, 3)) :]
    EventReader().read(garbled)


@given(st.lists(nearly, max_size=60))
def test_the_counters_stay_few_and_short_and_lose_nothing(contents: list[dict[str, Any]]) -> None:
    reader = EventReader()
    unrecognised = 0
    for content in contents:
        unrecognised += isinstance(reader.read(json.dumps(content)), Unrecognised)
    assert len(reader.passed_by) <= MOST_NAMES + 1
    assert all(len(name) <= 120 for name in reader.passed_by)
    assert reader.passed_by.total() >= unrecognised


def test_a_server_that_invents_names_without_end_takes_no_more_memory_for_it() -> None:
    reader = EventReader()
    for number in range(10_000):
        reader.read(json.dumps({"type": f"invented.{number}" + "x" * 1000}))
    assert len(reader.passed_by) == MOST_NAMES + 1
    assert reader.passed_by.total() == 10_000


def test_a_name_without_end_is_not_carried_on() -> None:
    event = heard({"type": "x" * 1_000_000})
    assert len(repr(event)) < 1000


# What a server hears, strictly.


@pytest.mark.parametrize(
    ("frame", "code", "said"),
    [
        ("{", "invalid_format", "Invalid JSON format."),
        ("", "invalid_format", "Invalid JSON format."),
        ("[]", "invalid_format", "Invalid JSON format."),
        ('{"type":"bogus"}', "invalid_format", "Unknown message type: bogus"),
        ('{"type":"input.audio"}', "invalid_format", "Invalid message format for type 'input.audio'"),
        (
            '{"type":"input.audio","audio":5}',
            "invalid_format",
            "Invalid message format for type 'input.audio'",
        ),
        ('{"type":"input.audio","audio":"%%%"}', "invalid_audio", "Invalid audio data"),
        ('{"type":"input.audio","audio":"AAA"}', "invalid_audio", "Invalid audio data"),
        ('{"type":"session.resume"}', "invalid_format", "Invalid message format for type 'session.resume'"),
        (
            '{"type":"session.update","session":[]}',
            "invalid_format",
            "Invalid message format for type 'session.update'",
        ),
        (
            '{"type":"tool.result","call_id":"c","result":{"a":1}}',
            "invalid_format",
            "Invalid message format for type 'tool.result'",
        ),
        (
            '{"type":"tool.result","call_id":"c","result":"","is_error":"yes"}',
            "invalid_format",
            "Invalid message format for type 'tool.result'",
        ),
    ],
)
def test_a_bad_message_is_answered_in_the_words_of_the_live_service(frame: str, code: str, said: str) -> None:
    with pytest.raises(BadMessage) as raised:
        read_message(frame)
    assert (raised.value.code, raised.value.message) == (code, said)


@given(st.text() | st.binary() | (nearly | json_like).map(json.dumps))
@example("[" * 100_000)
@example(b"\xff\xfe")
@example('{"type":"session.update","session":{"a":NaN}}')
@example("9" * 5000)
def test_whatever_a_client_sends_it_is_a_message_or_a_bad_message(frame: str | bytes) -> None:
    bad: BadMessage | None = None
    try:
        assert type(read_message(frame)) in MESSAGES.values()
    except BadMessage as error:
        bad = error
    if bad is not None:
        assert bad.code in ("invalid_format", "invalid_audio")
        assert len(bad.message) < 300


@given(st.binary(max_size=3000))
def test_sound_comes_through_whatever_it_is(pcm: bytes) -> None:
    assert heard({"type": "reply.audio", "data": base64.b64encode(pcm).decode()}) == ReplyAudio(pcm, None)
    assert read_message(write_message(InputAudio(pcm))) == InputAudio(pcm)


def test_neither_sound_nor_the_resume_token_is_in_the_repr_of_an_event() -> None:
    assert repr(ReplyAudio(b"abc" * 1000, "resp_1")) == "ReplyAudio(data=<3000 bytes>, reply_id='resp_1')"
    assert repr(InputAudio(b"abc" * 1000)) == "InputAudio(audio=<3000 bytes>)"
    assert "rt-1" not in repr(SessionReady("sess_1", resume_token="rt-1"))


# What gets in can be written again by anybody: as JSON, and as text.

tainted = st.recursive(
    plain
    | st.sampled_from([float("nan"), float("inf"), float("-inf")])
    | st.text(st.characters(codec=None, categories=["Cs", "Lu", "Ll", "So"]), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(
    st.builds(lambda a: {"type": "tool.call", "call_id": "c", "name": "f", "arguments": {"a": a}}, tainted)
    | st.builds(lambda a: {"type": "session.ready", "session_id": "s", "config": {"a": a}}, tainted)
    | st.builds(lambda a: {"type": "transcript.user", "text": a}, tainted)
)
@example({"type": "transcript.user", "text": "a\ud800b\U0001f600"})
def test_what_a_server_says_gets_in_only_as_what_can_be_written_again(content: dict[str, Any]) -> None:
    event = heard(json.dumps(content))
    wire = "" if isinstance(event, Unrecognised) else write_event(event, timestamp=0.0)
    json.dumps(json.loads(wire or "{}"), ensure_ascii=False, allow_nan=False).encode()


@given(st.builds(lambda a: {"type": "session.update", "session": {"a": a}}, tainted))
@example({"type": "session.update", "session": {"a": [{"b": float("nan")}]}})
def test_what_a_client_says_gets_in_only_as_what_can_be_written_again(content: dict[str, Any]) -> None:
    frame = json.dumps(content)
    try:
        json.dumps(content, allow_nan=False)
    except ValueError:
        with pytest.raises(BadMessage, match="Invalid JSON format"):
            read_message(frame)
    else:
        wire = write_message(read_message(frame))
        json.dumps(json.loads(wire), ensure_ascii=False, allow_nan=False).encode()


def test_the_last_of_two_equal_keys_counts() -> None:
    assert heard('{"type":"reply.started","type":"reply.done","reply_id":"a","reply_id":"b"}') == ReplyDone(
        "b"
    )
