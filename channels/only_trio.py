"""An awaitable that is awaited in Trio and in nothing else.

Trio cannot continue a task that waits for another framework: it gives the task up and ends its parent. So
each step is checked before Trio sees it, and anything that is not Trio's comes back to the awaitable as an
error that says what to do.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

__all__ = ["NO_ASYNCIO", "only_in_trio"]

NO_ASYNCIO = "this runs in Trio: use trio.sleep() and libraries that support Trio instead of asyncio's"

MOST_TOLD = 3
"""Times that an awaitable is told so. One that goes on is closed."""


async def only_in_trio(awaitable: Awaitable[Any]) -> Any:
    """What the awaitable returns.

    Raises:
        BaseException: whatever it raises.
        RuntimeError: it waits for asyncio, or for another framework than Trio.
    """
    return await _steps(_whole(awaitable))


async def _whole(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


@types.coroutine
def _steps(coroutine: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    told = 0
    resume: Callable[[Any], Any] = coroutine.send
    given: Any = None
    while True:
        try:
            asked = resume(given)
        except StopIteration as end:
            return end.value
        if getattr(asked, "__module__", "").partition(".")[0] != "trio":
            if told == MOST_TOLD:
                coroutine.close()
                raise RuntimeError(NO_ASYNCIO)
            told += 1
            resume, given = coroutine.throw, RuntimeError(NO_ASYNCIO)
            continue
        try:
            resume, given = coroutine.send, (yield asked)
        except BaseException as thrown:
            resume, given = coroutine.throw, thrown
