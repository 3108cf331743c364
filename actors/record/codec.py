"""Messages as plain JSON objects, and back.

One codec for all that passes between the actors: attrs says what the fields are, msgspec reads them. Sound
becomes a reference, its length and where it can first be heard, and reads back as a stand-in of the same
length that becomes audible at the same sample: as far as any decision goes, it is the sound. What is secret
by its name is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from enum import Enum
from typing import Any, get_type_hints

import attrs
import msgspec

import channels.happenings
import channels.messages
import channels.texts
from actors.record.notes import BOOKKEEPING
from actors.record.sound_reference import first_audible, stand_in
from channels.secret import Secret, blot_out_fields, is_secret
from channels.wire import events, messages

__all__ = ["MESSAGES", "decode", "encode", "shifted"]

MESSAGES: Mapping[str, type[Any]] = {
    kind.__name__: kind
    for module in (channels.messages, channels.happenings, channels.texts, events, messages)
    for kind in (getattr(module, name) for name in module.__all__)
    if isinstance(kind, type) and attrs.has(kind)
} | {kind.__name__: kind for kind in BOOKKEEPING}
"""Every class that can stand in a record, by its name."""


def encode(message: Any) -> dict[str, Any]:
    """A message's fields as JSON has them, without what is secret by its name or is not to be recorded."""
    return {
        each.name: _written(getattr(message, each.name))
        for each in attrs.fields(type(message))
        if (each.default is attrs.NOTHING or not is_secret(each.name)) and each.metadata.get("recorded", True)
    }


def decode(name: str, fields: Mapping[str, Any]) -> Any:
    """The message of that class; fields that it does not have are passed over.

    Raises:
        KeyError: there is no such class.
        msgspec.ValidationError: a field is ill-typed.
        TypeError: a field is missing.
        ValueError: no sound is that long.
    """
    hints = _hints(name)
    return MESSAGES[name](**{each: _read(hints[each], fields[each]) for each in hints.keys() & fields.keys()})


def shifted(message: Any, seconds: float) -> Any:
    """The message with its times (fields named `at`) on another clock."""
    changes: dict[str, Any] = {}
    for each in attrs.fields(type(message)):
        value = getattr(message, each.name)
        if each.name == "at":
            changes[each.name] = value + seconds
        elif attrs.has(type(value)):
            changes[each.name] = shifted(value, seconds)
    return attrs.evolve(message, **changes) if changes else message


@functools.cache
def _hints(name: str) -> Mapping[str, Any]:
    hints = get_type_hints(MESSAGES[name])
    return {each.name: hints[each.name] for each in attrs.fields(MESSAGES[name])}


def _written(value: Any) -> Any:
    match value:
        case bytes():
            audible_from = first_audible(value)
            return {"bytes": len(value)} | ({} if audible_from is None else {"audible_from": audible_from})
        case float():
            return round(value, 6)
        case Mapping():
            return blot_out_fields(value)
        case list() | tuple():
            return [_written(each) for each in value]
        case Enum():
            return value.value
        case Secret():
            return str(value)
        case _:
            return encode(value) if attrs.has(type(value)) else value


def _read(hint: Any, value: Any) -> Any:
    if hint is bytes:
        reference = msgspec.convert(value, _SoundReference)
        return stand_in(reference.bytes, reference.audible_from)
    return msgspec.convert(value, hint)


@attrs.frozen
class _SoundReference:
    bytes: int
    audible_from: int | None = None
