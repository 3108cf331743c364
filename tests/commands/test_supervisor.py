"""One room or many: each is begun again where the table says so, and none notices how another fares."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import attrs
import pytest
import structlog
import trio
from trio.testing import MockClock

from channels.errors import ActorFailed, EdgeFault, NotAllowedInRoom, RoomClosed, RoomUnreachable
from channels.settings import Settings
from channels.wire.failures import KeyRefused
from commands.serve.room import RoomEnded, RoomSpec
from commands.serve.supervisor import AGAIN, supervise
from commands.wired import NOBODYS


def room(name: str) -> RoomSpec:
    def wire(*_: object) -> Any:
        raise AssertionError("the rooms of these tests are not wired")

    return RoomSpec(Settings(name), NOBODYS, wire)


@attrs.define
class Rooms:
    """Rooms that end as a test wants them to; each entry is how one run of a room ends."""

    ends: dict[str, list[Exception | None]]
    lasts_s: float = 1.0
    runs: list[tuple[str, float]] = attrs.field(factory=list)

    async def run(self, spec: RoomSpec, log: Any, *, attempt: int, watch: object) -> RoomEnded:
        began = trio.current_time()
        self.runs.append((spec.room_name, began))
        log.info("began", attempt=attempt)
        await trio.sleep(self.lasts_s)
        ends = self.ends[spec.room_name]
        return RoomEnded(spec.room_name, self.lasts_s, ends.pop(0) if len(ends) > 1 else ends[0])


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


async def keep(rooms: Rooms) -> dict[str, RoomEnded]:
    log = structlog.get_logger()
    ended = await supervise([room(name) for name in rooms.ends], log, random=Random(1), run=rooms.run)
    return {one.room_name: one for one in ended}


@pytest.mark.parametrize(
    "failure",
    [
        RoomClosed("it was closed", "open it"),
        NotAllowedInRoom("no", "ask"),
        RoomUnreachable("away", "start it"),
        KeyRefused("wrong key", "check it"),
    ],
)
async def test_what_a_fresh_start_would_meet_again_ends_the_room(
    autojump_clock: MockClock, lines: list[Any], failure: Exception
) -> None:
    rooms = Rooms({"tea": [failure]})
    ended = await keep(rooms)
    assert ended["tea"].failure is failure
    assert len(rooms.runs) == 1
    assert "again_in_s" not in lines[-1]


async def test_a_room_that_nobody_wants_any_more_is_not_begun_again(
    autojump_clock: MockClock, lines: list[Any]
) -> None:
    asked = list[bool]([True, False])

    async def is_wanted() -> bool:
        return asked.pop(0)

    rooms = Rooms({"tea": [EdgeFault("x", "y")]})
    spec = attrs.evolve(room("tea"), is_wanted=is_wanted)
    (ended,) = await supervise([spec], structlog.get_logger(), random=Random(1), run=rooms.run)
    assert isinstance(ended.failure, EdgeFault)
    assert len(rooms.runs) == 2
    assert lines[-1]["event"] == "left"


@pytest.mark.parametrize(
    "failure", [EdgeFault("x", "y"), ActorFailed("x", "y"), ValueError("a fault of the program")]
)
async def test_a_fault_begins_the_room_again_thrice_in_ten_minutes(
    autojump_clock: MockClock, lines: list[Any], failure: Exception
) -> None:
    rooms = Rooms({"tea": [failure]})
    ended = await keep(rooms)
    assert ended["tea"].failure is failure
    assert len(rooms.runs) == 4
    told = [line for line in lines if line["event"] == "ended"]
    assert ["again_in_s" in line for line in told] == [True, True, True, False]


async def test_a_room_that_fails_now_and_then_is_always_begun_again(autojump_clock: MockClock) -> None:
    rooms = Rooms({"tea": [*[ValueError("now and then")] * 20, None]}, lasts_s=400)
    ended = await keep(rooms)
    assert ended["tea"].failure is None
    assert len(rooms.runs) == 21


async def test_one_rooms_end_is_nothing_to_another(autojump_clock: MockClock, lines: list[Any]) -> None:
    rooms = Rooms({"tea": [ValueError("a fault")], "lounge": [None]}, lasts_s=60)
    ended = await keep(rooms)
    assert ended["lounge"].failure is None
    assert [name for name, _ in rooms.runs].count("lounge") == 1
    assert {line["room"] for line in lines} == {"tea", "lounge"}
    assert all("room" in line for line in lines)


async def test_a_fault_is_told_with_its_place(autojump_clock: MockClock, lines: list[Any]) -> None:
    await keep(Rooms({"tea": [ValueError("a fault")]}))
    told = next(line for line in lines if line["event"] == "ended")
    assert isinstance(told["exc_info"], ValueError)
    assert told["why"] == "ValueError: a fault"


def test_each_way_to_end_has_a_row() -> None:
    kinds: list[type[Exception]] = [kind for kind, _ in AGAIN]
    # A row that comes after one that takes all its cases would never count.
    assert not [
        (early, late) for at, early in enumerate(kinds) for late in kinds[at + 1 :] if issubclass(late, early)
    ]
    assert kinds[-1] is Exception
