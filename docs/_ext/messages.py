"""What passes between actors, what happens, and the protocol: each class with its fields."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Any, get_args

import attrs

import channels.messages
from channels.happenings import Happening
from channels.wire.events import EVENTS
from channels.wire.messages import MESSAGES
from docs._ext.markdown import doc_of, docs_of_fields, inline, table

__all__ = ["between_actors", "from_the_service", "happenings", "to_the_service"]


def happenings() -> str:
    """All that taps carry."""
    return _all(get_args(Happening))


def between_actors() -> str:
    """All that only actors of the room say to one another."""
    kinds = [getattr(channels.messages, name) for name in channels.messages.__all__]
    return _all(kind for kind in kinds if isinstance(kind, type))


def to_the_service() -> str:
    """What a client may say."""
    return _all(MESSAGES.values())


def from_the_service() -> str:
    """What the service says."""
    return _all(EVENTS.values())


def _all(kinds: Iterable[type[Any]]) -> str:
    return "\n".join(map(_one, kinds))


def _one(kind: type[Any]) -> str:
    wire = f" (`{kind.type}`)" if isinstance(getattr(kind, "type", None), str) else ""
    docs = docs_of_fields(kind)
    if issubclass(kind, enum.Enum):
        rows = [[inline(each.name), docs.get(each.name) or str(each.value)] for each in kind]
        body = table(["Is one of", "What"], rows)
    else:
        fields = [
            [inline(each.name), _type(each.type), docs.get(each.name, "")] for each in attrs.fields(kind)
        ]
        body = table(["Field", "Type", "What"], fields) if fields else ""
    return f"### `{kind.__name__}`{wire}\n\n{doc_of(kind)}\n\n{body}"


def _type(written: Any) -> str:
    return inline(
        re.sub(r"\b_(Whole|Real)\b", lambda name: {"Whole": "int", "Real": "float"}[name[1]], str(written))
    )
