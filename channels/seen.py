"""Where a record says that something passed: channels by their names, and what has none.

The wiring names the channels by these, the record is written with them, and a replay finds them again.
"""

from __future__ import annotations

import enum

__all__ = ["On"]


class On(enum.StrEnum):
    """A channel, or what those who decide are told in another way."""

    TEXTS = "texts"
    DEPARTURES = "departures"
    MICROPHONE = "microphone"
    ONSET = "onset"
    SOUNDING = "sounding"
    REQUESTS = "requests"
    ORDERS = "orders"
    REPORTS = "reports"
    SERVICE = "service"
    SOUNDS = "sounds"
    ROOM = "room"
    FILLS = "fills"
    HAPPENINGS = "happenings"
    """What every tap is told."""
    TOOLS = "tools"
    """What the controller takes from its tap: that a tool has returned."""
    DEADLINE = "deadline"
    """The controller's own time has come."""
    RECORD = "record"
    """What a record says of itself."""
