"""Plan: everything about a call that is decided before it begins. One seed, one plan.

A call is a few bouts of trouble. After each, all is fixed, the service is calm, and somebody asks a
question whose answer must be heard. The call then ends calmly, or is cancelled in the middle of one more
bout, or something happens that no agent can survive.
"""

from __future__ import annotations

from collections.abc import Collection
from random import Random

from attrs import evolve, frozen

from tests.simulation.chance import Chance
from tests.simulation.faults import MEETINGS, Fault, draw_bout, draw_fatal

__all__ = ["Plan", "draw_plan"]


@frozen
class Plan:
    """What is to happen in one call."""

    seed: str
    bouts: tuple[tuple[Fault, ...], ...]
    fatal: Fault | None = None
    """What ends the agent in the last bout."""
    cancelled_after_s: float | None = None
    """When in the last bout the agent is told to go; None: at the end, when all is calm."""
    interruptible: bool = True
    queue_ms: int = 100
    hold_ms: int = 20_000
    on_speech_started: str = "hold"
    somebody_comes_after_s: float = 0.0
    first_meetings: tuple[str, ...] = ()
    """What the first connections meet."""

    @property
    def faults(self) -> list[Fault]:
        """All of them, in order; their places here are their numbers."""
        return [fault for bout in self.bouts for fault in bout]

    def keeping(self, numbers: Collection[int]) -> Plan:
        """The same with only some of the faults."""
        bouts, number = [], 0
        for bout in self.bouts:
            bouts.append(tuple(fault for at, fault in enumerate(bout, number) if at in numbers))
            number += len(bout)
        # A bout with nothing in it says nothing, unless the call is to end in it.
        *earlier, last = bouts
        return evolve(self, bouts=(*filter(None, earlier), last))


def draw_plan(seed: str) -> Plan:
    """The plan of a seed."""
    random: Random = Chance(seed).of("plan")
    bouts = [tuple(draw_bout(random)) for _ in range(random.randint(1, 4))]
    ending = random.choice(["calm", "calm", "cancelled", "cancelled", "fatal"])
    return Plan(
        seed,
        tuple(bouts),
        fatal=draw_fatal(random) if ending == "fatal" else None,
        cancelled_after_s=random.uniform(0, 25) if ending == "cancelled" else None,
        interruptible=random.random() > 0.08,
        queue_ms=random.choice([100, 100, 100, 40, 60, 200, 1000]),
        hold_ms=random.choice([20_000, 20_000, 20_000, 3000, 1000, 0]),
        on_speech_started=random.choice(["hold"] * 9 + ["cut"]),
        somebody_comes_after_s=random.choice([0.0, 0.0, random.uniform(0, 3)]),
        first_meetings=tuple(random.choice(MEETINGS) for _ in range(random.choice([0, 0, 0, 0, 0, 0, 1, 2]))),
    )
