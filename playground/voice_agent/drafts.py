"""The answers of one session that are thought of ahead: when one is begun, taken, or given up.

There is one at a time, and a few in a turn. It is an answer to just the words that were said so far; whatever
else happens before the turn has ended with them, the brain takes it back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from playground.brain import Brain
from playground.voice_agent.draft import Draft
from playground.voice_agent.speech import Voice

__all__ = ["Drafts"]

_MOST_DRAFTS = 5
"""In one turn: each may cost a request to a language model."""


class Drafts:
    """What is kept of them.

    Args:
        brain: thinks.
        voice: says the first sentence.
        beside: runs something in a task of its own.
    """

    def __init__(
        self, brain: Brain, voice: Voice, beside: Callable[[Callable[[], Awaitable[None]]], None]
    ) -> None:
        self._brain = brain
        self._voice = voice
        self._beside = beside
        self._draft: Draft | None = None
        """The answer to what the person has said so far, while nobody knows whether that is all."""
        self._in_this_turn = 0
        self._taken: Draft | None = None
        """The latest one that became a reply."""

    def may_be_all(self, text: str, *, think: bool) -> None:
        """The person has stopped, and has said this; `think`: whether the brain is free to answer it."""
        if self._draft is not None and self._draft.answers == text:
            return
        self.forget()
        if not think or not text.strip() or self._in_this_turn >= _MOST_DRAFTS:
            return
        self._in_this_turn += 1
        self._draft = Draft(text, self._brain.answer(text), self._voice)
        self._beside(self._draft.run)

    def goes_on(self, text: str) -> None:
        """The person has said this by now, and goes on."""
        if self._draft is not None and self._draft.answers != text:
            self.forget()  # a model that goes on for nobody costs

    def turn_is_over(self) -> None:
        """What was not taken by now answers nothing any more."""
        self.forget()
        self._in_this_turn = 0

    def take(self, text: str) -> Draft | None:
        """The answer to this, for a reply; None if another one is thought of, or none."""
        draft = self._draft
        if draft is None or draft.answers != text:
            self.forget()
            return None
        self._draft, self._taken = None, draft
        return draft

    def forget(self) -> None:
        """What the answer depends on has changed."""
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.give_up()
            self._brain.take_back()

    def give_up_taken(self) -> None:
        """The reply that took the latest one wants no more of it."""
        # A reply that was stopped before it looked at its thoughts has left them as they were.
        taken, self._taken = self._taken, None
        if taken is not None:
            taken.give_up()
