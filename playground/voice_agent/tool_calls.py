"""The tool calls of a session that wait for a result, and the results that wait for the person to stop.

A call is answered once. One that the interrupted reply asked for is waited for no more (protocol reference,
7.3), nor is its result, should it have come already.
"""

from __future__ import annotations

import attrs

from playground.brain import CallTool

__all__ = ["Returned", "ToolCalls"]

_MOST = 100


@attrs.frozen
class _Open:
    call: CallTool
    reply_id: str | None
    """The reply in which it was asked for."""
    hold: bool
    repeats: bool


@attrs.frozen
class Returned:
    """What came of a call."""

    call: CallTool
    reply_id: str | None
    """The reply in which it was asked for."""
    result: str
    is_error: bool


@attrs.define
class ToolCalls:
    """Which calls are open. No I/O, no clock."""

    _open: dict[str, _Open] = attrs.field(factory=dict, init=False)
    _returned: list[Returned] = attrs.field(factory=list, init=False)

    @property
    def on_hold(self) -> bool:
        """Whether a call is open whose tool is to be waited for in silence (`execution_mode: hold`)."""
        return any(one.hold for one in self._open.values())

    @property
    def has_returned(self) -> bool:
        """Whether there are results that nothing has come of yet."""
        return bool(self._returned)

    def add(self, call: CallTool, reply_id: str | None, *, hold: bool, repeats: bool = False) -> bool:
        """A call that was sent; false if there are too many to wait for it.

        Args:
            call: of the tool.
            reply_id: the reply in which it was asked for; None: a test's.
            hold: its tool's mode.
            repeats: it is the same as one before: nothing comes of its result.
        """
        if len(self._open) >= _MOST:
            return False
        self._open[call.call_id] = _Open(call, reply_id, hold, repeats)
        return True

    def name(self, call_id: str) -> str | None:
        """The tool that a call is of; None if it is not open."""
        found = self._open.get(call_id)
        return None if found is None else found.call.name

    def returned(self, call_id: str, result: str, *, is_error: bool) -> None:
        """Its result, which is kept until it is taken. Ignored if nobody waits for it."""
        found = self._open.pop(call_id, None)
        if found is not None and not found.repeats:
            self._returned.append(Returned(found.call, found.reply_id, result, is_error))

    def take_returned(self) -> list[Returned]:
        """The results that nothing has come of yet; they are taken away."""
        returned, self._returned = self._returned, []
        return returned

    def forget_of(self, reply_id: str) -> None:
        """A reply was interrupted: what it asked for is not waited for."""
        self._open = {key: one for key, one in self._open.items() if one.reply_id != reply_id}
        self._returned = [one for one in self._returned if one.reply_id != reply_id]

    def forget(self) -> None:
        """Results of earlier calls are ignored from now on."""
        self._open.clear()
