from __future__ import annotations

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import given

from commands.fleet.admission import Admission, House, Refusal

houses = st.integers(0, 50).flatmap(
    lambda rooms: st.builds(
        House, st.floats(0, 1), st.just(rooms), st.integers(0, rooms), st.booleans(), st.booleans()
    )
)
admissions = st.builds(Admission, st.none() | st.integers(0, 40), st.floats(0.1, 0.99))


@pytest.mark.parametrize(
    ("house", "refusal"),
    [
        (House(0.0, 0), None),
        (House(0.7, 9), None),
        (House(0.76, 9), Refusal.BUSY),
        (House(0.7, 10), Refusal.FULL),
        (House(0.0, 0, draining=True), Refusal.DRAINING),
        (House(0.0, 3, service_is_full=True), Refusal.SERVICE),
        (House(0.1, 8, fresh=8), None),
        (House(0.6, 8, fresh=4), Refusal.BUSY),
    ],
)
def test_a_room_is_taken_or_not(house: House, refusal: Refusal | None) -> None:
    assert Admission(most_rooms=10).refusal(house) is refusal


def test_a_burst_of_rooms_is_not_taken_before_the_first_of_them_is_felt() -> None:
    admission, taken = Admission(), 0
    while admission.refusal(House(0.1, taken, fresh=taken)) is None:
        taken += 1
    assert 5 < taken < 20


@given(houses, admissions)
def test_what_makes_things_worse_never_opens_the_door(house: House, admission: Admission) -> None:
    if admission.refusal(house) is None:
        return
    worse = [
        evolve(house, load=min(1.0, house.load + 0.1)),
        evolve(house, rooms=house.rooms + 1, fresh=house.fresh + 1),
        evolve(house, draining=True),
    ]
    assert all(admission.refusal(one) is not None for one in worse)


@given(houses)
def test_an_exact_cap_is_never_passed(house: House) -> None:
    if house.rooms >= 3:
        assert Admission(most_rooms=3, most_load=1.1).refusal(house) is not None


@given(houses, admissions)
def test_the_load_that_is_told_reaches_the_limit_just_when_no_room_is_taken(
    house: House, admission: Admission
) -> None:
    by_load = admission.refusal(evolve(house, draining=False, service_is_full=False))
    if admission.most_rooms == 0:
        return  # a worker that takes none
    assert (admission.load(house) >= admission.most_load) is (by_load is not None)


def test_a_load_that_decides_nothing_leaves_it_to_the_cap() -> None:
    admission = Admission(most_rooms=3, most_load=1.0)
    assert admission.refusal(House(1.0, 2, fresh=2)) is None
    assert admission.refusal(House(1.0, 3)) is Refusal.FULL
