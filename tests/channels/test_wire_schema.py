"""The schema as data and the codec's classes say the same, so that neither can go its own way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import attrs
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from channels.wire.codec import write_event, write_message
from channels.wire.events import EVENTS, AgentTranscriptDelta, ReplyAudio, ServerEvent, SessionEnded
from channels.wire.failures import CODES
from channels.wire.messages import MESSAGES, ClientMessage, ConversationMessage, SessionUpdate
from tests.channels.test_wire_codec import events, messages
from tests.wire_schema import CLIENT_TYPES, DOCUMENT, SERVER_TYPES, complaints, part, payload

JSON_TYPES: Mapping[Any, str] = {str: "string", bytes: "string", bool: "boolean", int: "integer"} | {
    float: "number",
    Mapping: "object",
}
INPUT_FORMAT = '{"type":"session.update","session":{"input":{"format":%s}}}'
CLASSES: Mapping[str, type[Any]] = {**MESSAGES, **EVENTS}


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def json_types(schema: Mapping[str, Any]) -> set[str]:
    """Which JSON types a value may have."""
    schema = resolved(schema)
    if "enum" in schema:
        names = {"str": "string", "NoneType": "null"}
        return {names[type(value).__name__] for value in schema["enum"]}
    kinds = schema["type"]
    return {kinds} if isinstance(kinds, str) else set(kinds)


def python_types(hint: Any) -> set[str]:
    """The JSON types of an attrs field; null apart."""
    kinds = (
        [kind for kind in get_args(hint) if kind is not type(None)] if type(None) in get_args(hint) else []
    )
    return {JSON_TYPES[getattr(kind, "__origin__", kind)] for kind in kinds or [hint]}


def test_the_document_is_well_formed() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for message in DOCUMENT["components"]["messages"].values():
        Draft202012Validator.check_schema(message["payload"])
    assert set(DOCUMENT["components"]["messages"]) == CLIENT_TYPES | SERVER_TYPES
    assert set(DOCUMENT["channels"]["session"]["messages"]) == CLIENT_TYPES | SERVER_TYPES


def test_the_codec_knows_the_messages_of_the_document_and_no_others() -> None:
    assert set(MESSAGES) == CLIENT_TYPES
    assert set(EVENTS) == SERVER_TYPES


@pytest.mark.parametrize("kind", sorted(CLIENT_TYPES | SERVER_TYPES))
def test_a_class_has_the_fields_of_the_document_with_their_types(kind: str) -> None:
    described = {k: v for k, v in payload(kind)["properties"].items() if k not in ("type", "timestamp")}
    hints = get_type_hints(CLASSES[kind])
    fields = {field.name: field for field in attrs.fields(CLASSES[kind])}
    assert fields.keys() == described.keys()
    for name, schema in described.items():
        assert json_types(schema) - {"null"} == python_types(hints[name]), name
        assert ("null" in json_types(schema)) == fields[name].metadata.get("null", False), name


@pytest.mark.parametrize("kind", sorted(CLIENT_TYPES | SERVER_TYPES))
def test_what_the_document_requires_is_always_written_and_what_the_codec_requires_is_documented(
    kind: str,
) -> None:
    required = set(payload(kind)["required"]) - {"type"}
    fields = attrs.fields(CLASSES[kind])
    hints = get_type_hints(CLASSES[kind])
    may_be_left_out = {
        field.name
        for field in fields
        if type(None) in get_args(hints[field.name]) and not field.metadata.get("null", False)
    }
    assert not required & may_be_left_out
    without_default = {field.name for field in fields if field.default is attrs.NOTHING}
    if kind in CLIENT_TYPES:
        assert without_default == required  # a server is strict
    else:
        assert without_default <= required  # a client is lenient


# What may be in an object, and a role of messages, is the sender's care: the codec carries any.
def carries_only_what_is_typed(thing: ServerEvent | ClientMessage) -> bool:
    free = isinstance(thing, SessionUpdate) and bool(thing.session)
    return not free and not getattr(thing, "config", None) and not isinstance(thing, ConversationMessage)


@given(events.filter(carries_only_what_is_typed))
def test_every_event_that_the_codec_writes_is_one_of_the_document(event: ServerEvent) -> None:
    if isinstance(event, SessionEnded) and event.session_duration_seconds < 0:
        return
    assert complaints(write_event(event, timestamp=1.5), "server") == []


@given(messages.filter(carries_only_what_is_typed))
def test_every_message_that_the_codec_writes_is_one_of_the_document(message: ClientMessage) -> None:
    assert complaints(write_message(message), "client") == []


def test_a_field_that_is_not_there_is_left_out_or_null_as_the_protocol_has_it() -> None:
    assert "reply_id" not in json.loads(write_event(ReplyAudio(b""), timestamp=0))
    assert json.loads(write_event(AgentTranscriptDelta("x"), timestamp=0))["start_ms"] is None


@pytest.mark.parametrize(
    ("frame", "direction"),
    [
        ('{"type":"session.end","more":1}', "client"),
        ('{"type":"input.audio"}', "client"),
        ('{"type":"input.audio","data":""}', "client"),
        ('{"type":"session.update","session":{"voice":"eve"}}', "client"),
        ('{"type":"session.update","session":{"greeting":null}}', "client"),
        ('{"type":"session.update","session":{"agent_id":"a","greeting":"Hi"}}', "client"),
        ('{"type":"session.update","session":{"input":{"turn_detection":{"vad_threshold":2}}}}', "client"),
        ('{"type":"session.update","session":{"output":{"format":{"encoding":"audio/mp3"}}}}', "client"),
        (INPUT_FORMAT % '{"encoding":"audio/pcmu","sample_rate":24000}', "client"),
        (INPUT_FORMAT % '{"encoding":"audio/pcm","sample_rate":16000}', "client"),
        ('{"type":"conversation.message","role":"agent","content":""}', "client"),
        ('{"type":"reply.started","reply_id":"r","item_id":"i"}', "client"),
        ('{"type":"tool.result","call_id":"c","result":{}}', "client"),
        ('{"type":"session.ready","session_id":"s","config":{},"expires_at":null}', "server"),
        ('{"type":"session.ready","session_id":"s","config":{"voice":"eve"},"expires_at":1}', "server"),
        ('{"type":"reply.audio","audio":""}', "server"),
        ('{"type":"reply.audio","data":"","reply_id":null}', "server"),
        ('{"type":"session.error","error_code":"x","message":""}', "server"),
        ('{"type":"transcript.user.delta","item_id":"i","delta":"x"}', "server"),
        ('{"type":"session.ended","session_duration_seconds":NaN}', "server"),
        ('{"type":"session.mood"}', "server"),
        ("[]", "server"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(frame: str, direction: str) -> None:
    assert complaints(frame, direction)


def test_every_code_of_the_document_has_an_error_of_its_own_rule() -> None:
    assert set(DOCUMENT["components"]["schemas"]["code"]["enum"]) <= CODES.keys()


def test_the_recorded_configuration_is_one() -> None:
    audio = {"encoding": "audio/pcm", "sample_rate": 24000}
    tool = {
        "type": "function", "name": "f", "description": "", "execution_mode": "interactive", "http": None,
        "parameters": {"type": "object", "properties": {}, "required": []}, "timeout_seconds": 120,
        "response_instructions": None, "deployment_id": None, "session_update": None, "image_tag": None,
    }  # fmt: skip
    config = {
        "id": "", "system_prompt": "…", "greeting": "…",
        "input": {
            "type": "audio", "format": audio, "turn_detection": None, "keyterms": None,
            "transcription_mode": None, "continuous_partials": None, "transcription_prompt": None,
            "language_codes": None, "voice_focus": None, "voice_focus_threshold": None,
        },
        "output": {"type": "audio", "voice": "alba", "format": audio, "volume": None},
        "tools": [tool], "llm": [], "pre_connect_requests": [],
    }  # fmt: skip
    assert list(part("config").iter_errors(config)) == []
