"""A server that does not want the agent just now was asked again and again: 23 joins in 25 seconds."""

from __future__ import annotations

import itertools
import re
import statistics
from random import Random

import pytest
import trio
from trio.testing import MockClock

from actors.api.renewing import RetryPolicy
from channels.backoff import Turns
from channels.errors import RoomUnreachable
from channels.ports import RoomLeft, WhyLeft
from channels.wire.failures import ConnectionLost, ServiceBusy, ServiceError, ServiceFault, ServiceUnreachable
from tests.actors.test_room import LOST, Stay, unreachable, visit
from tests.agent_process import ROOT

EMPTIED: Stay = [1.0, RoomLeft(WhyLeft.EMPTY, "ROOM_CLOSED")]


@pytest.mark.parametrize("seed", range(5))
async def test_an_empty_room_that_is_closed_at_once_is_opened_ever_more_slowly(
    autojump_clock: MockClock, seed: int
) -> None:
    async with visit(last=EMPTIED, seed=seed) as at_work:
        await trio.sleep(3600)
        joined_at = at_work.room.joined_at
        assert at_work.failure is None, "whoever comes later needs the agent, too"
        assert sum(at < 25 for at in joined_at) < 18
        pauses = [later - earlier - 1 for earlier, later in itertools.pairwise(joined_at)]
        assert max(pauses) <= 30
        assert statistics.mean(pauses[10:]) > 10


async def test_a_room_that_held_is_opened_again_at_once_when_it_is_closed(autojump_clock: MockClock) -> None:
    held: Stay = [60.0, RoomLeft(WhyLeft.EMPTY, "ROOM_CLOSED")]
    async with visit(*[EMPTIED] * 12, held, EMPTIED, [1000.0]) as at_work:
        await trio.sleep(900)
        *_, before, after, last = at_work.room.joined_at
        assert after == before + 60
        assert last - after - 1 <= 0.25


@pytest.mark.parametrize("ends", [[LOST], None], ids=["thrown out", "not reached"])
async def test_a_livekit_that_is_away_is_asked_evenly_and_for_a_minute(
    autojump_clock: MockClock, ends: Stay | None
) -> None:
    comings = list[float]()
    for seed in range(20):
        began = trio.current_time()
        async with visit([60.0, LOST], last=ends or unreachable(), seed=seed) as at_work:
            assert isinstance(await at_work.end(), RoomUnreachable)
            joined_at = [at - began for at in at_work.room.joined_at]
        assert len(joined_at) < 60
        assert 100 <= joined_at[-1] <= 121
        comings += [at for at in joined_at if at > 65]
    fives = [sum(low < at <= low + 5 for at in comings) for low in range(65, 110, 5)]
    assert max(fives) < 3 * min(fives), "no waves"


@pytest.mark.parametrize("kind", [ServiceUnreachable, ServiceBusy, ServiceFault, ConnectionLost])
def test_a_service_that_is_away_is_asked_evenly_and_for_a_minute(kind: type[ServiceError]) -> None:
    comings = list[float]()
    for seed in range(20):
        policy, now = RetryPolicy(Random(seed)), 0.0
        policy.ready(0.0)
        while (following := policy.failed(kind("it failed", "do something"), now)) is not None:
            now += following.wait_s
            comings.append(now)
        assert now <= 60
    fives = [sum(low < at <= low + 5 for at in comings) for low in range(5, 55, 5)]
    assert max(fives) < 3 * min(fives), "no waves"


@pytest.mark.parametrize("seed", range(5))
def test_sessions_that_are_dropped_all_at_once_do_not_come_back_all_at_once(seed: int) -> None:
    random = Random(seed)
    turns, dialled_at = Turns(random), list[float]()
    for _ in range(20):
        policy = RetryPolicy(random, turns=turns)
        policy.ready(0.0)
        following = policy.failed(ConnectionLost("it broke", "wait"), 60.0)
        assert following is not None
        assert following.resume
        dialled_at.append(following.wait_s)
    assert min(dialled_at) == 0, "somebody is the first"
    assert max(dialled_at) < 1.2, "nobody waits for long"
    assert all(sum(at <= each < at + 0.05 for each in dialled_at) <= 3 for at in dialled_at)
    alone = RetryPolicy(random, turns=turns)
    alone.ready(61.5)
    following = alone.failed(ConnectionLost("it broke", "wait"), 90.0)
    assert following is not None
    assert following.wait_s == 0, "whoever is alone waits for nobody"


def test_whatever_waits_to_try_again_waits_in_the_one_way() -> None:
    jitters = re.compile(r"\brandom\.(uniform|random)\(|\b\w*(wait|pause|delay)\w* \*= ")
    places = [
        path.relative_to(ROOT).as_posix()
        for folder in ("actors", "channels", "commands", "examples", "playground", "sound")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if jitters.search(path.read_text("utf-8"))
    ]
    assert places == ["channels/backoff.py"]
