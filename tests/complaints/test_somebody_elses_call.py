"""Another browser came within seconds: no greeting, the name and the turn numbers of the person before."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from actors.timers import Stopwatch
from channels.happenings import (
    CallBegan,
    CallEnded,
    Happening,
    HeardBy,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SessionConfigured,
    TurnTimed,
    UpdateAnswered,
)
from channels.messages import BeginSession, EndSession
from channels.settings import CallSettings
from channels.texts import SESSION_TOPIC
from tests.actors.test_call_life import _waiting, call
from tests.actors.test_front_end import CONFIG, DELIBERATE, change, scene

NEW_CALL = [EndSession(), BeginSession(fresh=True)]


@pytest.mark.parametrize("away_s", [1, 9, 60])
async def test_another_person_has_a_call_of_their_own_however_soon_they_come(
    autojump_clock: MockClock, away_s: float
) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        await at_work.come("alice")
        await at_work.go("alice")
        await trio.sleep(away_s)
        await at_work.come("bob")
        assert at_work.ordered() == [BeginSession(fresh=True), *NEW_CALL]
        happened = list(_waiting(at_work.happened))
        assert [type(each) for each in happened] == [CallBegan, CallEnded, CallBegan]
        await at_work.come("alice")
        await at_work.go("bob")
        await trio.sleep(60)
        assert at_work.ordered() == [], "she joins his call, which goes on with her"
        await at_work.go("alice")
        await at_work.come("bob")
        assert at_work.ordered() == [], "it is his, too"


async def test_the_same_person_is_back_in_their_own_call(autojump_clock: MockClock) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        for away_s in (1, 60):
            await at_work.come("alice")
            await at_work.go("alice")
            await trio.sleep(away_s)
        await at_work.come("alice")
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession(), BeginSession(fresh=False)]
        assert [type(each) for each in _waiting(at_work.happened)] == [CallBegan, CallEnded]


async def test_who_comes_while_somebody_is_there_joins_their_call(autojump_clock: MockClock) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        await at_work.come("alice")
        await at_work.come("bob")
        await at_work.go("alice")
        await trio.sleep(60)
        assert at_work.ordered() == [BeginSession(fresh=True)]


def test_turns_are_numbered_from_one_in_each_call() -> None:
    watch, numbers = Stopwatch(), list[int]()
    turn: list[Happening] = [ReplyBegan("r", 1.0), ReplyEnded("r", ReplyOutcome.PLAYED, 900, "Hi.", 2.0)]
    calls: list[Happening] = [CallBegan(), *turn, *turn, CallEnded("everybody left"), CallBegan(), *turn]
    for happening in calls:
        timed = watch.take(happening)
        numbers += [timed.turn] if isinstance(timed, TurnTimed) else []
    assert numbers == [1, 2, 1]


async def test_neither_the_name_nor_the_settings_of_the_person_before_are_shown() -> None:
    async with scene() as play:
        await play.happens(CallBegan(), HeardBy("alice", "TR_alice"), PersonSaid("Hi.", final=True, turn=1))
        play.texts.send_nowait(change('{"profile": "deliberate"}'))
        await play.requests.receive()
        await play.happens(UpdateAnswered(DELIBERATE, accepted=True), SessionConfigured(CONFIG))
        await play.happens(HeardBy(None), CallEnded("somebody else came"), CallBegan())
        await play.happens(SessionConfigured(CONFIG), PersonSaid("Hello?", final=True, turn=2))
        hers, his = play.board.captions()
        assert (hers.sender, his.sender) == ("alice", None)
        assert his.attributes["lk.transcribed_track_id"] == ""
        assert play.board.shown(SESSION_TOPIC)[-1]["profile"] == "adaptive"
