"""What the person says in one turn, however the service cuts it up. No I/O, no clock.

The service may take half a sentence for a whole one: it ends the turn, begins a reply, and then hears the
person continue before any of that reply was heard. To the person that was one turn, and so it is here: it has
one number and one text, and ends when the agent is heard again. A part's final words may come before, between
or after the service's own beginnings and ends; a part may repeat the words of the one before it.
"""

from __future__ import annotations

import re

from attrs import evolve, frozen

__all__ = ["PersonTurn", "words_of"]

LONGEST_TEXT = 4_000
"""Characters of one turn that are kept: four minutes of talk. Beyond it the beginning goes."""

MOST_PARTS = 32


@frozen
class PersonTurn:
    """The latest turn of the person."""

    number: int = 0
    """From 1 on; 0: nobody has spoken yet."""
    parts: tuple[tuple[str, str], ...] = ()
    """(`item_id`, final words), in the order in which they came."""
    partial: str = ""
    """What is understood of a part that is not final."""
    speaking: bool = False
    """According to the service, they have begun a part and not finished it."""
    aside: bool = False
    """It was said over the agent's voice, and the service has not taken it for an interruption."""
    acted: bool = False
    """A tool was called for it: the answer waits for the tool, and may be meant to be silent."""
    over: bool = True
    """The agent was heard again, or no answer will come: what is said now is another turn."""
    told: bool = True
    """Its end and final text have been reported."""

    @property
    def text(self) -> str:
        """All of it that is known."""
        said: list[str] = []
        for _, words in (*self.parts, ("", self.partial)):
            if said and _same_beginning(said[-1], words):
                said.pop()
            if words:
                said.append(words)
        return " ".join(said)[-LONGEST_TEXT:]

    @property
    def complete(self) -> bool:
        """Whether it is over and all of its words are final."""
        return self.over and not self.partial and not self.speaking

    def begin(self, *, aside: bool = False) -> PersonTurn:
        """The service hears the person begin: another turn, or more of this one."""
        if self.over:
            return PersonTurn(self.number + 1, speaking=True, aside=aside, over=False, told=False)
        return evolve(self, speaking=True)

    def interrupt(self) -> PersonTurn:
        """The service takes it for an interruption: an answer is due."""
        return evolve(self, aside=False)

    def finish(self) -> PersonTurn:
        """The service hears them end."""
        return evolve(self, speaking=False)

    def act(self) -> PersonTurn:
        """A tool was called for it."""
        return evolve(self, acted=True)

    def understand(self, text: str, *, aside: bool = False) -> PersonTurn:
        """The text of a part so far; it replaces what was understood of it before."""
        if not text.strip():
            return self
        turn = self.begin(aside=aside) if self.over and self.told else self
        return evolve(turn, partial=text[-LONGEST_TEXT:])

    def settle(self, item_id: str, text: str, *, aside: bool = False) -> PersonTurn:
        """The final words of a part. They may come late, when the turn is over, or twice."""
        known = bool(item_id) and any(part[0] == item_id for part in self.parts)
        if self.over and self.told:
            if known:
                return self
            turn = self.begin(aside=aside).finish()
        else:
            turn = self
        words = text[-LONGEST_TEXT:]
        if not words.strip():  # what was understood, and told, stands
            words = turn.partial or (dict(turn.parts).get(item_id, "") if known else "")
        parts = [part for part in turn.parts if not known or part[0] != item_id]
        parts = [*parts, (item_id, words)][-MOST_PARTS:]
        while len(parts) > 1 and sum(len(part) for _, part in parts) > LONGEST_TEXT:
            del parts[0]
        return evolve(turn, parts=tuple(parts), partial="")

    def end(self) -> PersonTurn:
        """Nothing more belongs to it except final words that are still due."""
        return evolve(self, over=True, speaking=False)

    def tell(self) -> PersonTurn:
        """Its final text has been reported."""
        return evolve(self, told=True)


def _same_beginning(before: str, after: str) -> bool:
    one, other = words_of(before), words_of(after)
    return bool(one) and other[: len(one)] == one


def words_of(text: str) -> list[str]:
    """The words of a text, without punctuation and regardless of case."""
    return re.findall(r"\w+", text.casefold())
