"""Shrinking: the fewest faults of a call with which the same rule is broken.

Faults are left out, many at a time and then one by one, as long as the rule stays broken (delta debugging).
The plan that is left can be run again by its seed and the numbers of the faults that were kept.
"""

from __future__ import annotations

from time import perf_counter

from tests.simulation.call import Outcome, take_place
from tests.simulation.plan import Plan, draw_plan

__all__ = ["command", "shrink"]


def shrink(outcome: Outcome, *, within_s: float) -> tuple[Outcome, list[int]]:
    """A call with fewer faults that breaks the first rule which `outcome` broke, and which ones it keeps.

    Args:
        outcome: of a call whose plan was drawn from its seed.
        within_s: real time to take.
    """
    rule, until = outcome.broken[0].rule, perf_counter() + within_s
    plan = draw_plan(outcome.plan.seed)
    kept = list(range(len(plan.faults)))
    smallest = outcome
    size = len(kept)
    while size >= 1 and perf_counter() < until:
        smaller = False
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            tried = take_place(plan.keeping(fewer))
            if any(broken.rule == rule for broken in tried.broken):
                kept, smallest, smaller = fewer, tried, True
                break
            if perf_counter() > until:
                break
        if not smaller or size > len(kept):
            size //= 2
    return smallest, kept


def command(plan: Plan, kept: list[int] | None = None) -> str:
    """What to type to run a call again, exactly."""
    keep = "" if kept is None else f" --keep {','.join(map(str, kept)) or 'none'}"
    return f"python -m tests.simulate --call {plan.seed}{keep}"
