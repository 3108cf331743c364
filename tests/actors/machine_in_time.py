"""The barge-in machine, fed with events and with time that passes. Pure."""

from __future__ import annotations

from typing import TypeAlias

from actors.barge_in.conversation import Conversation
from actors.barge_in.machine import Event, TimePassed, step
from channels.happenings import Happening

__all__ = ["Steps", "told"]

Steps: TypeAlias = list[Event | float]
"""Events, and between them how long nothing comes (s)."""


def told(*events: Event | float, connected: bool = False) -> list[Happening]:
    """What is told of these events; deadlines are met meanwhile.

    Args:
        events: what comes; a number lets so many seconds pass.
        connected: whether there is a session from the beginning.
    """
    conversation, now, found = Conversation(connected=connected), 0.0, list[Happening]()

    def take(event: Event) -> None:
        nonlocal conversation
        conversation, _, happenings = step(conversation, event, now)
        found.extend(happenings)

    for event in events:
        if isinstance(event, float):
            until = now + event
            while conversation.deadline <= until:
                now = max(now, conversation.deadline)
                take(TimePassed())
            now = until
        else:
            take(event)
    return found
