"""Whether one more room is taken. That is decided before anybody hears the agent.

A pure decision. It knows the load, the rooms, and how many of these came so lately that the load does not
show them yet; each of those counts with what a room has been seen to cost.
"""

from __future__ import annotations

import enum

from attrs import frozen

__all__ = ["Admission", "House", "Refusal"]

A_ROOMS_LOAD = 0.05
"""What a room costs on one processor, before one has been measured (`bench.fleet`)."""

_MOST_A_ROOM = 0.25
"""A machine that is busy with something else is not a sign of what a room costs."""

SHOWN_AFTER_S = 10.0
"""So long after it came, a room is in the measured load (`load.WINDOW_S`)."""


class Refusal(enum.Enum):
    """Why a room is not taken."""

    DRAINING = "this worker is leaving"
    FULL = "it has as many rooms as it may have"
    BUSY = "the machine is too busy for one more room"
    SERVICE = "the Voice Agent API has no place for one more session"
    METADATA = "the job's metadata cannot be read"


@frozen
class House:
    """How things stand."""

    load: float
    """Between 0 and 1."""
    rooms: int
    """That run, or were accepted."""
    fresh: int = 0
    """Of these, that came within the last ten seconds."""
    draining: bool = False
    service_is_full: bool = False

    @property
    def expected(self) -> float:
        """The load once the rooms that came lately cost what the others do."""
        settled = self.rooms - self.fresh
        each = max(A_ROOMS_LOAD, self.load / settled if settled else 0.0)
        return self.load + self.fresh * min(each, _MOST_A_ROOM)


@frozen
class Admission:
    """The rules.

    Args:
        most_rooms: an exact cap; None: the load alone decides.
        most_load: from this load on, no room is taken; 1: the load decides nothing.
    """

    most_rooms: int | None = None
    most_load: float = 0.75

    def load(self, house: House) -> float:
        """All that counts for one more room as one number, 0 to 1: from `most_load` on, none is taken.

        It is what is measured and expected, or the share of the rooms that it may have, whichever is more.
        """
        rooms = house.rooms / self.most_rooms if self.most_rooms else 0.0
        return min(1.0, max(house.expected, rooms * self.most_load))

    def refusal(self, house: House) -> Refusal | None:
        """Why one more room is not taken; None: it is."""
        if house.draining:
            return Refusal.DRAINING
        if self.most_rooms is not None and house.rooms >= self.most_rooms:
            return Refusal.FULL
        if house.service_is_full:
            return Refusal.SERVICE
        if self.most_load < 1 and house.expected >= self.most_load:
            return Refusal.BUSY
        return None
