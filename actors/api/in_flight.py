"""Requests that the service may not have received yet, and what happens to each after a drop.
No I/O, no clock.

A pong shows that everything before its ping has arrived; an update is confirmed only by its answer. Requests
that were in flight when a connection broke are sent once more, never twice, where that does no harm:

- `session.update`: again. It sets values; the same values twice are the same values.
- `tool.result`: again after a resume, since a call takes one result and ignores a second. Not in a fresh
  session, which does not know the call; its prompt says what the tool returned (`Story`).
- `conversation.message`: again after a resume; at worst the model reads it twice. Not in a fresh session,
  whose prompt includes it (`Story`).
- `reply.create`: again, unless a reply has begun since; at worst a reply that nobody heard is repeated.
- `reply.cancel`: never. Its reply did not survive the connection, or is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from channels.wire.events import ReplyStarted, ServerEvent, SessionFailed, SessionUpdated
from channels.wire.messages import ClientMessage, ConversationMessage, ReplyCreate, SessionUpdate, ToolResult

__all__ = ["InFlight", "refuses_update"]

MOST = 256
"""Requests remembered: far more than are made between two pings. Beyond that, the oldest is forgotten."""

_AFTER_RESUME = (SessionUpdate, ToolResult, ConversationMessage, ReplyCreate)
_AFTER_FRESH_START = (SessionUpdate, ReplyCreate)

_REFUSALS = frozenset(
    ("invalid_value", "invalid_config", "invalid_webhook", "immutable_field", "agent_id_not_first")
)


@attrs.frozen
class _Sent:
    number: int
    message: ClientMessage
    again: bool = False
    """It has been sent once more already."""


@attrs.define
class InFlight:
    """The requests of one session actor, oldest first."""

    _sent: list[_Sent] = attrs.field(factory=list, init=False)
    _again: list[ClientMessage] = attrs.field(factory=list, init=False)
    """What is still to be sent once more on this connection."""
    _count: int = attrs.field(default=0, init=False)

    def send(self, message: ClientMessage) -> None:
        """A request is being sent."""
        self._note(message, again=False)

    def add(self, message: ClientMessage) -> None:
        """Puts a message ahead of everything that is to be sent once more."""
        self._again.insert(0, message)

    def send_again(self) -> ClientMessage | None:
        """The next one that has to be sent once more, as being sent from now on."""
        if not self._again:
            return None
        message = self._again.pop(0)
        self._note(message, again=True)
        return message

    @property
    def asks_for_reply(self) -> bool:
        """Whether a request for a reply is to be sent once more."""
        return any(isinstance(message, ReplyCreate) for message in self._again)

    def mark(self) -> int:
        """All that was sent so far, for `arrived`."""
        return self._count

    def arrived(self, mark: int) -> None:
        """The service had everything up to the mark; updates wait for their answer all the same."""
        self._sent = [
            one for one in self._sent if one.number > mark or isinstance(one.message, SessionUpdate)
        ]

    def take(self, event: ServerEvent) -> Mapping[str, Any] | None:
        """An event that may be an answer. Gives the `session` of the update that it answers."""
        match event:
            case SessionUpdated():
                return self._answered()
            case SessionFailed() if refuses_update(event):
                return self._answered()
            case ReplyStarted():
                self._sent = [one for one in self._sent if not isinstance(one.message, ReplyCreate)]
            case _:
                pass
        return None

    def drop(self, *, resumed: bool) -> None:
        """There is another connection, to the same session or to a fresh one."""
        kinds = _AFTER_RESUME if resumed else _AFTER_FRESH_START
        once = [one.message for one in self._sent if not one.again]
        self._again = [message for message in (*once, *self._again) if isinstance(message, kinds)]
        self._sent = []

    def forget(self) -> None:
        """Nothing of it is needed any more."""
        self._sent, self._again = [], []

    def _note(self, message: ClientMessage, *, again: bool) -> None:
        self._count += 1
        if isinstance(message, _AFTER_RESUME):
            self._sent = [*self._sent[-MOST + 1 :], _Sent(self._count, message, again)]

    def _answered(self) -> Mapping[str, Any] | None:
        for place, one in enumerate(self._sent):
            if isinstance(one.message, SessionUpdate):
                del self._sent[place]
                return one.message.session
        return None


def refuses_update(failed: SessionFailed) -> bool:
    """Whether an error is the answer to a `session.update`: nothing else has a value, or a field."""
    code = failed.code.strip().lower()
    return code in _REFUSALS or (code == "invalid_format" and "session.update" in failed.message)
