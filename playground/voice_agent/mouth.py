"""Speaks at most one reply at a time; others wait for their turn.

A reply is stopped by cancelling it and waiting until its task is gone: after that nothing of it can be
sent, whatever it was doing. How it ended is told to the brain, which remembers what was heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

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

    @property
    def reply(self) -> Reply | None:
        """The reply that is being spoken; None if there is none, or its `reply.done` is out."""
        return None if self._now is None or self._now.reply.done else self._now.reply

    def say(self, reply: Reply) -> None:
        """Speaks it, at once or after those before it."""
        self._waiting.append(reply)
        if self._now is None:
            self._begin()

    def next(self, over: ReplyOver) -> None:
        """Goes on with the next one that waits."""
        if self._now is not None and self._now.reply is over.reply:
            self._remember(over.reply.text, interrupted=False)
            self._now = None
            self._begin()

    async def stop(self) -> tuple[Reply, tuple[ServerEvent, ...]] | None:
        """Stops the reply and forgets those that wait; gives it with the events that end it.

        None if none is being spoken.
        """
        self._waiting.clear()
        speaking, self._now = self._now, None
        if speaking is None:
            return None
        was_done = speaking.reply.done
        speaking.scope.cancel()
        await speaking.ended.wait()
        now_s = trio.current_time()
        heard = speaking.reply.text if was_done else speaking.reply.heard_text(now_s)
        self._remember(heard, interrupted=not was_done)
        return None if was_done else (speaking.reply, speaking.reply.cut(now_s))

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
