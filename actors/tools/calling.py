"""Runs one tool call: arguments in, text for the model out, whatever the function does.

A plain function runs in a thread. When nobody waits for it any more, the thread is abandoned, since nothing
can stop it and a conversation must not wait for it. An async function runs in Trio and can be cancelled, and
so can an awaitable that a plain function returned. Anything it raises, even to end the process, becomes an
answer: type and message for the model, the traceback for the log only. The one exception is cancellation of
the call itself.
"""

from __future__ import annotations

import functools
import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import trio

from actors.tools.results import as_text
from channels.errors import cause_of, parted
from channels.only_trio import NO_ASYNCIO, only_in_trio
from channels.tools import BadArguments, Tool

__all__ = ["LONGEST_RESULT", "ToolAnswer", "call_tool"]

LONGEST_RESULT = 20_000
"""Characters: some 5,000 tokens, which a model takes and no person would listen to."""

LONGEST_ERROR = 300
"""Characters of an exception that the model gets."""

LONGEST_LOOKED_AT = 4_000
"""Characters of an exception that are searched for secrets; anything after them is never shown."""

LONGEST_TRACEBACK = 4_000
"""Characters that the log gets; the last ones say most."""

PLAIN = "a plain function, which runs in a thread and may call asyncio.run()"

# Each pattern consumes everything it has looked at, match or not, so that none looks at it twice.
_LOGIN = re.compile(r"://(?:[^\s/]*@)?")
_QUERY = re.compile(r"(://[^\s?#'\"]*)(?:[?#][^\s'\"]*)?")
_BEARER = re.compile(r"(?i)\b(bearer|basic) [\w.~+/=-]{6,}")


@attrs.frozen
class ToolAnswer:
    """What came of a call."""

    text: str
    is_error: bool = False
    traceback: str | None = attrs.field(default=None, repr=False)


async def call_tool(tool: Tool, given: Mapping[str, Any], threads: trio.CapacityLimiter) -> ToolAnswer:
    """Calls a tool; every failure but cancellation is an answer.

    Args:
        tool: what to call.
        given: the arguments, as the model gave them.
        threads: how many functions may run in threads at a time.
    """
    try:
        arguments = tool.read_arguments(given)
    except BadArguments as bad:
        return ToolAnswer(f"bad arguments: {_harmless(str(bad))}", is_error=True)
    except BaseException as error:  # of a dataclass's own `__post_init__`, say
        return _failure(error, "bad arguments: ")
    call = functools.partial(tool.function, **arguments)
    try:
        if tool.is_async:
            returned = call()
        else:
            answer, returned = await trio.to_thread.run_sync(
                functools.partial(_in_thread, call), abandon_on_cancel=True, limiter=threads
            )
            if answer is not None:
                return answer
        if inspect.isawaitable(returned):
            returned = await only_in_trio(returned)
    # Including exceptions that end a process, even Ctrl-C's: a real Ctrl-C is a signal to the process that
    # runs the room, and a tool that raises one is a tool that failed.
    except BaseException as error:
        cancelled, _ = parted(error)
        if cancelled is not None:
            raise cancelled from None
        return _failure(error)
    return _written(returned)


def _in_thread(call: Callable[[], Any]) -> tuple[ToolAnswer | None, Any]:
    """An answer, or what somebody must await."""
    try:
        returned = call()
    except BaseException as error:
        return _failure(error), None
    return (None, returned) if inspect.isawaitable(returned) else (_written(returned), None)


def _failure(error: BaseException, prefix: str = "") -> ToolAnswer:
    cause = cause_of(error)
    kind = type(cause).__name__[:LONGEST_ERROR]
    try:
        said = _harmless(str(cause))
        trace = "".join(traceback.format_exception(error))[-LONGEST_TRACEBACK:]
    except BaseException:  # an exception that cannot even be printed
        said, trace = "", f"{kind} (it cannot be printed)"
    if isinstance(cause, RuntimeError) and ("event loop" in said or NO_ASYNCIO in said):
        said = f"{said.partition(NO_ASYNCIO)[0] or 'no asyncio here'}; {NO_ASYNCIO}, or {PLAIN}"
    return ToolAnswer(
        f"{prefix}{kind}: {said}" if said else f"{prefix}{kind}", is_error=True, traceback=_writable(trace)
    )


def _written(returned: object) -> ToolAnswer:
    """A text is sent as it is, nothing as "done", all else as JSON."""
    if returned is None:
        return ToolAnswer("done")
    try:
        text = as_text(returned)
    except BaseException as error:
        kind = type(returned).__name__
        return ToolAnswer(
            f"the tool returned a {kind} that JSON cannot express ({_harmless(str(error))})", is_error=True
        )
    if len(text) > LONGEST_RESULT:
        return ToolAnswer(
            f"the tool returned {len(text)} characters, more than the limit of {LONGEST_RESULT}",
            is_error=True,
        )
    return ToolAnswer(text)


def _harmless(text: str) -> str:
    """One line of limited length, without the places in which exceptions carry secrets."""
    text = " ".join(_writable(text[:LONGEST_LOOKED_AT]).split())
    text = _QUERY.sub(r"\1", _LOGIN.sub("://", text))
    text = _BEARER.sub(r"\1 •••", text)
    return text if len(text) <= LONGEST_ERROR else text[: LONGEST_ERROR - 1] + "…"


def _writable(text: str) -> str:
    """Removes halves of surrogate pairs, which no terminal and no file accepts."""
    return text.encode(errors="replace").decode()
