"""One call of a tool: arguments in, a text for the model out, whatever the function does.

A function of the plain kind runs in a thread; when nobody waits for it any more the thread is left to
itself, since nothing can stop it and a conversation must not wait for it. An async one runs in Trio and is
cancelled. Whatever goes wrong becomes an answer: its kind and message for the model, its traceback for the
log only.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec
import trio

from channels.tools import BadArguments, Tool

__all__ = ["LONGEST_RESULT", "Answer", "call_tool"]

LONGEST_RESULT = 20_000
"""Characters: some 5,000 tokens, which a model takes and no person would listen to."""

LONGEST_ERROR = 300
"""Characters of an exception that the model gets."""

LONGEST_TRACEBACK = 4_000
"""Characters that the log gets; the last ones say most."""

_QUERY = re.compile(r"(\w+://[^\s?#'\"]*)[?#][^\s'\"]*")
_LOGIN = re.compile(r"(\w+://)[^\s/@]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}")


@attrs.frozen
class Answer:
    """What came of a call."""

    text: str
    is_error: bool = False
    traceback: str | None = attrs.field(default=None, repr=False)


async def call_tool(tool: Tool, given: Mapping[str, Any], threads: trio.CapacityLimiter) -> Answer:
    """Calls a tool; every failure but cancellation is an answer.

    Args:
        tool: what to call.
        given: the arguments, as the model gave them.
        threads: how many functions may run in threads at a time.
    """
    try:
        arguments = tool.read_arguments(given)
    except BadArguments as bad:
        return Answer(f"bad arguments: {_harmless(str(bad))}", is_error=True)
    try:
        if inspect.iscoroutinefunction(tool.function):
            returned = await tool.function(**arguments)
        else:
            returned = await trio.to_thread.run_sync(
                lambda: tool.function(**arguments), abandon_on_cancel=True, limiter=threads
            )
    except (Exception, SystemExit) as error:
        said = _harmless(str(error))
        kind = type(error).__name__
        trace = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
        return Answer(f"{kind}: {said}" if said else kind, is_error=True, traceback=trace)
    return _written(returned)


def _written(returned: object) -> Answer:
    """A text is sent as it is, nothing as "done", all else as JSON."""
    if returned is None:
        return Answer("done")
    try:
        text = returned if isinstance(returned, str) else msgspec.json.encode(returned).decode()
        text.encode()
    except Exception as error:
        kind = type(returned).__name__
        return Answer(
            f"the tool returned a {kind} that JSON cannot say ({_harmless(str(error))})", is_error=True
        )
    if len(text) > LONGEST_RESULT:
        return Answer(
            f"the tool returned {len(text)} characters, more than the {LONGEST_RESULT} that can be taken",
            is_error=True,
        )
    return Answer(text)


def _harmless(text: str) -> str:
    """One line of limited length, without the places in which exceptions carry secrets."""
    text = _QUERY.sub(r"\1", _LOGIN.sub(r"\1", " ".join(text.split())))
    text = _BEARER.sub(r"\1 •••", text)
    return text if len(text) <= LONGEST_ERROR else text[: LONGEST_ERROR - 1] + "…"
