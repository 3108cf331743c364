"""Actors of somebody's own that raise, or wait for, what no actor should; and whoever holds up the loop."""

from __future__ import annotations

import asyncio
import time

import attrs
import pytest
import trio
from trio.testing import MockClock

from channels.bounded import Receiver
from channels.errors import ActorFailed, SettingsError
from channels.happenings import BystanderFailed, Happening, LoopHeld, ReplyEnded
from channels.streams import Addition, Streams
from commands.serve.held import LoopWatch
from tests.examples.scripted_call import Call, scripted_call


@attrs.define
class Fails:
    """Fails in one of many ways, a second after the first happening."""

    happenings: Receiver[Happening]
    how: str

    async def run(self) -> None:
        async for _ in self.happenings:
            await trio.sleep(1)
            await _FAIL[self.how]()


@attrs.define
class MustNotFail(Fails):
    essential = True


async def _exit() -> None:
    raise SystemExit(3)


async def _cancelled() -> None:
    raise asyncio.CancelledError


async def _generator() -> None:
    raise GeneratorExit


async def _wait_for_asyncio() -> None:
    await asyncio.sleep(0)


async def _in_a_task() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_exit)
        await trio.sleep_forever()


_FAIL = {
    "exit": _exit,
    "cancelled": _cancelled,
    "generator": _generator,
    "asyncio": _wait_for_asyncio,
    "in a task": _in_a_task,
}


async def talk(call: Call) -> None:
    await call.agent_says("r1", "Hello, how can I help you?")
    await trio.sleep(4)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("exit", "SystemExit: 3"),
        ("cancelled", "CancelledError"),
        ("generator", "GeneratorExit"),
        ("asyncio", "trio.sleep()"),
        ("in a task", "SystemExit: 3"),
    ],
)
async def test_whatever_an_addition_raises_is_reported_and_the_call_goes_on(
    how: str, told: str, autojump_clock: MockClock
) -> None:
    async with scripted_call(Addition(Fails, {"how": how})) as call:
        await talk(call)
        (failed,) = call.happened(BystanderFailed)
        assert failed.actor == "Fails"
        assert told in failed.why
        assert call.happened(ReplyEnded), "the reply was played to the end"
    assert call.failure is None


async def test_one_that_the_call_cannot_do_without_ends_it_with_its_name(autojump_clock: MockClock) -> None:
    async with scripted_call(Addition(MustNotFail, {"how": "exit"})) as call:
        with trio.fail_after(30):
            await call.over.wait()
    assert isinstance(call.failure, ActorFailed)
    assert "MustNotFail failed (SystemExit)" in str(call.failure)


def test_one_that_exits_while_it_is_made_is_told_in_a_line() -> None:
    @attrs.define
    class Exits:
        def __attrs_post_init__(self) -> None:
            raise SystemExit(0)

        async def run(self) -> None: ...

    with pytest.raises(SettingsError, match="Exits cannot be created"):
        Streams({}).compose(Addition(Exits))


async def test_a_tool_that_blocks_the_voice_is_named_with_the_cure() -> None:
    told: list[LoopHeld] = []

    async def block() -> None:
        time.sleep(0.15)  # noqa: ASYNC251  the fault itself

    async def block_in_a_task() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(block)

    with LoopWatch().watching() as watch, watch.telling(told.append):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(block_in_a_task, name="tool price")
            nursery.start_soon(block, name="actor Recorder")
    by_name = {held.by: held for held in told}
    assert by_name["tool price"].ms >= 150
    assert "plain function" in by_name["tool price"].fix
    assert by_name["actor Recorder"].ms >= 150
    assert "to_thread" in by_name["actor Recorder"].fix


async def test_who_blocks_again_and_again_is_named_once_in_ten_seconds() -> None:
    told: list[LoopHeld] = []
    now = 0.0
    watch = LoopWatch(lambda: now)
    task = trio.lowlevel.current_task()
    with watch.telling(told.append):
        for took_s, pause_s in [(0.05, 1), (0.3, 1), (0.3, 5), (0.3, 5), (0.3, 0)]:
            watch.before_task_step(task)
            now += took_s
            watch.after_task_step(task)
            now += pause_s
    assert [held.ms for held in told] == [300, 300]
