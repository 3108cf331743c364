"""What is known about a call across its connections. No I/O, no clock: time is passed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import attrs

from actors.api.going_on import GoingOn
from actors.api.in_flight import InFlight
from actors.api.renewing import Quiet
from actors.api.story import Story
from channels.happenings import Happening
from channels.wire.events import ServerEvent, SessionReady, SessionUpdated, ToolCall
from channels.wire.messages import (
    ClientMessage,
    ConversationMessage,
    ReplyCreate,
    SessionResume,
    SessionUpdate,
    ToolResult,
)

__all__ = ["Call", "DesiredSession"]


@attrs.define
class DesiredSession:
    """The `session` that a fresh start requests.

    Args:
        session: of the first update.
    """

    session: Mapping[str, Any]
    _changes: Mapping[str, Any] = attrs.field(factory=dict, init=False)

    def change(self, session: Mapping[str, Any]) -> None:
        """The service has accepted this update: objects merge field by field, arrays replace."""
        self._changes = _merged(self._changes, session)

    def first_update(self, *, story: str = "") -> dict[str, Any]:
        """The first update of a fresh session.

        Args:
            story: what was said so far in this call, for the model; if there is one, nobody is greeted again.
        """
        if "agent_id" in self.session:
            return dict(self.session)  # it takes nothing beside it
        session = _merged(self.session, self._changes)
        if story:
            session.pop("greeting", None)
            session["system_prompt"] = _with_story(session.get("system_prompt"), story)
        return session

    def second_update(self, *, story: str = "", prompt: str = "") -> dict[str, Any]:
        """What to send once a fresh session is ready: a stored agent's changes; empty if nothing.

        Args:
            story: as above.
            prompt: the stored agent's own, as the service reported it.
        """
        if "agent_id" not in self.session:
            return {}
        changes = dict(self._changes)
        if story:
            changes["system_prompt"] = _with_story(changes.get("system_prompt", prompt), story)
        return changes


def _with_story(prompt: object, story: str) -> str:
    return f"{prompt}\n\n{story}" if isinstance(prompt, str) and prompt else story


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


MOST_CALLS = 1024
"""How many tool calls of lost sessions are remembered."""


@attrs.define
class Call:
    """One call, through all its connections and sessions.

    Args:
        asked: the session to request.
    """

    asked: DesiredSession
    in_flight: InFlight = attrs.field(factory=InFlight, init=False)
    quiet: Quiet = attrs.field(factory=Quiet, init=False)
    going_on: GoingOn = attrs.field(factory=GoingOn, init=False)
    session_id: str | None = attrs.field(default=None, init=False)
    """The latest session."""
    address: str | None = attrs.field(default=None, init=False)
    """The address where it began or was last resumed."""
    _story: Story = attrs.field(factory=Story, init=False)
    _retold: Mapping[str, Any] | None = attrs.field(default=None, init=False)
    """An update that tells a stored agent the story; nobody requested it."""
    _tools: deque[str] = attrs.field(factory=lambda: deque(maxlen=MOST_CALLS), init=False)
    """The latest tool calls in this session."""
    _lost_tools: deque[str] = attrs.field(factory=lambda: deque(maxlen=MOST_CALLS), init=False)
    """Those of the sessions before it."""

    def first_message(self, resume: str | None) -> ClientMessage:
        """A connection's first message: it resumes a session, or starts one that continues the call."""
        if resume is not None:
            return SessionResume(resume)
        return SessionUpdate(self.asked.first_update(story=self._so_far()))

    def waits(self, request: ClientMessage) -> bool:
        """Handles a request made while there was no connection; a fresh session is about to begin.

        Returns whether to send it there. Anything the prompt can tell is not sent: the result of an old
        session's tool, and what people typed.
        """
        known = isinstance(request, ToolResult) and request.call_id in (*self._tools, *self._lost_tools)
        if known or (isinstance(request, ConversationMessage) and self.session_id is not None):
            self._story.note(request)
            return False
        if isinstance(request, ReplyCreate):
            self.going_on.forget()  # the agent speaks in any case
        return True

    def is_too_late(self, request: ClientMessage) -> bool:
        """Whether this is the result of a tool that only a former session knows about."""
        return isinstance(request, ToolResult) and request.call_id in self._lost_tools

    def broke(self, now: float, *, planned: bool) -> None:
        """The connection is gone, either as planned or in the middle of something."""
        if planned:
            self.going_on.forget()
        else:
            self.going_on.broke(now)

    def ready(self, event: SessionReady, now: float, *, resumed: bool) -> None:
        """The service listens."""
        self.in_flight.drop(resumed=resumed)
        if resumed or self.in_flight.asks_for_reply or not self._so_far():
            # The old session may go on by itself; a wish that is sent again is a reply; a call in which
            # nothing was said yet is greeted.
            self.going_on.forget()
        self.going_on.ready(now)
        if not resumed:
            self._lost_tools.extend(self._tools)
            self._tools.clear()
            prompt = event.config.get("system_prompt")
            own = prompt if isinstance(prompt, str) else ""
            update = self.asked.second_update(story=self._so_far(), prompt=own)
            if update:
                self._retold = update
                self.in_flight.add(SessionUpdate(update))
            self._story.told()
        self.session_id = event.session_id

    def heard(self, event: ServerEvent, now: float) -> Mapping[str, Any] | None:
        """Handles what the service says in a session that is ready.

        Returns the `session` of the update that this answers, if somebody requested it.
        """
        self.quiet.take(event, now)
        self.going_on.take(event, now)
        if isinstance(event, ToolCall):
            self._tools.append(event.call_id)
            if event.call_id in self._lost_tools:
                self._lost_tools.remove(event.call_id)
        answered = self.in_flight.take(event)
        if answered is None or answered is self._retold:
            return None
        if isinstance(event, SessionUpdated):
            self.asked.change(answered)
        return answered

    def sends(self, request: ClientMessage, now: float) -> None:
        """A request is being sent."""
        self.in_flight.send(request)
        self._story.note(request)
        self.quiet.take(request, now)
        self.going_on.take(request, now)

    def happened(self, happening: Happening, now: float) -> None:
        """Something was told to the taps."""
        self._story.take(happening)
        self.quiet.take(happening, now)
        self.going_on.take(happening, now)

    def _so_far(self) -> str:
        return "" if self.session_id is None else self._story.tell()
