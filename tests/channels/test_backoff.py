"""Waits grow, stay bounded, differ, and end."""

from __future__ import annotations

import math
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from channels.backoff import Backoff


@given(st.integers())
def test_a_wait_is_anything_up_to_a_length_that_doubles_from_a_quarter_of_a_second_to_five(seed: int) -> None:
    backoff = Backoff(Random(seed), math.inf)
    waits = [backoff.next_s(0.0) or 0.0 for _ in range(200)]
    for wait, nominal in zip(waits, [0.25, 0.5, 1, 2, 4, *[5] * 195], strict=True):
        assert 0 <= wait <= nominal
    assert min(waits) < 1
    assert max(waits) > 4


@given(st.integers(), st.floats(0.01, 10), st.floats(0.01, 100))
def test_no_wait_is_ever_longer_than_the_longest(seed: int, first_s: float, longest_s: float) -> None:
    backoff = Backoff(Random(seed), math.inf, first_s, longest_s)
    assert all(0 <= (backoff.next_s(0.0) or 0.0) <= longest_s for _ in range(3000))


@given(st.integers(), st.floats(1, 100), st.booleans())
def test_it_is_given_up_when_its_patience_is_over_and_not_before(
    seed: int, patience_s: float, at_once: bool
) -> None:
    backoff, now = Backoff(Random(seed), patience_s), 1000.0
    while (wait_s := backoff.next_s(now, at_once=at_once)) is not None:
        now += wait_s + 0.1
        assert now - 0.1 <= 1000 + patience_s
    assert now >= 1000 + patience_s - 5
    backoff.well()
    assert backoff.next_s(now) is not None


def test_many_who_wait_wait_differently() -> None:
    assert len({Backoff(Random(seed), math.inf).next_s(0.0) for seed in range(50)}) == 50
