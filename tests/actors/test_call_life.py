"""A session is there while somebody talks, and costs nothing when nobody does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.call_life import CallLife
from actors.call_life.machine import CallState
from actors.call_life.table import TABLE, CallAction, CallSignal, Phase
from channels.bounded import Channel, Full, Receiver, Sender
from channels.happenings import (
    AskGivenUp,
    AskSent,
    CallEnded,
    FloorHolder,
    FloorPassed,
    Happening,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SoundStarted,
    SoundStopped,
)
from channels.messages import (
    BeginSession,
    EndSession,
    LeaveRoom,
    PersonCame,
    PersonWent,
    SessionOrder,
)
from channels.settings import CallSettings
from channels.taps import Taps
from channels.texts import RoomText, Typed
from channels.wire.messages import ClientMessage, ReplyCreate

T = TypeVar("T")


@attrs.define
class Call:
    """The actor at work, and the ends that a test holds."""

    people: Sender[PersonCame | PersonWent]
    texts: Sender[RoomText]
    sounds: Sender[SoundStarted | SoundStopped]
    taps: Taps
    orders: Receiver[SessionOrder]
    requests: Receiver[ClientMessage]
    departures: Receiver[LeaveRoom]
    happened: Receiver[Happening]

    async def come(self, name: str = "alice") -> None:
        self.people.send_nowait(PersonCame(name))
        await wait_all_tasks_blocked()

    async def go(self, name: str = "alice") -> None:
        self.people.send_nowait(PersonWent(name))
        await wait_all_tasks_blocked()

    async def sound(self) -> None:
        for holder in (FloorHolder.PERSON, FloorHolder.NOBODY):
            self.taps.publish(FloorPassed(holder, 1, trio.current_time()))
            await wait_all_tasks_blocked()

    async def reply(self, name: str) -> None:
        self.taps.publish(ReplyBegan(name, trio.current_time()))
        await trio.sleep(2)
        self.taps.publish(ReplyEnded(name, ReplyOutcome.PLAYED, 2000, "…", trio.current_time()))
        await wait_all_tasks_blocked()

    def ordered(self) -> list[SessionOrder]:
        return list(_waiting(self.orders))

    def asked(self) -> list[str]:
        asked = [request for request in _waiting(self.requests) if isinstance(request, ReplyCreate)]
        return [str(request.instructions) for request in asked]

    async def have_its_turn(self) -> list[str]:
        """What was asked for is sent to the service."""
        asked = self.asked()
        for one in asked:
            self.taps.publish(AskSent(ReplyCreate(one), 0))
        await wait_all_tasks_blocked()
        return asked


def _waiting(receiver: Receiver[T]) -> Iterator[T]:
    while True:
        try:
            yield receiver.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            return


def _channel(name: str) -> Channel[Any]:
    return Channel(name, capacity=32, unit="messages", full=Full.FAIL, because="it is a test")


@asynccontextmanager
async def call(settings: CallSettings) -> AsyncIterator[Call]:
    taps = Taps()
    people: Channel[PersonCame | PersonWent] = _channel("people")
    texts: Channel[RoomText] = _channel("texts")
    sounds: Channel[SoundStarted | SoundStopped] = _channel("sounds")
    orders: Channel[SessionOrder] = _channel("orders")
    requests: Channel[ClientMessage] = _channel("requests")
    departures: Channel[LeaveRoom] = _channel("departures")
    actor = CallLife(
        settings,
        people.receiver(),
        texts.receiver(),
        sounds.receiver(),
        taps.tap("call life"),
        orders.sender(),
        requests.sender(),
        departures.sender(),
        taps,
    )
    at_work = Call(
        people.sender(),
        texts.sender(),
        sounds.sender(),
        taps,
        orders.receiver(),
        requests.receiver(),
        departures.receiver(),
        taps.tap("test"),
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        yield at_work
        at_work.people.close()


async def test_a_session_begins_with_the_first_person_and_ends_soon_after_the_last_has_left(
    autojump_clock: MockClock,
) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        assert at_work.ordered() == []
        await at_work.come("alice")
        await at_work.come("bob")
        assert at_work.ordered() == [BeginSession(fresh=True)]
        await at_work.go("alice")
        await trio.sleep(60)
        assert at_work.ordered() == []
        await at_work.go("bob")
        await trio.sleep(9.9)
        assert at_work.ordered() == []
        await trio.sleep(0.2)
        assert at_work.ordered() == [EndSession()]
        assert CallEnded("everybody left") in list(_waiting(at_work.happened))
        await at_work.come("carol")
        assert at_work.ordered() == [BeginSession(fresh=True)]


async def test_who_comes_back_at_once_goes_on_with_the_session(autojump_clock: MockClock) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        await at_work.come()
        await at_work.go()
        await trio.sleep(9)
        await at_work.come()
        await trio.sleep(60)
        assert at_work.ordered() == [BeginSession(fresh=True)]


@pytest.mark.parametrize(("away_s", "fresh"), [(60, False), (600, True)])
async def test_who_comes_back_after_the_session_has_ended_goes_on_with_the_call_for_a_while(
    autojump_clock: MockClock, away_s: float, fresh: bool
) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        await at_work.come()
        await at_work.go()
        await trio.sleep(away_s)
        await at_work.come()
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession(), BeginSession(fresh=fresh)]


@pytest.mark.parametrize("back", ["alice", "bob"])
async def test_of_two_who_left_one_by_one_either_goes_on_with_the_call(
    autojump_clock: MockClock, back: str
) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        for _ in range(2):
            await at_work.come("alice")
            await at_work.come("bob")
            await at_work.go("alice")
            await at_work.go("bob")
            await trio.sleep(60)
        at_work.ordered()
        await at_work.come(back)
        assert at_work.ordered() == [BeginSession(fresh=False)]


async def test_who_had_left_a_call_before_is_no_part_of_the_next(autojump_clock: MockClock) -> None:
    async with call(CallSettings(alone_ms=10_000)) as at_work:
        for name in ("alice", "bob"):
            await at_work.come(name)
            await at_work.go(name)
            await trio.sleep(20)
        at_work.ordered()
        await at_work.come("alice")
        assert at_work.ordered() == [BeginSession(fresh=True)]


async def test_who_says_nothing_is_asked_once_then_the_session_ends_and_a_sound_takes_it_up(
    autojump_clock: MockClock,
) -> None:
    async with call(CallSettings(idle_ms=60_000, idle_end_ms=20_000)) as at_work:
        await at_work.come()
        await trio.sleep(59)
        assert at_work.asked() == []
        await trio.sleep(2)
        (asked,) = at_work.asked()
        assert "still there" in asked
        await at_work.reply("are you there?")
        await trio.sleep(20)
        assert at_work.asked() == []
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession()]
        await trio.sleep(1000)
        assert at_work.ordered() == []
        await at_work.sound()
        assert at_work.ordered() == [BeginSession(fresh=False)]


@pytest.mark.parametrize("sign", ["sound", "typed", "reply"])
async def test_a_sound_or_a_typed_word_or_the_agents_own_talk_is_no_silence(
    autojump_clock: MockClock, sign: str
) -> None:
    async with call(CallSettings(idle_ms=60_000)) as at_work:
        await at_work.come()
        for number in range(10):
            await trio.sleep(50)
            match sign:
                case "sound":
                    await at_work.sound()
                case "typed":
                    at_work.texts.send_nowait(Typed("alice", "hello"))
                case _:
                    await at_work.reply(str(number))
        assert at_work.asked() == []


async def test_who_talks_on_without_a_pause_is_not_asked_whether_they_are_there(
    autojump_clock: MockClock,
) -> None:
    async with call(CallSettings(idle_ms=60_000)) as at_work:
        await at_work.come()
        await at_work.sound()
        for number in range(20):
            await trio.sleep(10)
            at_work.taps.publish(PersonSaid(f"and {number} more", final=False))
        assert at_work.asked() == []


@pytest.mark.parametrize("silent_s", [0, 70, 1000], ids=["talking", "asked", "resting"])
async def test_where_nobody_tells_of_sounds_any_more_no_session_ends_that_no_sound_could_take_up(
    autojump_clock: MockClock, silent_s: float
) -> None:
    async with call(CallSettings(idle_ms=60_000, idle_end_ms=20_000)) as at_work:
        await at_work.come()
        await trio.sleep(silent_s)
        at_work.sounds.close()
        await trio.sleep(5000)
        resumed = [EndSession(), BeginSession(fresh=False)] if silent_s > 80 else []
        assert at_work.ordered() == [BeginSession(fresh=True), *resumed]


async def test_an_answer_to_the_question_keeps_the_session(autojump_clock: MockClock) -> None:
    async with call(CallSettings(idle_ms=60_000, idle_end_ms=20_000)) as at_work:
        await at_work.come()
        await trio.sleep(65)
        await at_work.sound()
        await trio.sleep(30)
        assert at_work.ordered() == [BeginSession(fresh=True)]


async def test_a_call_that_is_too_long_is_warned_of_and_ended_after_a_goodbye(
    autojump_clock: MockClock,
) -> None:
    async with call(CallSettings(idle_ms=0, longest_ms=300_000, warn_ms=60_000)) as at_work:
        await at_work.come()
        await trio.sleep(241)
        (warning,) = at_work.asked()
        assert "60 seconds" in warning
        await trio.sleep(60)
        await at_work.reply("what it was saying just then")
        assert at_work.ordered() == [BeginSession(fresh=True)], "that was no goodbye"
        (goodbye,) = await at_work.have_its_turn()
        assert "goodbye" in goodbye
        assert at_work.ordered() == [], "the goodbye is to be heard"
        await at_work.reply("goodbye")
        assert at_work.ordered() == [EndSession()]
        await at_work.sound()
        assert at_work.ordered() == [], "it is over for those who are there"
        await at_work.go()
        await at_work.come("bob")
        assert at_work.ordered() == [BeginSession(fresh=True)]


async def test_who_comes_when_the_call_is_over_for_another_has_one_of_their_own(
    autojump_clock: MockClock,
) -> None:
    async with call(CallSettings(idle_ms=0, longest_ms=60_000)) as at_work:
        await at_work.come("alice")
        await trio.sleep(100)
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession()]
        await at_work.come("bob")
        assert at_work.ordered() == [BeginSession(fresh=True)]


@pytest.mark.parametrize("ends", ["the goodbye is heard", "no goodbye comes", "those of the call have left"])
@pytest.mark.parametrize("when_over", ["stay", "leave"])
async def test_who_comes_during_the_goodbye_has_a_call_of_their_own_after_it(
    autojump_clock: MockClock, ends: str, when_over: str
) -> None:
    async with call(CallSettings(idle_ms=0, longest_ms=60_000, when_over=when_over)) as at_work:
        await at_work.come("alice")
        await trio.sleep(61)
        await at_work.have_its_turn()
        await at_work.come("bob")
        assert at_work.ordered() == [BeginSession(fresh=True)], "alice is told goodbye first"
        match ends:
            case "the goodbye is heard":
                await at_work.reply("goodbye")
            case "no goodbye comes":
                await trio.sleep(20)
            case _:
                await at_work.go("alice")
        assert at_work.ordered() == [EndSession(), BeginSession(fresh=True)]
        assert list(_waiting(at_work.departures)) == []
        await trio.sleep(50)
        assert at_work.asked() == [], "his call has just begun"


async def test_who_comes_and_goes_during_the_goodbye_leaves_it_as_it_was(autojump_clock: MockClock) -> None:
    async with call(CallSettings(idle_ms=0, longest_ms=60_000)) as at_work:
        await at_work.come("alice")
        await trio.sleep(61)
        await at_work.have_its_turn()
        await at_work.come("bob")
        await at_work.go("bob")
        await at_work.go("alice")
        await at_work.come("alice")
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession(), BeginSession(fresh=False)]


async def test_a_goodbye_whose_turn_does_not_come_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with call(CallSettings(idle_ms=0, longest_ms=60_000)) as at_work:
        await at_work.come()
        await trio.sleep(61)
        (goodbye,) = at_work.asked()
        at_work.taps.publish(AskGivenUp(ReplyCreate(goodbye), "more than 8 are waiting"))
        await wait_all_tasks_blocked()
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession()]


async def test_a_goodbye_that_is_never_said_does_not_keep_the_call_open(autojump_clock: MockClock) -> None:
    async with call(CallSettings(idle_ms=0, longest_ms=60_000)) as at_work:
        await at_work.come()
        await trio.sleep(80)
        assert at_work.ordered() == [BeginSession(fresh=True), EndSession()]


@pytest.mark.parametrize(("when_over", "leaves"), [("leave", 1), ("stay", 0)])
async def test_whether_the_agent_leaves_the_room_then_is_a_setting(
    autojump_clock: MockClock, when_over: str, leaves: int
) -> None:
    async with call(CallSettings(alone_ms=1000, when_over=when_over)) as at_work:
        await at_work.come()
        await at_work.go()
        await trio.sleep(2)
        left = list(_waiting(at_work.departures))
        assert len(left) == leaves
        assert all("everybody left" in order.why for order in left)


async def test_it_leaves_also_when_somebody_went_whose_session_had_ended_in_silence(
    autojump_clock: MockClock,
) -> None:
    async with call(CallSettings(idle_ms=60_000, when_over="leave")) as at_work:
        await at_work.come()
        await trio.sleep(1000)
        assert list(_waiting(at_work.departures)) == [], "a sound takes it up"
        await at_work.go()
        assert list(_waiting(at_work.departures)) == [LeaveRoom("the call is over: everybody left")]


@pytest.mark.parametrize("silent_s", [1000, 0], ids=["resting", "goodbye"])
async def test_that_people_go_because_the_agent_leaves_is_no_fault(
    autojump_clock: MockClock, silent_s: float
) -> None:
    settings = CallSettings(idle_ms=60_000, longest_ms=0 if silent_s else 30_000, when_over="leave")
    async with call(settings) as at_work:
        await at_work.come()
        await trio.sleep(silent_s or 31)
        at_work.departures.close()
        await at_work.go()


async def test_whom_the_agent_leaves_when_the_call_is_over_it_leaves_once(autojump_clock: MockClock) -> None:
    async with call(CallSettings(idle_ms=0, longest_ms=60_000, when_over="leave")) as at_work:
        await at_work.come()
        await trio.sleep(100)
        await at_work.go()
        assert len(list(_waiting(at_work.departures))) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from("ab")),
        st.tuples(st.just("go"), st.sampled_from("ab")),
        st.tuples(st.sampled_from(["sign", "spoken", "speak", "time"]), st.just("")),
    ),
    max_size=60,
)


@given(
    STEPS,
    st.builds(
        CallSettings,
        alone_ms=st.sampled_from([0, 5000]),
        idle_ms=st.sampled_from([0, 7000]),
        idle_end_ms=st.just(6000),
        longest_ms=st.sampled_from([0, 20_000]),
        warn_ms=st.sampled_from([0, 9000, 30_000]),
    ),
)
def test_whatever_happens_sessions_begin_and_end_in_turn_and_no_empty_room_keeps_one(
    steps: list[tuple[str, str]], settings: CallSettings
) -> None:
    life, now, session, warned = CallState(settings), 0.0, False, 0

    def did(deed: CallAction) -> None:
        nonlocal session
        if deed is CallAction.BEGIN:
            assert not session
            session = True
        elif deed is CallAction.END:
            assert session
            session = False
        elif deed is not CallAction.NOTHING:
            assert session, "only who is there can be asked or taken leave of"

    for what, who in steps:
        now += 1.0
        match what:
            case "come":
                life, deed = life.come(who, now)
            case "go":
                life, deed = life.go(who, now)
            case "sign":
                life, deed = life.take(CallSignal.SIGN, now)
            case "spoken":
                life, deed = life.take(CallSignal.SPOKEN, now)
            case "speak":
                life, deed = life.speak(now), CallAction.NOTHING
            case _:
                deed = CallAction.NOTHING
                if life.next_time() < float("inf"):
                    now = max(now, life.next_time())
                    life, deed, warn = life.pass_time(now)
                    warned += warn
        did(deed)
        assert session == (life.phase in (Phase.TALKING, Phase.ASKED, Phase.ALONE, Phase.CLOSING))
        if not session:
            assert life.next_time() == float("inf"), "nothing is due where nothing costs"
    # However it stands: when all have left, the session ends by itself.
    for who in "ab":
        now += 1.0
        life, deed = life.go(who, now)
        did(deed)
    for _ in range(4):
        if life.next_time() < float("inf"):
            now = max(now, life.next_time())
            life, deed, _warn = life.pass_time(now)
            did(deed)
    assert not session
    assert life.phase is Phase.EMPTY


def test_every_phase_says_what_follows_from_every_signal() -> None:
    assert TABLE.keys() == set(Phase)
    assert all(row.keys() == set(CallSignal) for row in TABLE.values())
