"""Tools: Python functions that the service's model may call, as the tool runner and the wire need them.

Use the `tool` decorator only to set what a function's name, hints and docstring cannot say; a plain function
is a tool without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import attrs

__all__ = [
    "LONGEST_TIMEOUT_S",
    "BadArguments",
    "Tool",
    "ToolOptions",
    "options_of",
    "tool",
]

LONGEST_TIMEOUT_S = 300
"""The protocol's range is 1 to 300 s, its default 120."""

F = TypeVar("F", bound=Callable[..., Any])


class BadArguments(Exception):
    """The arguments of a call are not what the function asks for; the text says so to the model."""


@attrs.frozen
class ToolOptions:
    """Options that a function cannot express itself."""

    timeout_seconds: int = 120
    """How long the service waits for the result; the tool itself has a little less time."""
    execution_mode: Literal["interactive", "hold"] = "interactive"
    """`hold`: the person is not listened to until the result is there."""
    repeatable: bool = False
    """The same arguments again, within one turn of the person, are another call: each of them runs."""


@attrs.frozen
class Tool:
    """A function that can be declared and called."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments, an object."""
    function: Callable[..., Any] = attrs.field(repr=False)
    read_arguments: Callable[[Mapping[str, Any]], Mapping[str, Any]] = attrs.field(repr=False)
    """Checks and converts what the model gave; raises `BadArguments`."""
    options: ToolOptions = ToolOptions()
    is_async: bool = False
    """It is called in Trio. Any other is called in a thread, and awaited if it returns something to await."""

    def as_wire(self) -> dict[str, Any]:
        """The declaration, for `session.update`."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
            "execution_mode": self.options.execution_mode,
            "timeout_seconds": self.options.timeout_seconds,
        }


def tool(
    *,
    timeout_seconds: int = 120,
    execution_mode: Literal["interactive", "hold"] = "interactive",
    repeatable: bool = False,
) -> Callable[[F], F]:
    """Gives a function options. A function that needs none needs no decorator.

    Args:
        timeout_seconds: how long the service waits for the result, 1 to 300.
        execution_mode: `hold` keeps the person's words back until the result is there.
        repeatable: models call the same tool with the same arguments several times for one sentence of the
            person, so it runs once, unless this says that each call counts.
    """

    def give(function: F) -> F:
        vars(function)[_OPTIONS] = ToolOptions(timeout_seconds, execution_mode, repeatable)
        return function

    return give


def options_of(function: Callable[..., Any]) -> ToolOptions | None:
    """The options that `tool` gave to a function; None if it gave none."""
    found = getattr(function, _OPTIONS, None)
    return found if isinstance(found, ToolOptions) else None


_OPTIONS = "__tool_options__"
