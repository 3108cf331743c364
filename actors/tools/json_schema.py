"""Fixes for a tool's JSON Schema and arguments, where msgspec and language models differ from people.

msgspec sorts the values of an enumeration, although the author's order shows which one is usual. Models write
lists and objects as text that contains JSON, `null` as a word, and numbers where text is required.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from channels.json_text import read_json

__all__ = ["in_authors_order", "unpacked"]


def in_authors_order(schema: Any, hint: Any) -> Any:
    """The schema with the values of each enumeration as the hint has them."""
    orders = [list(order) for order in _orders(hint, set())]
    return _ordered(schema, orders) if orders else schema


def _orders(hint: Any, seen: set[Any]) -> Iterator[tuple[Any, ...]]:
    """The values of each `Literal` and `Enum` in a hint."""
    if get_origin(hint) is Literal:
        yield get_args(hint)
        return
    for inner in get_args(hint):
        yield from _orders(inner, seen)
    if not isinstance(hint, type) or hint in seen:
        return
    seen.add(hint)
    if issubclass(hint, enum.Enum):
        yield tuple(member.value for member in hint)
        return
    try:
        fields = get_type_hints(hint, include_extras=True)
    except Exception:
        return  # a type without hints
    for inner in fields.values():
        yield from _orders(inner, seen)


def _ordered(schema: Any, orders: list[list[Any]]) -> Any:
    if isinstance(schema, list):
        return [_ordered(each, orders) for each in schema]
    if not isinstance(schema, dict):
        return schema
    ordered = {key: _ordered(value, orders) for key, value in schema.items()}
    values = schema.get("enum")
    if isinstance(values, list):
        ordered["enum"] = next((order for order in orders if _same(order, values)), values)
    return ordered


def _same(order: list[Any], values: list[Any]) -> bool:
    return len(order) == len(values) and all(value in order for value in values)


def unpacked(value: Any, schema: Mapping[str, Any], *, nullable: bool = False) -> Any:
    """What a model must have meant, if the schema does not allow what it wrote.

    Args:
        value: of the argument.
        schema: of its type, without references.
        nullable: whether it may also be None, which the schema of a parameter does not say.
    """
    if isinstance(value, str):
        if value == "null" and (nullable or _takes_null(schema)) and "null" not in schema.get("enum", ()):
            return None if schema else value
        if not _takes_text(schema):
            value = _read(value)
    elif isinstance(value, int) and not isinstance(value, bool) and schema.get("type") == "string":
        return str(value)  # what the person said, "order 4471" say
    schema = _branch_for(value, schema)
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        return {key: unpacked(each, known.get(key, others)) for key, each in value.items()}
    if isinstance(value, list):
        first, rest = schema.get("prefixItems", []), schema.get("items")
        rest = rest if isinstance(rest, dict) else {}
        return [unpacked(each, first[n] if n < len(first) else rest) for n, each in enumerate(value)]
    return value


def _read(text: str) -> Any:
    """The list, the object or the number in a text; the text, if there is none."""
    try:
        read = read_json(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(read, str) or read is None else read


def _takes_text(schema: Mapping[str, Any]) -> bool:
    match schema:
        case {"anyOf": [*choices]}:
            return any(_takes_text(choice) for choice in choices)
        case {"enum": [*values]}:
            return any(isinstance(value, str) for value in values)
        case {"type": kind}:
            return bool(kind == "string")
    return True


def _takes_null(schema: Mapping[str, Any]) -> bool:
    match schema:
        case {"anyOf": [*choices]}:
            return any(_takes_null(choice) for choice in choices)
        case {"enum": [*values]}:
            return None in values
    return bool(schema.get("type") == "null")


def _branch_for(value: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of several types the one that a list or an object can be; the schema itself, if that is not certain."""
    wanted = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else None
    fitting = [choice for choice in schema.get("anyOf", ()) if choice.get("type") == wanted]
    return fitting[0] if wanted is not None and len(fitting) == 1 else schema
