"""The floor: whether the agent's voice may go on while somebody seems to speak, as a table. Pure.

The service takes one to two seconds to decide that the person interrupts. A local onset needs no decision:
it only *holds* the voice, which costs nothing to undo, since what was not played waits on our side. If the
service confirms, the reply is cut; if the person only coughed, the voice goes on from where it was. A hold
always ends: it has a deadline from its first moment.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

from attrs import evolve, frozen

from channels.settings import HoldSettings

__all__ = ["FLOOR_TABLE", "Floor", "FloorOrder", "FloorSignal", "FloorState"]

TRUSTED_UNCONFIRMED = 3
"""So many holds in a row that the service did not confirm, and the onsets are not believed until it
confirms an interruption again: the microphone hears the agent's own voice, or a radio."""


class Floor(enum.Enum):
    """Who has it."""

    FREE = "free"
    """The agent may speak."""
    HELD = "held"
    """The person sounds; the voice waits."""
    LINGERING = "lingering"
    """The person fell silent; the voice waits a little longer for the service's decision."""


class FloorSignal(enum.Enum):
    """What can happen."""

    SOUND = "sound"
    """The person's first sound, while the agent has something to say."""
    SILENCE = "silence"
    """The person's sound is over."""
    DECIDED = "decided"
    """The service says that the person interrupts."""
    DEADLINE = "deadline"
    """The hold has lasted long enough."""


class FloorOrder(enum.Enum):
    """What the speaker is told."""

    NOTHING = "nothing"
    HOLD = "hold"
    RESUME = "resume"


FLOOR_TABLE: Mapping[Floor, Mapping[FloorSignal, tuple[Floor, FloorOrder]]] = {
    Floor.FREE: {
        FloorSignal.SOUND: (Floor.HELD, FloorOrder.HOLD),
        FloorSignal.SILENCE: (Floor.FREE, FloorOrder.NOTHING),
        FloorSignal.DECIDED: (Floor.FREE, FloorOrder.NOTHING),
        FloorSignal.DEADLINE: (Floor.FREE, FloorOrder.NOTHING),
    },
    Floor.HELD: {
        FloorSignal.SOUND: (Floor.HELD, FloorOrder.NOTHING),
        FloorSignal.SILENCE: (Floor.LINGERING, FloorOrder.NOTHING),
        FloorSignal.DECIDED: (Floor.FREE, FloorOrder.RESUME),
        FloorSignal.DEADLINE: (Floor.FREE, FloorOrder.RESUME),
    },
    Floor.LINGERING: {
        FloorSignal.SOUND: (Floor.HELD, FloorOrder.NOTHING),
        FloorSignal.SILENCE: (Floor.LINGERING, FloorOrder.NOTHING),
        FloorSignal.DECIDED: (Floor.FREE, FloorOrder.RESUME),
        FloorSignal.DEADLINE: (Floor.FREE, FloorOrder.RESUME),
    },
}


@frozen
class FloorState:
    """The floor, with its times (s)."""

    settings: HoldSettings
    floor: Floor = Floor.FREE
    deadline: float = math.inf
    """When a hold ends by itself; infinity while there is none."""
    held_at: float = -math.inf
    unconfirmed: int = 0
    """Holds in a row that the service did not confirm."""

    def believes(self) -> bool:
        """Whether an onset may hold the voice."""
        return self.settings.longest_ms > 0 and self.unconfirmed < TRUSTED_UNCONFIRMED

    def take(self, signal: FloorSignal, now: float) -> tuple[FloorState, FloorOrder]:
        """The floor after a signal, and the order."""
        floor, order = FLOOR_TABLE[self.floor][signal]
        held_at = now if order is FloorOrder.HOLD else self.held_at
        unconfirmed = self.unconfirmed
        if signal is FloorSignal.DECIDED:
            unconfirmed = 0
        elif order is FloorOrder.RESUME:
            unconfirmed += 1
        return (
            evolve(
                self,
                floor=floor,
                held_at=held_at,
                deadline=self._deadline(floor, held_at, now),
                unconfirmed=unconfirmed,
            ),
            order,
        )

    def _deadline(self, floor: Floor, held_at: float, now: float) -> float:
        if floor is Floor.FREE:
            return math.inf
        longest = held_at + self.settings.longest_ms / 1000
        if floor is Floor.HELD:
            return longest
        if self.floor is Floor.LINGERING:
            return self.deadline
        return min(longest, now + self.settings.linger_ms / 1000)
