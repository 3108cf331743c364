"""`--tools MODULE`: the user's own functions, for the model to call."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from actors.filler import load_filler
from actors.tools import load_tools
from channels.errors import SettingsError
from channels.settings import Settings, ToolSettings

__all__ = ["chosen", "read_tools", "with_tools"]


def read_tools(settings: ToolSettings, warn: Callable[[str], None]) -> ToolSettings:
    """The settings with what they name: the functions of the modules, the sound of the filler.

    Raises:
        SettingsError: a module or a function cannot be used, or the filler is no sound.
    """
    functions = load_tools(settings.modules, warn)
    return evolve(settings, functions=functions, filler_sound=load_filler(settings.filler))


def with_tools(settings: Settings, tools: ToolSettings) -> Settings:
    """The settings of a room whose agent has these tools: declared to the service, and ready to be called."""
    declared = tuple(function.as_wire() for function in tools.functions)
    session = evolve(settings.api.session, tools=declared)
    return evolve(settings, api=evolve(settings.api, session=session), tools=tools)


def chosen(tools: ToolSettings, names: frozenset[str] | None) -> ToolSettings:
    """Those of the tools that have these names; None: all of them.

    Raises:
        SettingsError: there is no tool of one of the names.
    """
    if names is None:
        return tools
    known = {function.name for function in tools.functions}
    unknown = sorted(names - known)
    if unknown:
        there_are = f"there are {', '.join(sorted(known))}" if known else "this agent has none"
        raise SettingsError(f"there is no tool {unknown[0][:100]}", there_are)
    return evolve(tools, functions=tuple(each for each in tools.functions if each.name in names))
