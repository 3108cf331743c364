"""`--tools MODULE`: functions of one's own that the model may call."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from channels.settings import Settings
from channels.tools import Tool

__all__ = ["with_tools"]


def with_tools(settings: Settings, functions: Sequence[Tool]) -> Settings:
    """The settings of a room whose agent has these tools: declared to the service, and ready to be called."""
    session = evolve(settings.api.session, tools=tuple(function.as_wire() for function in functions))
    return evolve(
        settings,
        api=evolve(settings.api, session=session),
        tools=evolve(settings.tools, functions=tuple(functions)),
    )
