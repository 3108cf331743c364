"""The steps of 10 ms in which a track's sound comes, taken several at a time where nobody needs them sooner.

Each step of a track would wake the loop's thread, a hundred times a second, and waking costs more than what is
done with the sound (`bench.cost`). Only while the agent speaks does it matter whether a step is known 40 ms
sooner.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

from channels.bounded import Receiver

__all__ = ["STEP_MS", "JoinedSteps", "SeldomWokenLoop"]

STEP_MS = 10
"""The SDK's own step."""


class SeldomWokenLoop(asyncio.AbstractEventLoop):
    """The SDK's event loop, as one stream of sound sees it: what the SDK's thread tells it may wait.

    Args:
        loop: the SDK's.
        at_once: whether nothing may wait.
        most: how many events wait for one another.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, at_once: Callable[[], bool], most: int) -> None:
        self._loop = loop
        self._at_once = at_once
        self._most = most
        self._told = 0
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False

    def __getattribute__(self, name: str) -> Any:
        mine = name.startswith("_") or name == "call_soon_threadsafe"
        return object.__getattribute__(self, name) if mine else getattr(self._loop, name)

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any, **_: Any) -> Any:
        """As asyncio's, but perhaps with the next ones. The SDK never calls it in two threads at once."""
        self._waiting.append((callback, arguments))
        self._told += 1
        due = self._told % self._most == 0 or self._at_once() or _is_last(arguments)
        if due and not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._catch_up)

    def _catch_up(self) -> None:
        self._woken = False  # first: what comes from now on wakes the loop again
        while self._waiting:
            callback, arguments = self._waiting.popleft()
            callback(*arguments)


def _is_last(arguments: tuple[Any, ...]) -> bool:
    event = getattr(arguments[0], "audio_stream_event", None) if arguments else None
    return event is not None and event.HasField("eos")


class JoinedSteps(AsyncIterator[bytes]):
    """The steps of a stream: all that wait as one, but no more than what belongs to the same frame.

    Args:
        steps: as they come.
        in_frame: how many make a frame.
    """

    def __init__(self, steps: Receiver[bytes], in_frame: int) -> None:
        self._steps = steps
        self._in_frame = in_frame
        self._place = 0
        """In the frame."""

    async def __anext__(self) -> bytes:
        joined = [await self._steps.__anext__()]
        missing = self._in_frame - self._place - 1
        joined += [step for _, step in zip(range(missing), self._steps.receive_waiting(), strict=False)]
        self._place = (self._place + len(joined)) % self._in_frame
        return b"".join(joined)
