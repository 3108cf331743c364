"""Simulates calls: hours of conversation in minutes, in virtual time, with everything that can go wrong.

    python -m tests.simulate --seed 1 --hours 2          so much of it; prints what it covered
    python -m tests.simulate --call 1.17                 one call again, with its timeline
    python -m tests.simulate --call 1.17 --keep 3,9      the same with only some of its faults

See `tests/simulation` for what is simulated and which rules are checked. The exit code is 1 if a rule was
broken: then the seed, the fewest faults that break it, and a timeline are printed.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from time import perf_counter

from tests.simulation.call import Outcome, take_place
from tests.simulation.coverage import Coverage
from tests.simulation.plan import draw_plan
from tests.simulation.shrinking import command, shrink

LINES_SHOWN = 60
SHRINK_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description="Simulates calls.")
    parser.add_argument("--seed", default="1", help="which calls (default: 1)")
    parser.add_argument("--hours", type=float, default=0.5, help="how many simulated hours (default: 0.5)")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes (default: 1)")
    parser.add_argument("--go-on", action="store_true", help="do not stop at the first broken rule")
    parser.add_argument("--call", help="run this one call again")
    parser.add_argument("--keep", help="of that call, keep only these faults, e.g. 3,9 or none")
    options = parser.parse_args(arguments)
    if options.call:
        return _run_again(options.call, options.keep)
    return _run_many(options.seed, options.hours, options.jobs, go_on=options.go_on)


def _run_again(seed: str, keep: str | None) -> int:
    plan = draw_plan(seed)
    if keep is not None:
        plan = plan.keeping([] if keep == "none" else [int(number) for number in keep.split(",")])
    outcome = take_place(plan)
    print(outcome.timeline.text())
    print(f"{outcome.simulated_s:.1f} simulated seconds in {outcome.took_s:.1f} s", file=sys.stderr)
    for broken in outcome.broken:
        print(f"BROKEN {broken}")
    return 1 if outcome.broken else 0


def _run_many(seed: str, hours: float, jobs: int, *, go_on: bool) -> int:
    coverage, began, failed = Coverage(), perf_counter(), False
    for outcome in _outcomes(seed, jobs):
        coverage.add(outcome)
        if outcome.broken:
            failed = True
            if not go_on:
                _report(outcome)
                break
            print(f"{command(outcome.plan)}\n    {outcome.broken[0]}", flush=True)
        if coverage.simulated_s >= hours * 3600:
            break
    print(coverage.text())
    print(f"\n{coverage.simulated_s / 60 / (perf_counter() - began):.1f} simulated hours a minute")
    return 1 if failed else 0


def _outcomes(seed: str, jobs: int) -> Iterator[Outcome]:
    """Of one call after the other, in the order in which they end."""
    seeds = (f"{seed}.{number}" for number in itertools.count())
    if jobs == 1:
        for each in seeds:
            yield take_place(draw_plan(each))
    with ProcessPoolExecutor(jobs) as pool:
        running: set[Future[Outcome]] = set()
        try:
            while True:
                while len(running) < jobs:
                    running.add(pool.submit(_take_place, next(seeds)))
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        finally:
            for future in running:
                future.cancel()


def _take_place(seed: str) -> Outcome:
    outcome = take_place(draw_plan(seed))
    if not outcome.broken:
        outcome.timeline.entries.clear()
    return outcome


def _report(outcome: Outcome) -> None:
    print(
        f"BROKEN {outcome.broken[0]}\n\nin the call {command(outcome.plan)}; leaving out faults …\n",
        flush=True,
    )
    smallest, kept = shrink(outcome, within_s=SHRINK_S)
    lines = smallest.timeline.text().splitlines()
    if len(lines) > LINES_SHOWN:
        print(f"     … {len(lines) - LINES_SHOWN} earlier lines")
    print("\n".join(lines[-LINES_SHOWN:]))
    print(f"\n{len(outcome.plan.faults)} faults shrunk to {len(kept)}. The same again, exactly:\n")
    print(f"    {command(outcome.plan, kept)}\n")


if __name__ == "__main__":
    sys.exit(main())
