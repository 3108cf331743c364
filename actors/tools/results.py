"""Converts what a tool returned to text for the model.

msgspec handles the usual types: dataclasses, attrs classes, enums, dates, `Decimal`, `UUID`. pydantic models
and numpy arrays are recognised by their methods, so neither package is needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

import msgspec

__all__ = ["as_text"]


def as_text(returned: object) -> str:
    """A text as it is, all else as JSON.

    Raises:
        Exception: JSON cannot say it, or its own methods raised that.
    """
    if isinstance(returned, str):
        text = str(returned.value) if isinstance(returned, Enum) else str(returned)
    else:
        text = msgspec.json.encode(returned, enc_hook=_simpler).decode()
    text.encode()  # half a surrogate pair is not text
    return text


def _simpler(thing: Any) -> Any:
    """Converts what msgspec does not know to something that it knows."""
    if thing is None or isinstance(thing, bool):
        return json.dumps(thing)  # msgspec knows it as a value, so it is a key
    # A subclass, for example numpy's float64.
    if isinstance(thing, str):
        return str(thing)
    if isinstance(thing, int):
        return int(thing)
    if isinstance(thing, float):
        return float(thing)
    if type(thing) in (list, tuple, set, frozenset, dict):
        raise NotImplementedError(f"a {type(thing).__name__} cannot be a key")
    if isinstance(thing, type):
        raise NotImplementedError(f"{thing.__name__} is a class")
    if callable(dump := getattr(thing, "model_dump", None)):
        return dump(mode="json")  # pydantic 2
    if callable(dump := getattr(thing, "dict", None)) and hasattr(thing, "__fields__"):
        return dump()  # pydantic 1
    if callable(plain := getattr(thing, "tolist", None)):
        return plain()  # numpy
    if isinstance(thing, os.PathLike):
        return os.fspath(thing)
    if isinstance(thing, Mapping):
        return dict(thing)
    if isinstance(thing, Collection):
        return list(thing)
    raise NotImplementedError(f"a {type(thing).__name__} cannot be converted to JSON")
