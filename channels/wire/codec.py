"""One text frame of the protocol to one event or message, and back. No socket, no clock.

`EventReader` (a client's ear) is lenient: what it does not know passes by as `Unrecognised` or is
left out, and is counted. `read_message` (a server's ear) is strict and raises `BadMessage` with the
wording of the live service. Both writers are strict: they send what the protocol documents.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, cast, get_type_hints

import attrs
import msgspec

from channels.json_text import read_json, write_json
from channels.secret import Secret
from channels.wire.events import EVENTS, ServerEvent, Unrecognised
from channels.wire.messages import MESSAGES, ClientMessage, InputAudio

__all__ = ["BadMessage", "EventReader", "read_message", "write_event", "write_message"]

_MOST_NAMES_COUNTED = 64
"""A hostile peer can invent names without end; beyond this many they share one counter."""

_LONGEST_NAME = 120


class BadMessage(Exception):
    """A client's frame that a server must answer with `session.error`.

    Args:
        code: the protocol's error code, `invalid_format` or `invalid_audio`.
        message: the live service's wording.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@attrs.frozen
class _Field:
    hint: Any
    required: bool
    sent_as_null: bool
    """None is written as null; False: the field is left out then."""
    packed: bool
    """An object that is sometimes written as a text with JSON in it."""


def _fields_of(kind: type[Any]) -> Mapping[str, _Field]:
    hints = get_type_hints(kind, include_extras=True)
    return {
        f.name: _Field(
            hints[f.name],
            f.default is attrs.NOTHING,
            f.metadata.get("null", False),
            f.metadata.get("packed", False),
        )
        for f in attrs.fields(kind)
    }


_FIELDS = {kind: _fields_of(kind) for kind in (*EVENTS.values(), *MESSAGES.values())}


class EventReader:
    """Turns the frames of one session into events and counts what it passed by.

    Attributes:
        passed_by: how often each unknown event, unknown field or malformed event was met, by a name
            such as `event x.y`, `field reply.audio.z` or `malformed reply.done`.
    """

    def __init__(self) -> None:
        self.passed_by: Counter[str] = Counter()

    def read(self, frame: str | bytes) -> ServerEvent:
        """The event in a frame. Never raises for what a server may send."""
        try:
            content = read_json(frame)
        except (ValueError, RecursionError) as error:
            return self._unrecognised("malformed frame", "", f"not JSON: {type(error).__name__}")
        if not isinstance(content, dict) or not isinstance(content.get("type"), str):
            return self._unrecognised("malformed frame", "", "not an object with a type")
        kind = content["type"]
        # Two clients were seen to tolerate a bare "error"; the service's schema does not have it.
        event_class = EVENTS.get("session.error" if kind == "error" else kind)
        if event_class is None:
            return self._unrecognised(f"event {kind}", kind, "unknown event")
        fields = _FIELDS[event_class]
        values: dict[str, Any] = {}
        for name in fields.keys() & content.keys():
            try:
                values[name] = _field_value(fields[name], content[name])
            except msgspec.ValidationError:
                if not fields[name].required:
                    self._count(f"malformed {kind}.{name}")
        missing = [name for name, field in fields.items() if field.required and name not in values]
        if missing:
            return self._unrecognised(f"malformed {kind}", kind, f"without {', '.join(missing)}")
        for name in content.keys() - fields.keys() - {"type", "timestamp"}:
            self._count(f"field {kind}.{name}")
        return cast(ServerEvent, event_class(**values))

    def _unrecognised(self, counted_as: str, kind: str, why: str) -> Unrecognised:
        self._count(counted_as)
        return Unrecognised(kind[:_LONGEST_NAME], why)

    def _count(self, name: str) -> None:
        name = name[:_LONGEST_NAME]
        known = name in self.passed_by or len(self.passed_by) < _MOST_NAMES_COUNTED
        self.passed_by[name if known else "others"] += 1


def read_message(frame: str | bytes) -> ClientMessage:
    """The message in a client's frame.

    Raises:
        BadMessage: the frame is not JSON, its type is unknown, or a field is missing or ill-typed.
    """
    try:
        content = read_json(frame, strict=True)
    except (ValueError, RecursionError):
        raise BadMessage("invalid_format", "Invalid JSON format.") from None
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise BadMessage("invalid_format", "Invalid JSON format.")
    message_class = MESSAGES.get(kind)
    if message_class is None:
        raise BadMessage("invalid_format", f"Unknown message type: {kind[:_LONGEST_NAME]}")
    try:
        return cast(ClientMessage, msgspec.convert(content, message_class))
    except msgspec.ValidationError:
        if message_class is InputAudio and isinstance(content.get("audio"), str):
            raise BadMessage("invalid_audio", "Invalid audio data") from None
        raise BadMessage("invalid_format", f"Invalid message format for type '{kind}'") from None


def write_message(message: ClientMessage) -> str:
    """A client's message as one text frame. Fields that are None are left out."""
    return _frame(message)


def write_event(event: ServerEvent, *, timestamp: float) -> str:
    """A server's event as one text frame. `timestamp` is in seconds since the epoch.

    Fields that are None are null where the protocol has null, and left out elsewhere.
    """
    return _frame(event, timestamp=timestamp)


def _frame(thing: ServerEvent | ClientMessage, **more: float) -> str:
    content: dict[str, Any] = {"type": thing.type}
    for name, field in _FIELDS[type(thing)].items():
        value = getattr(thing, name)
        if value is not None or field.sent_as_null:
            content[name] = value
    content |= more
    return write_json(content, or_else=_reveal)


def _reveal(value: object) -> str:
    # Here a secret of the session, a webhook's, leaves the process.
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def _field_value(field: _Field, given: object) -> object:
    if field.packed and isinstance(given, str):
        try:
            given = read_json(given) if given.strip() else {}
        except (ValueError, RecursionError):
            given = None
    try:
        return msgspec.convert(given, field.hint)
    except msgspec.ValidationError:
        if not isinstance(given, float):
            raise
        return msgspec.convert(int(given), field.hint)  # a whole number may be written as 12.0
