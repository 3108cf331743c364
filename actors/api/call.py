"""What is known of a call beyond any one connection. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from actors.api.asked import Asked
from actors.api.in_flight import InFlight
from actors.api.renewal import Quiet
from actors.api.story import Story
from channels.happenings import Happening
from channels.wire.events import ServerEvent, SessionReady, SessionUpdated
from channels.wire.messages import ClientMessage, SessionResume, SessionUpdate

__all__ = ["Call"]


@attrs.define
class Call:
    """One call, through all its connections and sessions.

    Args:
        asked: how the session shall be.
    """

    asked: Asked
    in_flight: InFlight = attrs.field(factory=InFlight, init=False)
    quiet: Quiet = attrs.field(factory=Quiet, init=False)
    session_id: str | None = attrs.field(default=None, init=False)
    """The latest session."""
    address: str | None = attrs.field(default=None, init=False)
    """Where it was begun, or taken up last."""
    _story: Story = attrs.field(factory=Story, init=False)
    _retold: Mapping[str, Any] | None = attrs.field(default=None, init=False)
    """An update that tells a stored agent the story: not what anybody asked for."""

    def first_message(self, resume: str | None) -> ClientMessage:
        """What a connection begins with: a session taken up, or a fresh one that continues the call."""
        if resume is not None:
            return SessionResume(resume)
        return SessionUpdate(self.asked.first_update(story=self._so_far()))

    def ready(self, event: SessionReady, *, resumed: bool) -> None:
        """The service listens."""
        self.in_flight.drop(resumed=resumed)
        if not resumed:
            prompt = event.config.get("system_prompt")
            own = prompt if isinstance(prompt, str) else ""
            update = self.asked.second_update(story=self._so_far(), prompt=own)
            if update:
                self._retold = update
                self.in_flight.add(SessionUpdate(update))
        self.session_id = event.session_id

    def heard(self, event: ServerEvent, now: float) -> Mapping[str, Any] | None:
        """The service said something in a session that is ready.

        Gives the `session` of the update that this answers, if somebody asked for it.
        """
        self.quiet.take(event, now)
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

    def happened(self, happening: Happening, now: float) -> None:
        """Something was told to the taps."""
        self._story.take(happening)
        self.quiet.take(happening, now)

    def _so_far(self) -> str:
        return "" if self.session_id is None else self._story.tell()
