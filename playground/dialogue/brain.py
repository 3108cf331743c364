"""The small dialogue as a brain: speaks the table's answers, and remembers between turns.

`table.answer` decides. This module only remembers: what is being said now, how much of it was heard (the
server says so after every reply), and what an interruption cut off, so that "go on" can continue.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from random import random
from typing import Any

import attrs
import trio

from channels.instructions import TYPED, UNANSWERED, unquoted
from playground.brain import CallTool, Thought
from playground.dialogue.instructions import name_in, obeyed
from playground.dialogue.table import answer
from playground.dialogue.tool_results import spoken_result
from playground.dialogue.turn import Answer, Memory, Turn
from playground.sentences import sentences

__all__ = ["Dialogue", "unheard"]


@attrs.define
class Dialogue:
    """Answers one session.

    Args:
        now: gives the local time.
        luck: gives a number from 0 to 1, for coins and dice.
    """

    _now: Callable[[], datetime] = datetime.now
    _luck: Callable[[], float] = random
    memory: Memory = attrs.field(factory=Memory, init=False)
    _saying: Answer | None = attrs.field(default=None, init=False)
    """The reply that is being said."""
    _typed: str = attrs.field(default="", init=False)
    """What the person typed and nobody has answered yet."""
    _before: Memory = attrs.field(factory=Memory, init=False)
    """What was known before the latest answer."""

    def answer(self, heard: str) -> AsyncGenerator[Thought, None]:
        """Answers what the person said."""
        self._before = self.memory
        return self._answer(heard)

    async def _answer(self, heard: str) -> AsyncGenerator[Thought, None]:
        given = answer(Turn(heard, self.memory, self._now(), self._luck()))
        async for thought in self._say(given):
            yield thought

    def take_back(self) -> None:
        """Knows no more than before that answer, but for the tools and the name, which others decide."""
        kept = {name: getattr(self.memory, name) for name in ("tools", "my_name", "prompt_words")}
        self.memory = attrs.evolve(self._before, **kept)
        self._saying = None

    async def instruct(self, instructions: str) -> AsyncGenerator[Thought, None]:
        """Answers what was typed, says what is to be said, and otherwise says that it cannot."""
        typed = unquoted(instructions, TYPED) or unquoted(instructions, UNANSWERED)
        text, self._typed = typed or ("" if instructions.strip() else self._typed), ""
        if text.strip():
            given = answer(Turn(text, self.memory, self._now(), self._luck()))
        else:
            given = Answer(obeyed(instructions))
        async for thought in self._say(given):
            yield thought

    def offer(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Calls one of these when it fits what was said."""
        self.memory = attrs.evolve(self.memory, tools=tuple(tools))

    async def tool_returned(
        self, call: CallTool, result: str, *, is_error: bool
    ) -> AsyncGenerator[Thought, None]:
        """Says plainly what a tool gave, or that it failed."""
        async for thought in self._say(Answer(spoken_result(call.name, result, is_error=is_error))):
            yield thought

    def remember(self, role: str, content: str) -> None:
        """Keeps what the person typed until an answer is asked for."""
        if role == "user":
            self._typed = content

    def heard_of_me(self, text: str, *, interrupted: bool) -> None:
        """Notes how far the person listened."""
        saying, self._saying = self._saying, None
        if saying is None:
            # A greeting, or something else that others said in my name.
            self.memory = attrs.evolve(self.memory, said=tuple(sentences(text)) or self.memory.said)
            return
        left = unheard(saying.sentences, text) if interrupted else ()
        begun = saying.sentences[: len(saying.sentences) - max(0, len(left) - 1)]
        rest = self.memory.rest
        if saying.reading or len(saying.sentences) > 1:
            intro = max(0, saying.intro - (len(saying.sentences) - len(left)))
            rest = left[intro:] if left or saying.reading else rest
        self.memory = attrs.evolve(self.memory, said=begun, rest=rest)

    def prompt(self, system_prompt: str) -> None:
        """Takes its name from it, and no more."""
        self.memory = attrs.evolve(
            self.memory, my_name=name_in(system_prompt), prompt_words=len(system_prompt.split())
        )

    async def _say(self, given: Answer) -> AsyncGenerator[Thought, None]:
        await trio.lowlevel.checkpoint()
        self._saying = given
        self.memory = given.memory or self.memory
        if given.call is not None:
            yield given.call
        for sentence in given.sentences:
            yield sentence


def unheard(said: Sequence[str], heard: str) -> tuple[str, ...]:
    """The sentences of which the end was not heard, by the number of words that were. No I/O, no clock."""
    left = len(heard.split())
    for number, sentence in enumerate(said):
        left -= len(sentence.split())
        if left < 0:
            return tuple(said[number:])
    return ()
