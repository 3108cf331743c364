"""The inputs that the deciding actors took, and when, for a record: their decisions follow from these.

The wiring names the channels by `On`, the record is written with it, and a replay finds them again.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs

__all__ = ["Noted", "On", "Seen"]


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


@attrs.frozen
class Noted:
    """Something that passed."""

    at: float
    """Seconds on Trio's clock."""
    on: str
    """The channel, or one of `On`."""
    what: Any


@attrs.frozen
class Seen(Noted):
    """An input that a deciding actor took, at its own time, before it acts on it."""
