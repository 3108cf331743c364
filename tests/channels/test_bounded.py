"""Channels keep to their rule when they are full, count what they do, and end when they should."""

from __future__ import annotations

from collections import deque

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from channels.bounded import Channel, Full, Receiver
from channels.errors import ChannelOverflow


def channel(full: Full, capacity: int = 3) -> Channel[int]:
    return Channel("numbers", capacity=capacity, unit="numbers", full=full, because="it is a test")


def taken(receiver: Receiver[int]) -> list[int]:
    numbers = []
    while True:
        try:
            numbers.append(receiver.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return numbers


@pytest.mark.parametrize("full", Full)
async def test_what_is_sent_arrives_in_order(full: Full) -> None:
    numbers = channel(full)
    sender, receiver = numbers.sender(), numbers.receiver()
    for number in range(3):
        await sender.send(number)
    assert [await receiver.receive() for _ in range(3)] == [0, 1, 2]


async def test_a_full_channel_that_waits_holds_its_sender_up_until_there_is_room(
    autojump_clock: MockClock,
) -> None:
    numbers = channel(Full.WAIT)
    sender, receiver = numbers.sender(), numbers.receiver()

    async def send() -> None:
        async with sender:
            for number in range(10):
                await sender.send(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await trio.sleep(1)
        assert numbers.statistics().depth == 3
        assert [number async for number in receiver] == list(range(10))
    assert numbers.statistics().dropped == 0
    assert numbers.statistics().passed == 10


async def test_a_full_channel_that_drops_its_oldest_never_makes_its_sender_wait(
    autojump_clock: MockClock,
) -> None:
    numbers = channel(Full.DROP_OLDEST)
    sender, receiver = numbers.sender(), numbers.receiver()
    for number in range(10):
        await sender.send(number)
    assert trio.current_time() == 0
    assert taken(receiver) == [7, 8, 9]
    statistics = numbers.statistics()
    assert (statistics.passed, statistics.dropped, statistics.depth, statistics.deepest) == (10, 7, 0, 3)


async def test_a_full_channel_that_fails_is_an_error_that_names_it_and_its_reason() -> None:
    numbers = channel(Full.FAIL)
    sender, receiver = numbers.sender(), numbers.receiver()
    for number in range(3):
        await sender.send(number)
    for _ in range(2):
        with pytest.raises(ChannelOverflow) as raised:
            await sender.send(3)
        assert "'numbers' is full (3 numbers)" in str(raised.value)
        assert "it is a test" in str(raised.value)
    with pytest.raises(ChannelOverflow):
        sender.send_nowait(3)
    # What was there is still there, and there is room again once some of it was taken.
    assert await receiver.receive() == 0
    await sender.send(4)
    assert taken(receiver) == [1, 2, 4]
    assert numbers.statistics().passed == 4


async def test_whoever_cannot_wait_is_told_that_a_waiting_channel_is_full() -> None:
    numbers = channel(Full.WAIT)
    sender, receiver = numbers.sender(), numbers.receiver()
    for number in range(3):
        sender.send_nowait(number)
    with pytest.raises(ChannelOverflow):
        sender.send_nowait(3)
    assert taken(receiver) == [0, 1, 2]


@pytest.mark.parametrize("full", Full)
async def test_sending_lets_others_run(full: Full) -> None:
    numbers = channel(full)
    sender, receiver = numbers.sender(), numbers.receiver()
    with assert_checkpoints():
        await sender.send(1)
    with assert_checkpoints():
        await receiver.receive()


@pytest.mark.parametrize("full", Full)
async def test_the_reader_ends_after_what_still_waits_when_every_sender_is_closed(full: Full) -> None:
    numbers = channel(full)
    first, second, receiver = numbers.sender(), numbers.sender(), numbers.receiver()
    async with first:
        await first.send(1)
    await second.send(2)
    second.close()
    second.close()
    assert [number async for number in receiver] == [1, 2]
    with pytest.raises(trio.EndOfChannel):
        await receiver.receive()


async def test_the_reader_does_not_end_while_one_sender_is_open(autojump_clock: MockClock) -> None:
    numbers = channel(Full.WAIT)
    first, second, receiver = numbers.sender(), numbers.sender(), numbers.receiver()
    first.close()
    with trio.move_on_after(10) as scope:
        await receiver.receive()
    assert scope.cancelled_caught
    second.close()
    assert [number async for number in receiver] == []


@pytest.mark.parametrize("full", Full)
async def test_a_sender_learns_that_nobody_reads_any_more(full: Full) -> None:
    numbers = channel(full)
    sender, receiver = numbers.sender(), numbers.receiver()
    async with receiver:
        await sender.send(1)
    with pytest.raises(trio.BrokenResourceError):
        await sender.send(2)
    with pytest.raises(trio.BrokenResourceError):
        sender.send_nowait(2)
    assert numbers.statistics().passed == 1


@pytest.mark.parametrize("full", list(Full))
async def test_when_its_reader_is_gone_those_who_watch_are_told_all_the_same(full: Full) -> None:
    a_channel = Channel[int]("c", capacity=4, unit="messages", full=full, because="it is a test")
    sender, tap = a_channel.sender(), a_channel.tap("watcher", capacity=4)
    a_channel.receiver().close()
    with pytest.raises(trio.BrokenResourceError):
        sender.send_nowait(1)
    with pytest.raises(trio.BrokenResourceError):
        await sender.send(2)
    assert [tap.receive_nowait(), tap.receive_nowait()] == [1, 2]


async def test_a_sender_that_waits_learns_that_nobody_reads_any_more() -> None:
    numbers = channel(Full.WAIT, capacity=1)
    sender, receiver = numbers.sender(), numbers.receiver()
    await sender.send(1)
    outcome = []

    async def send() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await sender.send(2)
        outcome.append("told")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        receiver.close()
    assert outcome == ["told"]


async def test_a_cancelled_reader_loses_nothing(autojump_clock: MockClock) -> None:
    numbers = channel(Full.WAIT)
    sender, receiver = numbers.sender(), numbers.receiver()
    for number in range(50):
        with trio.move_on_after(0):
            await receiver.receive()
        await sender.send(number)
        assert await receiver.receive() == number


def test_a_channel_that_holds_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        channel(Full.FAIL, capacity=0)


async def test_a_channel_has_one_reader() -> None:
    numbers = channel(Full.FAIL)
    numbers.receiver()
    with pytest.raises(RuntimeError, match="'numbers' already has a reader"):
        numbers.receiver()


async def test_the_statistics_say_what_the_channel_is() -> None:
    statistics = channel(Full.DROP_OLDEST, capacity=7).statistics()
    assert (statistics.name, statistics.capacity, statistics.unit) == ("numbers", 7, "numbers")
    assert statistics.full is Full.DROP_OLDEST
    assert (statistics.passed, statistics.dropped, statistics.depth, statistics.deepest) == (0, 0, 0, 0)


@given(
    st.integers(1, 6),
    st.lists(st.sampled_from(["send", "send", "receive"]), max_size=80),
    st.sampled_from(Full),
)
@settings(deadline=None)
def test_a_channel_is_a_queue_that_gives_way_at_its_capacity_by_its_rule(
    capacity: int, moves: list[str], full: Full
) -> None:
    async def compare() -> None:
        numbers = channel(full, capacity)
        sender, receiver = numbers.sender(), numbers.receiver()
        model: deque[int] = deque()
        passed = dropped = deepest = 0
        for number, move in enumerate(moves):
            if move == "receive":
                if model:
                    assert receiver.receive_nowait() == model.popleft()
                else:
                    with pytest.raises(trio.WouldBlock):
                        receiver.receive_nowait()
            elif len(model) < capacity or full is Full.DROP_OLDEST:
                sender.send_nowait(number)
                model.append(number)
                passed += 1
                if len(model) > capacity:
                    model.popleft()
                    dropped += 1
                deepest = max(deepest, len(model))
            else:
                with pytest.raises(ChannelOverflow):
                    sender.send_nowait(number)
            statistics = numbers.statistics()
            assert (statistics.passed, statistics.dropped) == (passed, dropped)
            assert (statistics.depth, statistics.deepest) == (len(model), deepest)
        assert taken(receiver) == list(model)

    trio.run(compare)


async def test_a_tap_gets_a_copy_of_what_is_sent_after_it_was_made_and_ends_with_the_channel() -> None:
    numbers = channel(Full.WAIT, capacity=10)
    first, second, receiver = numbers.sender(), numbers.sender(), numbers.receiver()
    first.send_nowait(0)
    tap = numbers.tap("copy", capacity=10)
    await first.send(1)
    second.send_nowait(2)
    assert taken(receiver) == [0, 1, 2]
    first.close()
    assert taken(tap) == [1, 2]
    second.close()
    with pytest.raises(trio.EndOfChannel):
        tap.receive_nowait()


async def test_a_tap_that_is_not_read_loses_its_oldest_counted_and_holds_nobody_up() -> None:
    numbers = channel(Full.FAIL, capacity=10)
    sender, receiver, tap = numbers.sender(), numbers.receiver(), numbers.tap("copy", capacity=2)
    for number in range(10):
        sender.send_nowait(number)
    assert taken(receiver) == list(range(10))
    assert [copy.statistics().dropped for copy in numbers.taps] == [8]
    assert taken(tap) == [8, 9]
    tap.close()
    sender.send_nowait(10)
    assert taken(receiver) == [10]
    assert numbers.taps == []


async def test_who_overhears_a_channel_is_told_at_the_moment_of_sending() -> None:
    numbers, told = channel(Full.DROP_OLDEST, capacity=1), list[int]()
    numbers.overhear(told.append)
    sender = numbers.sender()
    for number in range(3):
        sender.send_nowait(number)
        assert told[-1] == number


async def test_who_waits_for_any_message_is_woken_and_takes_all_in_their_order() -> None:
    numbers, taken_so_far = channel(Full.FAIL), list[list[int]]()
    sender, receiver = numbers.sender(), numbers.receiver()

    async def follow() -> None:
        while await receiver.wait_for_any():
            taken_so_far.append(list(receiver.receive_waiting()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        sender.send_nowait(1)
        assert list(receiver.receive_waiting()) == [1], "whoever waits has taken nothing yet"
        sender.send_nowait(2)
        sender.send_nowait(3)
        await wait_all_tasks_blocked()
        assert taken_so_far == [[2, 3]]
        sender.close()
