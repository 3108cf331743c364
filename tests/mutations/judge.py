"""Judge: whether the property tests or the simulation find a mistake in the code that lies here.

    python -m tests.mutations.judge [--calls-first]

Prints one line, `KILLED by …` or `SURVIVED`. The order is: any legal order of events in the controller and
the speaker's account (seconds), then calls that once found a bug, then simulated calls.
"""

from __future__ import annotations

import sys

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.actors.test_barge_in import AConversation
from tests.simulation.call import take_place
from tests.simulation.kept import KEPT
from tests.simulation.plan import draw_plan

SIMULATED_S = 1200.0
"""Some 20 calls."""

PROPERTIES = settings(
    max_examples=800,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def main() -> None:
    """Judges."""
    first, then = by_properties, by_simulation
    if "--calls-first" in sys.argv:
        first, then = then, first
    print(first() or then() or "SURVIVED")


def by_properties() -> str:
    """What the state machine finds."""
    try:
        run_state_machine_as_test(AConversation, settings=PROPERTIES)
    except (NameError, ImportError, SyntaxError) as broken:
        return f"NOT CODE: {broken}"  # which any test would find
    except Exception as failure:
        while isinstance(failure, ExceptionGroup):
            failure = failure.exceptions[0]
        said = str(failure).partition("\n")[0]
        return f"KILLED by the property test: {type(failure).__name__}: {said}"
    return ""


def by_simulation() -> str:
    """What simulated calls find."""
    plans = [draw_plan(seed).keeping(numbers) for seed, (numbers, _) in KEPT.items()]
    simulated_s, number = 0.0, 0
    while plans or simulated_s < SIMULATED_S:
        plan = plans.pop(0) if plans else draw_plan(f"judge.{number}")
        number += 1
        outcome = take_place(plan)
        if outcome.broken:
            return f"KILLED by the simulation: {outcome.broken[0].rule}"
        simulated_s += outcome.simulated_s
    return ""


if __name__ == "__main__":
    main()
