"""Whether a worker takes jobs while the Voice Agent API refuses sessions: the rule alone."""

from __future__ import annotations

import statistics
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from commands.fleet.service import FIRST_S, LONGEST_S, ServicePlaces


def waits(seed: int, refusals: int) -> list[float]:
    """How long it stays away after each of so many refusals, if nothing else happens."""
    places, now, waited = ServicePlaces(Random(seed)), 0.0, []
    for _ in range(refusals):
        places.refused(now)
        since = now
        while places.is_full(now):
            now += 0.1
        waited.append(now - since)
    return waited


def test_it_stays_away_longer_the_longer_the_service_is_full_but_never_for_long() -> None:
    runs = [waits(seed, 8) for seed in range(50)]
    first, last = [run[0] for run in runs], [run[-1] for run in runs]
    assert max(first) <= FIRST_S + 0.1
    assert max(max(run) for run in runs) <= LONGEST_S + 0.1
    assert statistics.mean(last) > 3 * statistics.mean(first)
    assert len({round(wait, 1) for wait in first}) > 25, "workers of one account do not come back together"


@given(st.integers(), st.lists(st.floats(0, 5), min_size=1, max_size=50))
def test_many_rooms_that_are_refused_at_once_are_one_answer(seed: int, after_s: list[float]) -> None:
    places, now = ServicePlaces(Random(seed)), 0.0
    places.refused(now)
    ends = next(at / 10 for at in range(1000) if not places.is_full(at / 10))
    for each in after_s:
        if places.is_full(each):
            places.refused(each)
    assert not places.is_full(max([ends, *after_s]))


@given(st.integers(), st.integers(1, 20))
def test_a_session_that_begins_clears_it(seed: int, refusals: int) -> None:
    places = ServicePlaces(Random(seed))
    for at in range(refusals):
        places.refused(float(at))
    places.accepted()
    assert not places.is_full(0.0)
    places.refused(100.0)
    assert not places.is_full(100.0 + FIRST_S)
