"""An answer that is thought of before it is certain that the person has finished.

When somebody stops speaking, their words are known long before it is sure that no more follow. The brain
begins then, and the voice says its first sentence. Nothing of either is sent, and no tool is asked for,
before the turn has ended with just these words.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType

import trio

from playground.brain import Thought
from playground.voice_agent.speech import Utterance, Voice

__all__ = ["Draft"]


class Draft(AsyncGenerator[Thought, None]):
    """The thoughts of one answer, and the voice that has said the first of them already.

    A reply takes it in place of the brain's thoughts, and of its voice. `run` goes on in a task of its own
    until all thoughts were taken: what the brain has opened, it closes in the task that opened it. Only the
    first thought is thought ahead. Each other one waits until the reply asks for it, as without a draft.

    What the brain or the voice raises comes to the reply. If there is none, nobody is told.

    Args:
        answers: what the person has said so far.
        thoughts: of the brain.
        voice: says them.
    """

    def __init__(self, answers: str, thoughts: AsyncGenerator[Thought, None], voice: Voice) -> None:
        self.answers = answers
        self._thoughts = thoughts
        self._voice = voice
        self._first: tuple[str, Utterance] | None = None
        self._scope = trio.CancelScope()
        self._to_reply, self._taken = trio.open_memory_channel[Thought](0)
        self._wanted = trio.Semaphore(1)
        """How many thoughts may be thought of: the first, and each that the reply asks for behind it."""
        self._asked = False
        self._fault: Exception | None = None
        self._over: trio.Event | None = None
        """Whether nothing of the brain runs any more; None: nothing ever did."""

    async def run(self) -> None:
        """Thinks until the last thought was taken, or nobody wants any more."""
        self._over = trio.Event()
        try:
            with self._scope:
                async with self._to_reply, aclosing(self._thoughts) as thoughts:
                    await trio.lowlevel.checkpoint()  # given up already: the brain is not even asked
                    await self._think(thoughts)
        except Exception as fault:
            self._fault = fault
        finally:
            self._over.set()

    async def _think(self, thoughts: AsyncGenerator[Thought, None]) -> None:
        await self._wanted.acquire()
        first = True
        async for thought in thoughts:
            if first and isinstance(thought, str):
                self._first = thought, await self._voice.say(thought)
            first = False
            try:
                await self._to_reply.send(thought)
            except trio.BrokenResourceError:
                return
            await self._wanted.acquire()

    def give_up(self) -> None:
        """Nobody wants it any more."""
        self._scope.cancel()
        self._taken.close()

    async def say(self, text: str) -> Utterance:
        """Says a sentence, at once if it is the one that was said ahead."""
        first, self._first = self._first, None
        if first is None or first[0] != text:
            return await self._voice.say(text)
        await trio.lowlevel.checkpoint()
        return first[1]

    async def asend(self, value: None) -> Thought:
        """The next thought. Raises what the brain or the voice raised."""
        if self._asked:
            self._wanted.release()
        self._asked = True
        try:
            return await self._taken.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            if self._over is not None:
                await self._over.wait()
            if self._fault is not None:
                raise self._fault from None
            raise StopAsyncIteration from None

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> Thought:
        """Gives it up (`aclose` comes here), and waits until the brain has nothing open any more."""
        self.give_up()
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            if self._over is not None:
                await self._over.wait()
        raise typ
