"""Whatever is added to a room, and however bad it is, the conversation does not notice.

The same call takes place with and without additions: each happening must come at the same moment of
virtual time, and the room must hear the same samples.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bench.bad_additions import (
    Blocked,
    Crashing,
    Flooding,
    Indispensable,
    LastWord,
    Leaver,
    Slow,
)
from channels.errors import ActorFailed
from channels.happenings import (
    BystanderFailed,
    Happening,
    Interrupted,
    Leaving,
    ReplyEnded,
    SessionClosed,
    TurnTimed,
)
from channels.instructions import TYPED, quoted
from channels.streams import Addition
from channels.texts import Typed
from channels.wire.messages import ReplyCreate, SessionEnd, SessionUpdate
from tests.examples.scripted_call import Call, scripted_call


async def talk(call: Call) -> None:
    """Two turns; the second reply is interrupted."""
    await call.agent_says("r1", "Hello, how can I help you?")
    await trio.sleep(2.5)
    await call.person_says("What are your opening hours?")
    await trio.sleep(0.5)
    await call.agent_says("r2", "We are open from nine to five on every day of the week but Sunday.", s=6)
    await trio.sleep(3)
    await call.person_says("Thank you, that will do.", interrupts="r2")
    await trio.sleep(2)


async def noticed(*additions: Addition) -> tuple[list[tuple[float, Happening]], list[tuple[float, bytes]]]:
    async with scripted_call(*additions) as call:
        await talk(call)
        assert call.failure is None
        told: list[tuple[float, Happening]] = [
            (round(at, 6), happening)
            for at, happening in call.happenings
            if not isinstance(happening, BystanderFailed)
        ]
        return told, call.ears.heard


@pytest.mark.parametrize(
    "kinds",
    [(Blocked,), (Slow,), (Crashing,), (Flooding,), (Blocked, Slow, Crashing, Flooding)],
    ids=["blocked", "slow", "crashing", "flooding", "all at once"],
)
async def test_the_conversation_is_the_same_to_the_microsecond(
    kinds: tuple[type[Any], ...], autojump_clock: MockClock
) -> None:
    told, heard = await noticed()
    assert {Interrupted, ReplyEnded, TurnTimed} <= {type(happening) for _, happening in told}
    start = trio.current_time()
    told_beside, heard_beside = await noticed(*(Addition(kind) for kind in kinds))
    # What several actors tell in the same instant has no order.
    assert sorted((round(at - start, 6), type(one).__name__) for at, one in told_beside) == sorted(
        (at, type(one).__name__) for at, one in told
    )
    assert [(round(at - start, 6), pcm) for at, pcm in heard_beside] == [
        (round(at, 6), pcm) for at, pcm in heard
    ]


async def test_the_crash_of_an_addition_is_told_and_contained(autojump_clock: MockClock) -> None:
    async with scripted_call(Addition(Crashing)) as call:
        await talk(call)
        (failed,) = call.happened(BystanderFailed)
        assert (failed.actor, failed.why) == ("Crashing", "ZeroDivisionError: a fault of its author")
        assert "bad_additions.py" in failed.traceback, "its author finds the place"
        assert not call.over.is_set()


async def test_the_crash_of_one_that_calls_itself_essential_ends_the_call(autojump_clock: MockClock) -> None:
    async with scripted_call(Addition(Indispensable)) as call:
        await call.person_says("What are your opening hours?")
        with trio.fail_after(3):
            await call.over.wait()
        assert isinstance(call.failure, ActorFailed)
        assert "Indispensable failed (ZeroDivisionError)" in str(call.failure)
        assert len(call.asked(SessionEnd)) == 1, "so that it stops costing"


async def test_one_that_floods_is_let_through_at_a_talks_pace(autojump_clock: MockClock) -> None:
    async with scripted_call(Addition(Flooding), Addition(Flooding)) as call:
        await trio.sleep(20)
        asked = len(call.asked(SessionUpdate)) - 1  # what it says stands in the prompt
        assert 40 <= asked <= 2 * (20 + 4) + 2, "a few at once, then one a second, each of the two"


async def test_what_people_type_overtakes_a_flood(autojump_clock: MockClock) -> None:
    async with scripted_call(Addition(Flooding), Addition(Flooding)) as call:
        await trio.sleep(10.5)
        call.room.happens(Typed("alice", "hello?"))
        await trio.sleep(0.05)
        assert call.asked(ReplyCreate) == [ReplyCreate(TYPED + quoted("hello?"))]


async def test_told_to_leave_everything_ends_in_order_and_the_session_stops_costing(
    autojump_clock: MockClock,
) -> None:
    async with scripted_call(Addition(Leaver), Addition(LastWord), Addition(Blocked)) as call:
        await call.agent_says("r1", "Hello, how can I help you?")
        await call.person_says("Goodbye!")
        with trio.fail_after(5):
            await call.over.wait()
        assert call.failure is None
        assert not call.room.inside
        assert len(call.asked(SessionEnd)) == 1
        assert call.happened(Leaving) == [Leaving("enough was said")]
        assert call.happened(SessionClosed) == [SessionClosed(confirmed=True)]
        assert not call.happened(BystanderFailed), "what ends in order fails nobody"
        assert SessionClosed(confirmed=True) in LastWord.told, "a bystander hears the call to its end"
        assert LastWord.told[-1] == "the end", "and has time for a last word"


async def test_ctrl_c_leaves_bystanders_time_to_hear_the_end_but_not_for_ever(
    autojump_clock: MockClock,
) -> None:
    async with scripted_call(Addition(LastWord), Addition(Blocked)) as call:
        await call.agent_says("r1", "Hello, how can I help you?")
        await trio.sleep(1)
        begins = trio.current_time()
        await call.leave()
        assert trio.current_time() - begins < 2.5
        assert SessionClosed(confirmed=True) in LastWord.told
        assert LastWord.told[-1] == "the end"
        assert not call.happened(BystanderFailed)
