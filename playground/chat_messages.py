"""Chat completions as every endpoint takes them: what is sent, and the tool calls that come.
No I/O, no clock.

The templates of some models (Mistral's, Gemma's) refuse what others take: a system message that is not the
first, two turns of one side in a row, a conversation that the assistant begins, a person's turn right after a
tool's, ids of calls that are not nine letters and digits. So there is one system message, first, and then
user and assistant in turns, from the person's first to what the model is to answer.

Of the calls, some endpoints number all with 0, some with nothing: a call is told from the next by its id, and
where it has none by its name and by that the one before is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from playground.brain import CallTool
from playground.chat_completions import ChatFailed

__all__ = ["Called", "Calls", "ChatEntry", "Line", "messages"]

BEGINS = "(The call begins.)"
GO_ON = "(Go on.)"
SAID_NOTHING = "…"
_NO_RESULT = "There is no result yet."
_NOTHING = "It returned nothing."
_MOST_CALLS = 8


@attrs.frozen
class Line:
    """What somebody said or wrote; what the `system` wrote is told before all others."""

    role: str
    content: str


@attrs.frozen
class Called:
    """A tool that the model called, and what came of it, as far as it is known."""

    call: CallTool
    result: str | None = None


ChatEntry: TypeAlias = Line | Called


def messages(
    prompt: str, history: Iterable[ChatEntry], instructions: str | None = None
) -> list[dict[str, Any]]:
    """What is sent.

    Args:
        prompt: of the system; blank if there is none.
        history: in order.
        instructions: for this one answer, by the application.
    """
    system = [prompt]
    told: list[dict[str, Any]] = []
    for entry in history:
        match entry:
            case Line(role="system", content=content):
                system.append(content)
            case Line(role="assistant", content=content):
                _say(told, "assistant", content)
            case Line(content=content):
                _say(told, "user", content)
            case Called():
                _call(told, entry)
    if instructions is not None:
        _say(told, "user", f"(For your next answer, and not said by the person: {instructions})")
    if told and told[-1]["role"] == "assistant":
        _say(told, "user", GO_ON)
    first = "\n\n".join(text for text in system if text.strip())
    return [{"role": "system", "content": first}, *told] if first else told


def _say(told: list[dict[str, Any]], role: str, content: str) -> None:
    if not content.strip():
        return
    last = told[-1] if told else None
    if last is not None and last["role"] == role and "tool_calls" not in last:
        last["content"] += f"\n{content}"
        return
    if role == "user" and last is not None and last["role"] == "tool":
        told.append({"role": "assistant", "content": SAID_NOTHING})
    if role == "assistant" and last is None:
        told.append({"role": "user", "content": BEGINS})
    told.append({"role": role, "content": content})


def _call(told: list[dict[str, Any]], called: Called) -> None:
    """The call and its result together, as the endpoints insist; those of one turn are side by side."""
    if not told:
        told.append({"role": "user", "content": BEGINS})
    at = len(told)
    while told[at - 1]["role"] == "tool":
        at -= 1
    turn = told[at - 1]
    if turn["role"] != "assistant":
        turn = {"role": "assistant", "content": "", "tool_calls": []}
        told.append(turn)
    function = {"name": called.call.name, "arguments": json.dumps(called.call.arguments)}
    short = hashlib.sha256(called.call.call_id.encode()).hexdigest()[:9]
    turn.setdefault("tool_calls", []).append({"id": short, "type": "function", "function": function})
    result = _NO_RESULT if called.result is None else called.result
    if not result.strip():
        result = _NOTHING
    told.append({"role": "tool", "tool_call_id": short, "content": result})


@attrs.define
class _Call:
    name: str
    call_id: str
    arguments: str = ""

    def is_complete(self) -> bool:
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


@attrs.define
class Calls:
    """Puts the tool calls of one answer together, whose arguments come in pieces."""

    _calls: list[_Call] = attrs.field(factory=list, init=False)
    _at: dict[int | None, _Call] = attrs.field(factory=dict, init=False)
    """By index, the call that was written there last."""

    def __bool__(self) -> bool:
        return bool(self._calls)

    def take(self, pieces: object) -> None:
        """Takes the `tool_calls` of a delta.

        Raises:
            ChatFailed: they are none, or too many.
        """
        for piece in pieces if isinstance(pieces, list) else ():
            if not isinstance(piece, Mapping) or not isinstance(piece.get("function"), Mapping):
                raise ChatFailed("its tool call is malformed")
            function = piece["function"]
            name, written = function.get("name") or "", function.get("arguments") or ""
            arguments = written if isinstance(written, str) else json.dumps(written)
            call_id, index = piece.get("id") or "", piece.get("index")
            call = self._call(str(name), str(call_id), index if isinstance(index, int) else None, arguments)
            call.arguments += arguments

    def _call(self, name: str, call_id: str, index: int | None, arguments: str) -> _Call:
        same = next((call for call in self._calls if call_id and call.call_id == call_id), None)
        if same is not None:
            return same
        before = self._at.get(index) or (self._calls[-1] if self._calls and not name else None)
        if before is not None and not self._begins(before, name, call_id, index, arguments):
            return before
        if not name:
            raise ChatFailed("its tool call has no name")
        if len(self._calls) >= _MOST_CALLS:
            raise ChatFailed("it calls too many tools at once")
        call = _Call(name, call_id)
        self._calls.append(call)
        self._at[index] = call
        return call

    def _begins(self, before: _Call, name: str, call_id: str, index: int | None, arguments: str) -> bool:
        """Whether a piece is of another call than the one at its index."""
        if not name:
            return False
        if call_id and before.call_id:
            return True
        return index is None or (before.is_complete() and (bool(arguments) or name != before.name))

    def complete(self) -> list[CallTool]:
        """The calls.

        Raises:
            ChatFailed: their arguments are no JSON object.
        """
        calls = []
        for call in self._calls:
            try:
                arguments = json.loads(call.arguments or "{}")
            except (ValueError, RecursionError):
                arguments = None
            if not isinstance(arguments, dict):
                raise ChatFailed(f"it called {call.name[:60]} with arguments that are not a JSON object")
            calls.append(CallTool(call.name, arguments))
        return calls
