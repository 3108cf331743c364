"""A language model as the brain: any endpoint that speaks OpenAI's chat completions, e.g. a local Ollama.

The stream of tokens is cut into sentences, and each is said while the next is being written. The history is
what was heard: the server tells after each reply how much of it the person listened to, and that is what
the model reads as its own words. Tools of the session are the model's.

Whatever fails becomes one honest sentence for the person and one line for the log. All waiting is bounded
(`chat_completions.Patience`). A reply that is interrupted closes its connection, so the model stops, too.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import attrs

from playground.brain import CallTool, Thought
from playground.chat_completions import ChatFailed, Endpoint
from playground.chat_messages import Called, Calls, ChatEntry, Line, messages
from playground.sentences import sentences

__all__ = ["OpenAIBrain", "SentenceSplitter"]

_log = logging.getLogger("playground.openai_brain")

_MOST_REMEMBERED = 60
"""Entries of the history that the model is told."""
_MOST_SAID = 20_000
"""Characters in one reply, some twenty minutes: a model that cannot stop is stopped."""
APOLOGY = "I am sorry, my language model is not answering properly."
APOLOGY_IN_THE_MIDDLE = "I am sorry, my language model broke off here."


class SentenceSplitter:
    """Cuts a stream of text into sentences, and leaves out what a model only thinks (`<think>`)."""

    def __init__(self) -> None:
        self._rest = ""
        self._thinking = False
        self._before = ""
        """What was to be said before the thought."""

    def feed(self, text: str) -> list[str]:
        """The sentences that are complete now."""
        self._rest = self._without_thoughts(self._rest + text)
        cut = sentences(self._rest)
        if len(cut) < 2 or self._thinking:
            return []
        # The white space behind the last one may be a line's end, which ends a sentence.
        self._rest = cut[-1] + self._rest[len(self._rest.rstrip()) :]
        return _speakable(cut[:-1])

    def end(self) -> list[str]:
        """What is left."""
        rest, self._rest = self._before + ("" if self._thinking else self._rest), ""
        return _speakable(sentences(rest))

    def _without_thoughts(self, text: str) -> str:
        while True:
            before, tag, after = text.partition("</think>" if self._thinking else "<think>")
            if not tag:
                return text[-len("</think>") :] if self._thinking else text
            if self._thinking:
                text, self._before = f"{self._before}\n{after}", ""
            else:
                text, self._before = after, before
            self._thinking = not self._thinking


def _speakable(cut: Sequence[str]) -> list[str]:
    cleaned = ("".join(letter for letter in sentence if letter not in "*`#").strip() for sentence in cut)
    return [sentence for sentence in cleaned if any(letter.isalnum() for letter in sentence)]


@attrs.define
class OpenAIBrain:
    """Answers one session with a language model."""

    _endpoint: Endpoint
    _model: str | None = attrs.field(default=None, init=False)
    _prompt: str = attrs.field(default="", init=False)
    _tools: tuple[Mapping[str, Any], ...] = attrs.field(default=(), init=False)
    _history: list[ChatEntry] = attrs.field(factory=list, init=False)
    _latest: list[ChatEntry] = attrs.field(factory=list, init=False)
    """What the latest answer has added to it: the question, and its calls. Empty: it was taken back."""
    _apology: str = attrs.field(default="", init=False)
    """Said in this reply by nobody but this program: the model is not told of it."""

    def answer(self, heard: str) -> AsyncGenerator[Thought, None]:
        """The model's answer to what the person said."""
        question = Line("user", heard)
        self._add(question)
        self._latest = [question]
        return self._complete(added=self._latest)

    def take_back(self) -> None:
        """The model is not told of that turn twice, nor of calls that were never made."""
        added = {id(entry) for entry in self._latest}
        self._latest.clear()  # what is still being thought of that answer sees it, and adds nothing
        self._history = [entry for entry in self._history if id(entry) not in added]

    def instruct(self, instructions: str) -> AsyncGenerator[Thought, None]:
        """What the model says by instructions that hold for this once."""
        return self._complete(instructions.strip() or "Say what fits now.")

    def offer(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Lets the model call these."""
        self._tools = tuple(tools)

    def tool_returned(self, call: CallTool, result: str, *, is_error: bool) -> AsyncGenerator[Thought, None]:
        """What the model makes of a result."""
        told = f"The tool failed: {result}" if is_error else result
        for number, entry in enumerate(self._history):
            if isinstance(entry, Called) and entry.call.call_id == call.call_id:
                self._history[number] = attrs.evolve(entry, result=told)
                break
        else:
            self._add(Called(call, told))  # somebody else's call
        return self._complete()

    def remember(self, role: str, content: str) -> None:
        """Tells it to the model."""
        self._add(Line(role, content))

    def heard_of_me(self, text: str, *, interrupted: bool) -> None:
        """What was heard is what was said."""
        text = text.removesuffix(self._apology).strip() if self._apology else text
        self._apology = ""
        if text:
            self._add(Line("assistant", text))

    def prompt(self, system_prompt: str) -> None:
        """The system prompt, from the next turn on."""
        self._prompt = system_prompt

    def _add(self, entry: ChatEntry) -> None:
        self._history.append(entry)
        del self._history[:-_MOST_REMEMBERED]

    def _functions(self) -> list[Mapping[str, Any]]:
        return [
            {
                "type": "function",
                "function": {name: tool[name] for name in ("name", "description", "parameters")},
            }
            for tool in self._tools
        ]

    async def _complete(
        self, instructions: str | None = None, *, added: list[ChatEntry] | None = None
    ) -> AsyncGenerator[Thought, None]:
        scissors, calls, said = SentenceSplitter(), Calls(), 0
        try:
            if self._model is None:
                self._model = await self._endpoint.first_model()
            told = messages(self._prompt, self._history, instructions)
            stream = self._endpoint.stream(self._model, told, self._functions())
            async with aclosing(stream) as deltas:
                async for delta in deltas:
                    content = delta.get("content")
                    for sentence in scissors.feed(content) if isinstance(content, str) else ():
                        said += len(sentence)
                        yield sentence
                    calls.take(delta.get("tool_calls"))
                    if said > _MOST_SAID:
                        break
            for sentence in scissors.end():
                said += len(sentence)
                yield sentence
            for call in calls.complete():
                if added == []:
                    return
                self._add(Called(call))
                if added is not None:
                    added.append(self._history[-1])
                yield call
            if not said and not calls:
                raise ChatFailed("it said nothing")
        except ChatFailed as failed:
            _log.warning("the language model at %s failed: %s", self._endpoint.base_url, failed)
            for sentence in scissors.end():
                yield sentence
            self._apology = APOLOGY_IN_THE_MIDDLE if said else APOLOGY
            yield self._apology
