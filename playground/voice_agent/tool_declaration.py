"""The `tools` of a session: each declaration checked as far as the live service does, and completed.

The documentation says that `parameters` are not validated; live they are, in part: `properties` has to
be an object. Tools with `http` belong to stored agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.json_text import MOST_NESTED, is_nested_deeper
from playground.voice_agent.field_rules import ConfigRefused, array, choice, refuse_value, text, whole

__all__ = ["read_tools"]

_KEYS = {
    "type",
    "name",
    "description",
    "parameters",
    "execution_mode",
    "timeout_seconds",
    "http",
    "response_instructions",
    "session_update",
    "deployment_id",
    "image_tag",
}


def read_tools(given: object) -> tuple[Mapping[str, Any], ...]:
    """The declarations, with their defaults.

    Raises:
        ConfigRefused: one of them is refused.
    """
    return tuple(_tool(f"tools[{index}]", tool) for index, tool in enumerate(array(given)))


def _tool(path: str, given: object) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not given.keys() <= _KEYS:
        raise ConfigRefused.format()
    if given.get("http") is not None:
        raise refuse_value(f"{path}.http", "HTTP tools belong to stored agents")
    name = text(given.get("name"))
    if not name.strip():
        raise refuse_value(f"{path}.name", f"'{path}.name' must not be empty")
    parameters = given.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise refuse_value(f"{path}.parameters", f"'{path}.parameters' must be an object")
    if not isinstance(parameters.get("properties", {}), Mapping):
        where = f"{path}.parameters.properties"
        raise refuse_value(where, f"'{where}' must be an object")
    if is_nested_deeper(parameters, MOST_NESTED):
        raise refuse_value(f"{path}.parameters", f"'{path}.parameters' is nested too deeply")
    mode = given.get("execution_mode")
    timeout = given.get("timeout_seconds")
    return {
        "type": choice("function")(f"{path}.type", given.get("type", "function")),
        "name": name,
        "description": text(given.get("description") or ""),
        "parameters": {"type": "object", "properties": {}, "required": [], **parameters},
        "timeout_seconds": 120 if timeout is None else whole(1, 300)(f"{path}.timeout_seconds", timeout),
        "execution_mode": choice("interactive", "hold")(f"{path}.execution_mode", mode or "interactive"),
        "http": None,
        **{key: _shallow(given.get(key)) for key in ("response_instructions", "deployment_id")},
        **{key: _shallow(given.get(key)) for key in ("session_update", "image_tag")},
    }


def _shallow(value: object) -> object:
    if is_nested_deeper(value, MOST_NESTED):
        raise ConfigRefused.format()
    return value
