"""Speaks one reply at a time; others wait for their turn, unless they are said over it on purpose.

A reply is stopped by cancelling it and waiting until its task is gone: after that nothing of it can be
sent, whatever it was doing. How it ended is told to the brain, which remembers what was heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

import attrs
import trio

from channels.wire.events import ServerEvent
from playground.voice_agent.replies import Reply

__all__ = ["Mouth", "ReplyOver"]

_MOST_WAITING = 8
"""Replies that wait. A client that asks for more loses the ones it asked for first."""


class Remember(Protocol):
    """What a brain is told of a reply."""

    def __call__(self, text: str, *, interrupted: bool) -> None:
        """What was heard of it, and whether it was cut."""


@attrs.frozen
class ReplyOver:
    """A reply was spoken to its end."""

    reply: Reply


@attrs.define(eq=False)
class _Speaking:
    reply: Reply
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ended: trio.Event = attrs.field(factory=trio.Event)


class Mouth:
    """The one who speaks.

    Args:
        nursery: where replies run.
        told: is given each reply that was spoken to its end; the owner then calls `next`.
        remember: is given what was heard of each reply, and whether it was cut.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        told: Callable[[ReplyOver], Awaitable[None]],
        remember: Remember,
    ) -> None:
        self._nursery = nursery
        self._told = told
        self._remember = remember
        self._now: _Speaking | None = None
        self._waiting: deque[Reply] = deque(maxlen=_MOST_WAITING)
        self._beside: list[_Speaking] = []

    @property
    def reply(self) -> Reply | None:
        """The reply that is being spoken; None if there is none, or its `reply.done` is out."""
        return None if self._now is None or self._now.reply.done else self._now.reply

    @property
    def busy(self) -> bool:
        """Whether a reply is being spoken, or will be, or nobody has been told yet how it ended."""
        return self._now is not None or bool(self._waiting or self._beside)

    def say(self, reply: Reply) -> None:
        """Speaks it, at once or after those before it."""
        self._waiting.append(reply)
        if self._now is None:
            self._begin()

    def say_first(self, reply: Reply) -> None:
        """Speaks it before those that wait."""
        self._waiting.appendleft(reply)
        if self._now is None:
            self._begin()

    def say_over(self, reply: Reply) -> None:
        """Speaks it at once, whatever is being spoken."""
        if self._now is None or len(self._beside) >= _MOST_WAITING:
            self.say(reply)
            return
        self._beside.append(_Speaking(reply))
        self._nursery.start_soon(self._speak, self._beside[-1])

    def next(self, over: ReplyOver) -> None:
        """Goes on with the next one that waits."""
        self._beside = [one for one in self._beside if one.reply is not over.reply]
        if self._now is not None and self._now.reply is over.reply:
            self._remember(over.reply.text, interrupted=False)
            self._now = None
            self._begin()

    async def stop(
        self, status: Literal["interrupted", "completed"] = "interrupted", *, all_of_it: bool = True
    ) -> tuple[Reply, tuple[ServerEvent, ...]] | None:
        """Stops the reply; gives it with the events that end it. None if none is being spoken.

        Args:
            status: that its `reply.done` shall have.
            all_of_it: those that are spoken beside it are stopped, too, and those that wait are forgotten.
        """
        beside: tuple[ServerEvent, ...] = ()
        if all_of_it:
            self._waiting.clear()
            others, self._beside = self._beside, []
            for other in others:
                beside += await self._end(other, status)
        speaking, self._now = self._now, None
        if speaking is None:
            return None
        was_done = speaking.reply.done
        events = (*beside, *await self._end(speaking, status))
        return None if was_done and not events else (speaking.reply, events)

    async def _end(
        self, speaking: _Speaking, status: Literal["interrupted", "completed"]
    ) -> tuple[ServerEvent, ...]:
        was_done = speaking.reply.done
        speaking.scope.cancel()
        await speaking.ended.wait()
        now_s = trio.current_time()
        heard = speaking.reply.text if was_done else speaking.reply.heard_text(now_s)
        self._remember(heard, interrupted=not was_done)
        return () if was_done else speaking.reply.cut(now_s, status)

    def _begin(self) -> None:
        if self._waiting:
            self._now = _Speaking(self._waiting.popleft())
            self._nursery.start_soon(self._speak, self._now)

    async def _speak(self, speaking: _Speaking) -> None:
        try:
            with speaking.scope:
                await speaking.reply.run()
                await self._told(ReplyOver(speaking.reply))
        finally:
            speaking.ended.set()
