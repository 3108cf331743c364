"""One text frame of the protocol to one event or message, and back. No socket, no clock.

`EventReader` (a client's ear) is lenient: what it does not know passes by as `Unrecognised` or is
left out, and is counted. `read_message` (a server's ear) is strict and raises `BadMessage` with the
wording of the live service. Both writers are strict: they send what the protocol documents.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast, get_args, get_type_hints

import attrs

from channels.secret import Secret
from channels.wire.events import EVENTS, ServerEvent, Unrecognised
from channels.wire.messages import MESSAGES, ClientMessage

__all__ = ["BadMessage", "EventReader", "read_json", "read_message", "write_event", "write_message"]

_MOST_NAMES_COUNTED = 64
"""A hostile peer can invent names without end; beyond this many they share one counter."""

_LONGEST_NAME = 120

MOST_DIGITS = 40
"""Of a whole number. Longer ones count nothing and name nothing, and are more than a float can be."""

MOST_NESTED = 64
"""Objects and lists in each other. Whoever walks through more may run out of stack."""


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
    hints = get_type_hints(kind)
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


class _IllTyped(Exception):
    pass


class _BadAudio(_IllTyped):
    pass


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
            content = _parse_shallow(frame)
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
        for name, field in fields.items():
            if name not in content:
                continue
            try:
                given = content[name]
                values[name] = _read_value(field.hint, _opened(given) if field.packed else given)
            except _IllTyped:
                if field.required:
                    return self._unrecognised(f"malformed {kind}", kind, f"ill-typed {name}")
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
        content = _parse(frame, _or_refused)
    except (ValueError, RecursionError):
        raise BadMessage("invalid_format", "Invalid JSON format.") from None
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise BadMessage("invalid_format", "Invalid JSON format.")
    message_class = MESSAGES.get(kind)
    if message_class is None:
        raise BadMessage("invalid_format", f"Unknown message type: {kind[:_LONGEST_NAME]}")
    values: dict[str, Any] = {}
    for name, field in _FIELDS[message_class].items():
        if name not in content:
            if field.required:
                raise BadMessage("invalid_format", f"Invalid message format for type '{kind}'")
            continue
        try:
            values[name] = _read_value(field.hint, content[name])
        except _BadAudio:
            raise BadMessage("invalid_audio", "Invalid audio data") from None
        except _IllTyped:
            raise BadMessage("invalid_format", f"Invalid message format for type '{kind}'") from None
    return cast(ClientMessage, message_class(**values))


def write_message(message: ClientMessage) -> str:
    """A client's message as one text frame. Fields that are None are left out."""
    return json.dumps(_content(message), separators=(",", ":"), default=_reveal)


def write_event(event: ServerEvent, *, timestamp: float) -> str:
    """A server's event as one text frame. `timestamp` is in seconds since the epoch.

    Fields that are None are null where the protocol has null, and left out elsewhere.
    """
    return json.dumps({**_content(event), "timestamp": timestamp}, separators=(",", ":"))


def _content(thing: ServerEvent | ClientMessage) -> dict[str, Any]:
    content: dict[str, Any] = {"type": thing.type}
    for name, field in _FIELDS[type(thing)].items():
        value = getattr(thing, name)
        if value is not None or field.sent_as_null:
            content[name] = base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
    return content


def _reveal(value: object) -> str:
    # Here a secret of the session, a webhook's, leaves the process.
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def read_json(text: str) -> Any:
    """What a text says in JSON. What is no number of JSON, or one that nobody means, is None.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
        RecursionError: it is nested much too deeply.
    """
    return _parse_shallow(text)


def _opened(packed: object) -> object:
    if not isinstance(packed, str):
        return packed
    try:
        return read_json(packed) if packed.strip() else {}
    except (ValueError, RecursionError):
        raise _IllTyped from None


def _parse_shallow(text: str | bytes) -> Any:
    content = _parse(text, _or_null)
    if _is_deeper(content, MOST_NESTED):
        raise ValueError("nested too deeply")
    return content


def _parse(frame: str | bytes, or_what: Callable[[float], object]) -> Any:
    text = frame if isinstance(frame, str) else frame.decode()
    content = json.loads(
        text,
        parse_constant=lambda _: or_what(math.nan),
        parse_int=lambda number: int(number) if len(number) <= MOST_DIGITS else or_what(math.inf),
        parse_float=lambda number: value if math.isfinite(value := float(number)) else or_what(value),
    )
    if "\\u" in text:
        # Half a surrogate pair is JSON and yet no text: whoever writes it anywhere would crash.
        content = json.loads(json.dumps(content, ensure_ascii=False).encode(errors="replace"))
    return content


def _is_deeper(content: Any, most: int) -> bool:
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(most):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for group in inner for each in group if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def _or_null(_: float) -> object:
    return None


def _or_refused(number: float) -> object:
    raise ValueError(f"{number} is no number of JSON")


def _read_value(hint: Any, value: object) -> object:
    wanted = get_args(hint)
    if type(None) in wanted:
        if value is None:
            return None
        (hint,) = (kind for kind in wanted if kind is not type(None))
    return _READ[getattr(hint, "__origin__", hint)](value)


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise _IllTyped
    return value


def _audio(value: object) -> object:
    if not isinstance(value, str):
        raise _IllTyped
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _BadAudio from None


def _truth(value: object) -> object:
    if not isinstance(value, bool):
        raise _IllTyped
    return value


def _integer(value: object) -> object:
    return int(_number(value))


def _number(value: object) -> float:
    # JSON has numbers without end.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise _IllTyped
    return float(value)


def _object(value: object) -> object:
    if not isinstance(value, dict):
        raise _IllTyped
    return value


_READ: Mapping[Any, Callable[[object], object]] = {
    str: _text,
    bytes: _audio,
    bool: _truth,
    int: _integer,
    float: _number,
    Mapping: _object,
}
