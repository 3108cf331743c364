"""What the service's resolved configuration (`session.ready`, `session.updated`) says, read leniently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["declared_tools", "encoding_of", "is_interruptible"]


def is_interruptible(config: Mapping[str, Any]) -> bool:
    """Whether speech of the person ends a reply."""
    audio_input = config.get("input")
    detection = audio_input.get("turn_detection") if isinstance(audio_input, Mapping) else None
    return not (isinstance(detection, Mapping) and detection.get("interrupt_response") is False)


def declared_tools(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]] | None:
    """The tools that hold now, by name; None if the configuration says nothing of tools."""
    tools = config.get("tools")
    if not isinstance(tools, list | tuple):
        return None
    return {str(one["name"]): one for one in tools if isinstance(one, Mapping) and "name" in one}


def encoding_of(config: Mapping[str, Any], direction: str) -> str | None:
    """How sound of `input` or `output` is written; None if the configuration says nothing of it."""
    part = config.get(direction)
    how = part.get("format") if isinstance(part, Mapping) else None
    encoding = how.get("encoding") if isinstance(how, Mapping) else None
    return encoding if isinstance(encoding, str) else None
