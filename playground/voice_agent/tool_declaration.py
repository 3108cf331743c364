"""The `tools` of a session: each declaration checked as far as the live service does, and completed.

The documentation says that `parameters` are not validated; live they are, in part: `properties` has to
be an object. Tools with `http` belong to stored agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from channels.json_text import MOST_NESTED, is_nested_deeper
from channels.wire.session import ToolDeclaration
from playground.voice_agent.config_refused import ConfigRefused, read_as

__all__ = ["read_tools"]


def read_tools(given: object) -> tuple[Mapping[str, Any], ...]:
    """The declarations, with their defaults.

    Raises:
        ConfigRefused: one of them is refused.
    """
    tools = read_as(list[Any], given, "tools")
    return tuple(_tool(f"tools[{index}]", tool) for index, tool in enumerate(tools))


def _tool(path: str, given: object) -> Mapping[str, Any]:
    tool = read_as(ToolDeclaration, given, path)
    if tool.http is not None:
        raise ConfigRefused.value(f"{path}.http", "HTTP tools belong to stored agents")
    parameters, where = tool.parameters or {}, f"{path}.parameters"
    if not isinstance(parameters, Mapping):
        raise ConfigRefused.value(where, f"'{where}' must be an object")
    if not isinstance(parameters.get("properties", {}), Mapping):
        raise ConfigRefused.value(f"{where}.properties", f"'{where}.properties' must be an object")
    if is_nested_deeper(given, MOST_NESTED):
        raise ConfigRefused.value(where, f"'{where}' is nested too deeply")
    return msgspec.structs.asdict(tool) | {
        "description": tool.description or "",
        "parameters": {"type": "object", "properties": {}, "required": [], **parameters},
        "timeout_seconds": tool.timeout_seconds or 120,
        "execution_mode": tool.execution_mode or "interactive",
    }
