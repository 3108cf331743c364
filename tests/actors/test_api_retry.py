"""When to resume, when to start afresh, when to give up: the rule alone, without any connection."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.renewing import GIVE_UP_AFTER_S, RESUME_WITHIN_S, START_WITHIN_S, Next, RetryPolicy
from channels.wire.failures import (
    ConfigurationRefused,
    ConnectionLost,
    KeyRefused,
    MessageRefused,
    ServiceBusy,
    ServiceError,
    ServiceFault,
    ServiceUnreachable,
    SessionClosedByService,
    SessionGone,
)

NEVER_AGAIN = (KeyRefused, ConfigurationRefused, MessageRefused)
AFRESH = (SessionGone, SessionClosedByService)
LATER = (ServiceBusy, ServiceFault, ServiceUnreachable)
LONGEST_WAIT_S = 5.0

failures = st.sampled_from([*NEVER_AGAIN, *AFRESH, *LATER, ConnectionLost])


def failure(kind: type[ServiceError]) -> ServiceError:
    return kind("it failed", "do something")


@pytest.mark.parametrize("kind", NEVER_AGAIN)
def test_what_trying_again_cannot_mend_is_not_tried_again(kind: type[ServiceError]) -> None:
    policy = RetryPolicy(Random(1))
    policy.ready(0.0)
    assert policy.failed(failure(kind), 100.0) is None


@pytest.mark.parametrize("kind", [ConnectionLost, *LATER])
def test_a_session_that_drops_is_asked_for_at_once(kind: type[ServiceError]) -> None:
    policy = RetryPolicy(Random(1))
    policy.ready(0.0)
    assert policy.failed(failure(kind), 100.0) == Next(0.0, resume=True)


@pytest.mark.parametrize("kind", [ConnectionLost, *LATER])
def test_without_resume_a_fresh_session_follows_at_once(kind: type[ServiceError]) -> None:
    policy = RetryPolicy(Random(1), resume=False)
    policy.ready(0.0)
    assert policy.failed(failure(kind), 100.0) == Next(0.0, resume=False)


@pytest.mark.parametrize("kind", AFRESH)
def test_a_session_that_the_service_has_ended_is_followed_by_a_fresh_one_at_once(
    kind: type[ServiceError],
) -> None:
    policy = RetryPolicy(Random(1))
    policy.ready(0.0)
    assert policy.failed(failure(kind), 100.0) == Next(0.0, resume=False)


def test_after_a_session_that_was_ended_on_purpose_a_service_that_is_down_is_waited_for() -> None:
    policy = RetryPolicy(Random(1))
    policy.ready(0.0)
    policy.ended()
    now, waited = 1000.0, []
    while (following := policy.failed(failure(ServiceUnreachable), now)) is not None:
        assert not following.resume, "there is nothing to resume"
        waited.append(following.wait_s)
        now += following.wait_s
    assert START_WITHIN_S < sum(waited) <= GIVE_UP_AFTER_S


@pytest.mark.parametrize("kind", [ConnectionLost, *AFRESH, *LATER])
def test_what_was_never_ready_is_not_resumed(kind: type[ServiceError]) -> None:
    following = RetryPolicy(Random(1)).failed(failure(kind), 0.0)
    assert following is not None
    assert not following.resume


@pytest.mark.parametrize("kind", [ConnectionLost, *AFRESH, *LATER, *NEVER_AGAIN])
def test_however_a_resume_is_refused_a_fresh_session_follows_at_once(kind: type[ServiceError]) -> None:
    policy = RetryPolicy(Random(1))
    policy.ready(0.0)
    policy.failed(failure(ConnectionLost), 100.0)
    policy.asks()
    assert policy.failed(failure(kind), 100.5) == Next(0.0, resume=False)
    following = policy.failed(failure(ServiceUnreachable), 101.0)
    assert following is not None
    assert following.wait_s > 0
    assert not following.resume


def test_a_service_that_could_not_even_be_asked_is_asked_later() -> None:
    policy = RetryPolicy(Random(1))
    policy.ready(0.0)
    policy.failed(failure(ConnectionLost), 100.0)
    following = policy.failed(failure(ServiceUnreachable), 100.5)
    assert following is not None
    assert following.wait_s > 0
    assert following.resume


def test_a_session_that_ran_ten_seconds_earns_patience_anew() -> None:
    policy = RetryPolicy(Random(1))
    now = 0.0
    for _ in range(1000):
        policy.ready(now)
        now += 10.1
        following = policy.failed(failure(ConnectionLost), now)
        assert following == Next(0.0, resume=True)


@given(
    st.lists(st.tuples(failures, st.booleans(), st.floats(0, 9.9)), min_size=150, max_size=150),
    st.integers(),
)
def test_a_service_that_never_stays_for_ten_seconds_is_given_up_after_a_minute(
    tries: list[tuple[type[ServiceError], bool, float]], seed: int
) -> None:
    policy = RetryPolicy(Random(seed))
    first_failed_at: float | None = None
    now, asks = 0.0, False
    for kind, gets_ready, lasts_s in tries:
        if asks:
            policy.asks()
        if gets_ready:
            policy.ready(now)
        now += lasts_s
        first_failed_at = now if first_failed_at is None else first_failed_at
        following = policy.failed(failure(kind), now)
        if following is None:
            return
        assert 0 <= following.wait_s <= LONGEST_WAIT_S
        now, asks = now + following.wait_s, following.resume
        assert now - first_failed_at <= GIVE_UP_AFTER_S
    # Most tries that take no time at all are a wait of their own, so 150 are more than a minute holds.
    raise AssertionError("it never gives up")


@given(
    st.lists(failures.filter(lambda kind: kind is not ServiceBusy), min_size=40, max_size=40), st.integers()
)
def test_a_service_that_was_never_ready_is_given_up_after_ten_seconds(
    kinds: list[type[ServiceError]], seed: int
) -> None:
    policy = RetryPolicy(Random(seed))
    now = 0.0
    for kind in kinds:
        following = policy.failed(failure(kind), now)
        if following is None:
            return
        now += following.wait_s
        assert now <= START_WITHIN_S
    raise AssertionError("it never gives up")


@given(st.integers())
def test_a_service_that_is_full_has_taken_the_key_and_is_given_a_minute_from_the_start(seed: int) -> None:
    policy, now = RetryPolicy(Random(seed)), 0.0
    while (following := policy.failed(failure(ServiceBusy), now)) is not None:
        assert not following.resume
        now += following.wait_s
    assert GIVE_UP_AFTER_S - LONGEST_WAIT_S <= now <= GIVE_UP_AFTER_S


@given(st.lists(st.tuples(failures, st.booleans(), st.floats(0, 9.9)), max_size=50), st.integers())
def test_a_session_is_asked_for_once_and_only_as_long_as_the_service_can_still_have_it(
    tries: list[tuple[type[ServiceError], bool, float]], seed: int
) -> None:
    policy = RetryPolicy(Random(seed))
    policy.ready(0.0)
    broke_at = now = 5.0
    following = policy.failed(failure(ConnectionLost), now)
    asked = False
    for kind, reached, takes_s in tries:
        if following is None:
            return
        now += following.wait_s
        assert not following.resume or now - broke_at <= RESUME_WITHIN_S
        assert not (following.resume and asked), "one drop is one try"
        if following.resume and reached:
            policy.asks()
            asked = True
        now += takes_s
        following = policy.failed(failure(kind), now)


def test_many_agents_that_find_their_service_away_do_not_come_back_at_once() -> None:
    waits = set()
    for seed in range(100):
        policy = RetryPolicy(Random(seed))
        policy.ready(0.0)
        policy.failed(failure(ConnectionLost), 100.0)
        following = policy.failed(failure(ServiceUnreachable), 100.0)
        assert following is not None
        waits.add(following.wait_s)
    assert len(waits) == 100
    assert max(waits) - min(waits) > 0.2
