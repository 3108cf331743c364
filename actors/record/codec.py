"""Messages as plain JSON objects, and back.

One codec for all that passes between the actors: attrs says what the fields are, `cattrs` turns them. Sound
becomes a reference, its length and where it can first be heard, and reads back as a stand-in of the same
length that becomes audible at the same sample: as far as any decision goes, it is the sound. What is secret
by its name is left out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import attrs
import cattrs

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
    """A message's fields as JSON has them, without what is secret by its name."""
    return _converter().unstructure(message)  # type: ignore[no-any-return]


def decode(name: str, fields: Mapping[str, Any]) -> Any:
    """The message of that class.

    Raises:
        KeyError: there is no such class.
        cattrs.BaseValidationError: a field is missing or ill-typed.
    """
    return _converter().structure(fields, MESSAGES[name])


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
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_unstructure_hook(bytes, _reference)
    converter.register_structure_hook(bytes, lambda reference, _: _stand_in(reference))
    converter.register_unstructure_hook(Secret, str)
    converter.register_unstructure_hook(float, lambda value: round(value, 6))
    converter.register_unstructure_hook_func(
        lambda kind: getattr(kind, "__origin__", None) in (Mapping, dict), blot_out_fields
    )
    for kind in MESSAGES.values():
        hidden = {
            each.name: cattrs.override(omit=True)
            for each in attrs.fields(kind)
            if is_secret(each.name) and each.default is not attrs.NOTHING
        }
        if hidden:
            unstructure = cattrs.gen.make_dict_unstructure_fn(kind, converter, **hidden)  # type: ignore[arg-type]
            converter.register_unstructure_hook(kind, unstructure)
    return converter


def _reference(pcm: bytes) -> dict[str, int]:
    audible_from = first_audible(pcm)
    return {"bytes": len(pcm)} | ({} if audible_from is None else {"audible_from": audible_from})


def _stand_in(reference: Mapping[str, Any]) -> bytes:
    audible_from = reference.get("audible_from")
    return stand_in(int(reference["bytes"]), None if audible_from is None else int(audible_from))
