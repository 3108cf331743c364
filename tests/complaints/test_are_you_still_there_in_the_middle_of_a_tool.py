"""Whoever waited for a slow tool was asked whether they were there, and the session ended under it."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from channels.happenings import Happening, ToolAnswered, ToolCalled, ToolDropped
from channels.messages import BeginSession, EndSession
from channels.settings import CallSettings
from tests.actors.test_call_life import call

SETTINGS = CallSettings(idle_ms=60_000, idle_end_ms=20_000)
OVER: list[Happening] = [ToolAnswered("c1", "look_up", 200_000), ToolDropped("c1", "look_up", "interrupted")]


@pytest.mark.parametrize("over", OVER)
async def test_who_waits_for_a_tool_is_left_alone_and_then_has_their_time(
    autojump_clock: MockClock, over: Happening
) -> None:
    async with call(SETTINGS) as at_work:
        await at_work.come()
        await at_work.sound()
        at_work.taps.publish(ToolCalled("c1", "look_up"))
        await trio.sleep(200)
        assert at_work.asked() == []
        assert at_work.ordered() == [BeginSession(fresh=True)]
        at_work.taps.publish(over)
        await wait_all_tasks_blocked()
        await trio.sleep(59)
        assert at_work.asked() == []
        await trio.sleep(2)
        assert len(at_work.asked()) == 1


async def test_a_tool_of_which_nothing_more_is_told_keeps_no_dead_call_alive(
    autojump_clock: MockClock,
) -> None:
    async with call(SETTINGS) as at_work:
        await at_work.come()
        await at_work.sound()
        at_work.taps.publish(ToolCalled("c1", "look_up"))
        await trio.sleep(3600)
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession()]
