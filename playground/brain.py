"""The playground agent's brains: they know little, and say so.

A brain gets what was understood and answers sentence by sentence, so that the first can be spoken while it
thinks of the next. Between sentences it may call a tool (`CallTool`). `EchoBrain` repeats what it heard,
tells the time and the date, and says what it is.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeAlias

import attrs

from playground.sentences import sentences

__all__ = ["Brain", "CallTool", "EchoBrain", "Thought", "reply_text"]

NAME = "the playground's stand-in agent"


@attrs.frozen
class CallTool:
    """A tool for the application to run; `Brain.tool_returned` gets the result."""

    name: str
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    call_id: str = attrs.field(factory=lambda: f"call_{secrets.token_hex(12)}")


Thought: TypeAlias = str | CallTool
"""A sentence to be said, or a tool to be run."""


class Brain(Protocol):
    """Answers one session. It is used by one reply at a time."""

    def answer(self, heard: str) -> AsyncGenerator[Thought, None]:
        """The answer to a person's turn, sentence by sentence (an async generator).

        A person who interrupts ends the iteration early: what was not asked for was not said.
        """

    def take_back(self) -> None:
        """The latest `answer` is given up before anything of it was heard or asked for.

        Its words are asked again, with what the person said next. Its generator may not be closed yet, but
        nothing more of it is remembered.
        """

    def instruct(self, instructions: str) -> AsyncGenerator[Thought, None]:
        """What to say now, by instructions of the application and not of the person."""

    def offer(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """The tools that may be called from now on, as the protocol declares them (complete)."""

    def tool_returned(self, call: CallTool, result: str, *, is_error: bool) -> AsyncGenerator[Thought, None]:
        """What to say to what a tool returned; one that took too long is an error that says so."""

    def remember(self, role: str, content: str) -> None:
        """Adds to the conversation what nobody said aloud: `role` is `user` or `system`."""

    def heard_of_me(self, text: str, *, interrupted: bool) -> None:
        """What the person heard of the last answer, as far as the server can tell."""

    def prompt(self, system_prompt: str) -> None:
        """The system prompt, from the next turn on."""


@attrs.define
class EchoBrain:
    """Repeats what it understood.

    Args:
        now: gives the local time.
    """

    _now: Callable[[], datetime] = datetime.now

    async def answer(self, heard: str) -> AsyncGenerator[str, None]:
        """Repeats it, or answers one of the few questions it knows."""
        for sentence in sentences(reply_text(heard, self._now())):
            yield sentence

    def take_back(self) -> None:
        """Has nothing to forget."""

    async def instruct(self, instructions: str) -> AsyncGenerator[str, None]:
        """Says honestly what it was told to do: there is no model here to do it."""
        text = instructions.strip()
        said = f"I was asked to do this: {text}" if text else "I was asked to say something."
        for sentence in sentences(said):
            yield sentence

    def offer(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Forgets them: it never calls one."""

    async def tool_returned(
        self, call: CallTool, result: str, *, is_error: bool
    ) -> AsyncGenerator[str, None]:
        """Says what came of a call that somebody else made."""
        async for sentence in self.instruct(f"{call.name} {'failed' if is_error else 'says'}: {result}"):
            yield sentence

    def remember(self, role: str, content: str) -> None:
        """Forgets it: nothing here would use it."""

    def heard_of_me(self, text: str, *, interrupted: bool) -> None:
        """Forgets it."""

    def prompt(self, system_prompt: str) -> None:
        """Forgets it."""


_TIME = re.compile(r"\bwhat(?:'s| is)? (?:the )?time\b|\btime is it\b", re.IGNORECASE)
_DATE = re.compile(r"\bwhat(?:'s| is)? (?:the date|day|today)|\bwhich day\b|\bdate is it\b", re.IGNORECASE)
_WHO = re.compile(r"\bwho are you\b|\byour name\b|\bwhat are you\b", re.IGNORECASE)
_WORD = re.compile(r"\w")


def reply_text(heard: str, now: datetime, name: str = NAME) -> str:
    """What to say to what was understood. No I/O, no clock.

    Args:
        heard: the person's turn.
        now: the local time.
        name: who the agent says it is.
    """
    heard = " ".join(heard.split())
    if not _WORD.search(heard):
        return "I heard a sound, but no words."
    if _TIME.search(heard):
        return f"It is {now:%H:%M}."
    if _DATE.search(heard):
        return f"Today is {now:%A}, {now.day} {now:%B %Y}."
    if _WHO.search(heard):
        return f"I'm {name}. I have no language model: I repeat what I understand."
    if len(heard.split()) == 1 and len(heard.strip(".,!?")) < 3:
        return f"I only heard {heard}"
    return f"You said: {heard}"
