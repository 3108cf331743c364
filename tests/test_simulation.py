"""Simulated calls: a fixed budget of them, the same again byte by byte, and a broken agent is caught."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from actors.barge_in.table import TABLE, Order, ReplyPhase, ReplySignal
from channels.child import tied
from tests import simulate
from tests.simulation.call import take_place
from tests.simulation.chance import Chance
from tests.simulation.coverage import Coverage
from tests.simulation.faults import DRAWS, MEETINGS, Fault, draw_fatal
from tests.simulation.kept import KEPT
from tests.simulation.plan import Plan, draw_plan
from tests.simulation.shrinking import command

HOURS = 1.0
"""In one test run; `python -m tests.simulate` runs as many more as one likes."""


@pytest.mark.slow
def test_hours_of_calls_break_no_rule(
    capsys: pytest.CaptureFixture[str],
) -> None:
    coverage, number = Coverage(), 0
    while coverage.simulated_s < HOURS * 3600:
        outcome = take_place(draw_plan(f"ci.{number}"))
        assert not outcome.broken, f"{outcome.broken[0]}\nThe same again: {command(outcome.plan)}"
        coverage.add(outcome)
        number += 1
    with capsys.disabled():
        print(f"\nsimulation: {coverage.line()}")
    met = {name.removeprefix("fault ") for name in coverage.counts if name.startswith("fault ")}
    assert {type(draw(0.0, Chance("any").of("fault"))).__name__ for _, draw in DRAWS} <= met, "too few calls"


@pytest.mark.parametrize("seed", KEPT)
def test_what_was_a_bug_once_is_none_any_more(seed: str) -> None:
    numbers, _ = KEPT[seed]
    assert take_place(draw_plan(seed).keeping(numbers)).broken == []


_RANDOMS = st.randoms(use_true_random=False)
_FAULTS: st.SearchStrategy[Fault] = st.builds(
    lambda at_s, draw, random: draw(at_s, random),
    st.floats(0, 20),
    st.sampled_from([draw for _, draw in DRAWS]),
    _RANDOMS,
)
_BOUTS = st.lists(_FAULTS, max_size=6).map(lambda bout: tuple(sorted(bout, key=lambda fault: fault.at_s)))
_PLANS = st.builds(
    Plan,
    seed=st.integers(0, 999).map(str),
    bouts=st.lists(_BOUTS, min_size=1, max_size=2).map(tuple),
    fatal=st.none() | _RANDOMS.map(draw_fatal),
    cancelled_after_s=st.none() | st.floats(0, 20),
    interruptible=st.booleans(),
    queue_ms=st.integers(20, 1000),
    hold_ms=st.sampled_from([3000, 1000, 0]),
    first_meetings=st.lists(st.sampled_from(MEETINGS), max_size=1).map(tuple),
)


@pytest.mark.slow
@given(plan=_PLANS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_faults_that_hypothesis_thinks_of_break_a_rule(plan: Plan) -> None:
    assert take_place(plan).broken == []


def test_the_same_seed_is_the_same_call_to_the_byte_in_any_process() -> None:
    def timeline(hash_seed: str) -> bytes:
        return subprocess.run(
            tied([sys.executable, "-m", "tests.simulate", "--call", "ci.3"]),
            cwd=Path(__file__).parents[1],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout

    here = take_place(draw_plan("ci.3")).timeline.text() + "\n"
    assert len(here.splitlines()) > 100
    assert timeline("1").decode() == here
    assert timeline("2").decode() == here


def test_a_broken_agent_is_caught_and_the_printed_command_breaks_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    complete = {**TABLE[ReplyPhase.COMPLETE], ReplySignal.INTERRUPTED: (ReplyPhase.COMPLETE, Order.NOTHING)}
    monkeypatch.setattr("actors.barge_in.machine.TABLE", {**TABLE, ReplyPhase.COMPLETE: complete})
    monkeypatch.setattr(simulate, "SHRINK_S", 3.0)
    assert simulate.main(["--hours", "3"]) == 1
    printed = capsys.readouterr().out
    broken = re.findall(r"^BROKEN at .* s: ([^:]*):", printed, re.MULTILINE)
    (replay,) = re.findall(r"^    python -m tests\.simulate (--call \S+ --keep \S+)$", printed, re.MULTILINE)
    assert simulate.main(replay.split()) == 1
    again = capsys.readouterr().out
    assert broken[0] in re.findall(r"^BROKEN at .* s: ([^:]*):", again, re.MULTILINE)
    timeline = {line for line in again.splitlines() if "  BROKEN  " in line}
    assert timeline, "the timeline says where"
    assert timeline <= set(printed.splitlines()), "the same, to the millisecond"
