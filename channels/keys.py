"""Keeps the keys that callers press on their phones out of everything that is written down or shown.

A card number, a PIN, a date of birth: people do not say aloud what they key in, and do not expect it to be
kept. The model gets the keys; taps only get how many there were. If the agent or a tool repeats a number that
was keyed in, in one piece or digit by digit, dots replace it. Numbers of fewer than `SHORTEST` digits are
menu choices, and stay as they are.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs
from attrs import define, field

from channels.happenings import (
    AskGivenUp,
    AskSent,
    Happening,
    ReplyEnded,
    ToolAnswered,
    TurnTimed,
    WordsHeard,
)
from channels.instructions import PRESSED, unquoted, without_keys
from channels.secret import DOTS
from channels.texts import Pressed
from channels.wire.events import AgentTranscriptDelta
from channels.wire.messages import ReplyCreate

__all__ = ["SHORTEST", "KeyCover"]

SHORTEST = 4

MOST_NUMBERS = 16
"""Those pressed last in a call."""

_DIGITS = re.compile(r"(?<!\w)\d+(?!\w)")
_BETWEEN = re.compile(r"[\s.,/-]{0,3}")
"""What may stand between two digits of one number as it is read out."""

_Places: TypeAlias = set[tuple[str, int]]
"""The positions in known numbers at which the digits so far may end."""


@define
class KeyCover:
    """Knows what was pressed, and covers it."""

    _numbers: deque[str] = field(factory=lambda: deque(maxlen=MOST_NUMBERS), init=False)
    _reply: str = field(default="", init=False)
    """The reply whose words came last."""
    _places: _Places = field(factory=set, init=False)
    """Where in a number that reply is."""

    def happening(self, happening: Happening) -> Happening:
        """The same for taps."""
        match happening:
            case AskSent(request=request) | AskGivenUp(request=request):
                covered = self.message(request)
                return attrs.evolve(
                    happening, request=attrs.evolve(covered, instructions=self._maybe(covered.instructions))
                )
            case WordsHeard(reply_id=reply_id, text=text):
                return attrs.evolve(happening, text=self._cover_piece(reply_id, text))
            case ReplyEnded():
                return self._ended(happening)
            case TurnTimed(reply=reply):
                return attrs.evolve(happening, reply=self._ended(reply))
            case ToolAnswered(error=error, traceback=trace):
                return attrs.evolve(happening, error=self._maybe(error), traceback=self._maybe(trace))
            case _:
                return happening

    def message(self, message: Any) -> Any:
        """A message as taps may see it. It also learns pressed keys from it."""
        match message:
            case Pressed():
                return attrs.evolve(message, key=DOTS)
            case ReplyCreate(instructions=str(instructions)) if instructions.startswith(PRESSED):
                self._learn(unquoted(instructions, PRESSED) or "")
                return attrs.evolve(message, instructions=without_keys(instructions))
            case AgentTranscriptDelta(reply_id=reply_id, delta=delta):
                return attrs.evolve(message, delta=self._cover_piece(reply_id, delta))
            case _:
                return message

    def fields(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """A message as JSON, with keys covered in all texts except ids (`…id`)."""
        return (
            {name: self._within(name, value) for name, value in content.items()}
            if self._numbers
            else {**content}
        )

    def text(self, text: str) -> str:
        """A whole text, with dots for each number that was pressed."""
        if not self._numbers:
            return text
        covered, at = list[str](), 0
        places, chain, before = _Places(), list[re.Match[str]](), 0
        for run in [*_DIGITS.finditer(text), None]:
            goes_on = run is not None and _BETWEEN.fullmatch(text, before, run.start()) is not None
            after = self._after(places, run[0]) if run is not None and goes_on else set()
            if chain and not after:
                if sum(len(each[0]) for each in chain) >= SHORTEST:
                    covered += [text[at : chain[0].start()], DOTS]
                    at = chain[-1].end()
                chain = []
            if run is not None:
                places = after or self._begin(run[0])
                chain = [*chain, run] if places else []
                before = run.end()
        return "".join([*covered, text[at:]])

    def _within(self, name: str, value: Any, *, argument: bool = False) -> Any:
        argument = argument or name == "arguments"  # of a tool: there a number may be one that was pressed
        match value:
            case bool() | None:
                return value
            case str() if argument or not name.endswith("id"):
                return self.text(value)
            case int() if argument:
                return covered if (covered := self.text(str(value))) != str(value) else value
            case Mapping():
                return {key: self._within(key, each, argument=argument) for key, each in value.items()}
            case list() | tuple():
                return [self._within(name, each, argument=argument) for each in value]
            case _:
                return value

    def _maybe(self, text: str | None) -> str | None:
        return None if text is None else self.text(text)

    def _ended(self, ended: ReplyEnded) -> ReplyEnded:
        return attrs.evolve(ended, heard_text=self.text(ended.heard_text))

    def _learn(self, pressed: str) -> None:
        for keys in pressed.split(","):
            digits = "".join(key for key in keys if key.isdigit())
            if len(digits) >= SHORTEST and digits not in self._numbers:
                self._numbers.append(digits)

    def _cover_piece(self, reply_id: str, text: str) -> str:
        """A piece of a reply, whose first digits may have been in the piece before."""
        if not self._numbers:
            return text
        places = self._places if reply_id == self._reply else set()
        covered, at = list[str](), 0
        for run in _DIGITS.finditer(text):
            if _BETWEEN.fullmatch(text, at, run.start()) is None:
                places = set()
            after = self._after(places, run[0])
            places = after or self._begin(run[0])
            hidden = bool(after) or (bool(places) and len(run[0]) >= SHORTEST)
            covered += [text[at : run.start()], DOTS if hidden else run[0]]
            at = run.end()
        if _BETWEEN.fullmatch(text, at) is None:
            places = set()
        self._reply, self._places = reply_id, places
        return "".join([*covered, text[at:]])

    def _begin(self, digits: str) -> _Places:
        found = _Places()
        for number in self._numbers:
            if number in digits:
                found.add((number, len(number)))
            at = number.find(digits)
            while at >= 0:
                found.add((number, at + len(digits)))
                at = number.find(digits, at + 1)
        return found

    def _after(self, places: _Places, digits: str) -> _Places:
        return {(number, at + len(digits)) for number, at in places if number.startswith(digits, at)}
