"""Waits grow, stay bounded, and differ."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from channels.backoff import Backoff


@given(st.integers())
def test_waits_double_from_a_quarter_of_a_second_to_five_with_a_quarter_of_jitter(seed: int) -> None:
    backoff = Backoff(Random(seed))
    for nominal in [0.25, 0.5, 1, 2, 4, *[5] * 100]:
        assert nominal <= backoff.next_s() <= nominal * 1.25


@given(st.integers(), st.floats(0.01, 10), st.floats(0.01, 100))
def test_no_wait_is_ever_longer_than_the_longest_and_a_quarter(
    seed: int, first_s: float, longest_s: float
) -> None:
    backoff = Backoff(Random(seed), first_s, longest_s)
    assert all(0 < backoff.next_s() <= longest_s * 1.25 for _ in range(3000))


@given(st.integers())
def test_with_full_jitter_a_wait_is_anything_up_to_its_length(seed: int) -> None:
    backoff = Backoff(Random(seed), full_jitter=True)
    waits = [backoff.next_s() for _ in range(200)]
    for wait, nominal in zip(waits, [0.25, 0.5, 1, 2, 4, *[5] * 195], strict=True):
        assert 0 <= wait <= nominal
    assert min(waits) < 1
    assert max(waits) > 4


def test_two_agents_wait_differently() -> None:
    assert len({Backoff(Random(seed)).next_s() for seed in range(50)}) == 50
