"""Whoever watches the conversation can be slow, crash or leave, and nobody in it notices."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from channels.bounded import Receiver
from channels.happenings import Happening, ParticipantJoined
from channels.taps import Taps


def happening(number: int) -> Happening:
    return ParticipantJoined(str(number))


def numbers(receiver: Receiver[Happening]) -> list[int]:
    found: list[int] = []
    while True:
        try:
            told = receiver.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return found
        assert isinstance(told, ParticipantJoined)
        found.append(int(told.identity))


async def test_every_tap_is_told_everything_in_order() -> None:
    taps = Taps()
    first, second = taps.tap("first"), taps.tap("second")
    for number in range(100):
        taps.publish(happening(number))
    assert numbers(first) == numbers(second) == list(range(100))


async def test_a_tap_that_is_never_read_loses_its_oldest_counted_and_the_others_lose_nothing() -> None:
    taps = Taps()
    taps.tap("blocked", capacity=10)
    read = taps.tap("read", capacity=10)
    got = []
    for number in range(1000):
        taps.publish(happening(number))
        got += numbers(read)
    assert got == list(range(1000))
    blocked, other = taps.statistics()
    assert (blocked.name, blocked.dropped, blocked.depth) == ("tap blocked", 990, 10)
    assert other.dropped == 0


async def test_publishing_takes_no_time_however_slow_the_readers_are(autojump_clock: MockClock) -> None:
    taps = Taps()

    async def slow(receiver: Receiver[Happening]) -> None:
        async for _ in receiver:
            await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(slow, taps.tap(str(number), capacity=4))
        for number in range(1000):
            taps.publish(happening(number))
        assert trio.current_time() == 0
        taps.close()


async def test_a_reader_that_is_gone_disturbs_neither_the_publisher_nor_the_other_readers() -> None:
    taps = Taps()
    gone, stays = taps.tap("gone"), taps.tap("stays")
    taps.publish(happening(0))
    gone.close()
    taps.publish(happening(1))
    assert numbers(stays) == [0, 1]
    assert [tap.name for tap in taps.statistics()] == ["tap stays"]


async def test_a_reader_that_crashes_disturbs_nobody() -> None:
    taps = Taps()
    receiver, stays = taps.tap("crashes"), taps.tap("stays")

    async def crash() -> None:
        async with receiver:
            await receiver.receive()
            raise ValueError("a developer's own actor")

    async with trio.open_nursery() as nursery:

        async def contained() -> None:
            try:
                await crash()
            except ValueError:
                return

        nursery.start_soon(contained)
        for number in range(10):
            taps.publish(happening(number))
            await trio.lowlevel.checkpoint()
    assert numbers(stays) == list(range(10))


async def test_closing_the_taps_ends_every_reader_after_what_still_waits() -> None:
    taps = Taps()
    first, second = taps.tap("first"), taps.tap("second")
    taps.publish(happening(1))
    taps.close()
    assert [told async for told in first] == [told async for told in second] == [happening(1)]


async def test_what_happens_after_the_taps_were_closed_disturbs_nobody() -> None:
    taps = Taps()
    tap = taps.tap("closed")
    taps.close()
    taps.publish(happening(1))
    taps.close()
    assert numbers(tap) == []


async def test_a_happening_that_nobody_wants_to_know_is_no_error() -> None:
    Taps().publish(happening(1))


async def test_somebody_who_comes_late_is_told_from_then_on() -> None:
    taps = Taps()
    taps.publish(happening(0))
    late = taps.tap("late")
    taps.publish(happening(1))
    assert numbers(late) == [1]


async def test_whoever_overhears_the_taps_is_told_at_the_moment_at_which_it_happens() -> None:
    taps, heard = Taps(), list[Happening]()
    taps.publish(happening(0))
    taps.overhear(heard.append)
    taps.publish(happening(1))
    assert heard == [happening(1)]
