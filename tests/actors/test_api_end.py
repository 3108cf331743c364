"""How a session ends on our side: in good order, so that billing ends, and never slowly."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, wrap_server_stream

from channels.happenings import (
    PersonSaid,
    RequestWithheld,
    SessionClosed,
    SessionLost,
    SessionStarted,
    VoiceChosen,
)
from channels.messages import BeginSession, EndSession, SessionOver
from channels.settings import SessionSettings
from channels.wire.events import SessionEnded, SessionFailed, SessionReady, SpeechStarted, UserTranscript
from channels.wire.messages import (
    ConversationMessage,
    InputAudio,
    ReplyCreate,
    SessionEnd,
    SessionResume,
    SessionUpdate,
)
from playground.voice_agent_api import Close, Drop, Expect, Send, Stall, Wait
from tests.actors.test_api_support import RESUME, START, Conversation, conversation, in_virtual_time, ready

CTRL_C_S = 3.0
"""What leaving may take in all."""


def assert_the_session_was_ended(talk: Conversation) -> None:
    """The service was told, once, as the last word, and said so."""
    assert len(talk.sent(SessionEnd)) == 1
    assert list(talk.server.received)[-1].what == SessionEnd()
    assert talk.happened(SessionClosed) == [SessionClosed(confirmed=True)]
    assert talk.server.connections == 0


async def test_cancelled_it_ends_the_session_so_that_billing_ends_at_once(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk:
        await talk.speak_for(2)
        assert await talk.stop() == 0
        assert talk.failure is None
        assert_the_session_was_ended(talk)


async def test_ended_in_good_order_it_leaves_nothing_open(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk:
        await talk.until(SessionStarted)
        await talk.stop()
        assert talk.network.lines[0].closed
        assert talk.events_ended


@given(st.integers(0, 300))
@example(0)
@example(5)
@example(100)
@settings(max_examples=80, deadline=None)
def test_whenever_it_is_cancelled_a_session_that_has_begun_is_ended_in_good_order(hundredths: int) -> None:
    async def leave() -> None:
        start = [Expect("session.update"), Wait(0.4), ready()]
        async with conversation(start) as talk, trio.open_nursery() as nursery:
            nursery.start_soon(talk.speak_for, 10)
            await trio.sleep(hundredths / 100)
            began = bool(talk.happened(SessionStarted))
            assert await talk.stop() <= CTRL_C_S
            nursery.cancel_scope.cancel()
            assert talk.failure is None
            if began:
                assert_the_session_was_ended(talk)

    in_virtual_time(leave)


@given(st.integers(0, 40))
@settings(max_examples=41, deadline=None)
def test_however_few_steps_of_the_scheduler_lie_between_a_frame_and_the_cancellation_the_session_is_ended(
    steps: int,
) -> None:
    async def leave() -> None:
        async with conversation(START) as talk:
            await talk.until(SessionStarted)
            talk.speak()
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            await talk.stop()
            assert_the_session_was_ended(talk)

    in_virtual_time(leave)


@given(st.integers(0, 80))
@settings(max_examples=81, deadline=None)
def test_cancelled_at_any_step_of_connecting_it_leaves_at_once_with_nothing_open(steps: int) -> None:
    async def leave() -> None:
        async with conversation([Expect("session.update"), Wait(math.inf)]) as talk:
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            assert await talk.stop() <= CTRL_C_S
            assert talk.failure is None
            assert all(line.closed for line in talk.network.lines)

    in_virtual_time(leave)


async def test_a_service_that_does_not_answer_the_end_is_waited_for_two_seconds_at_most(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Stall(1000)]) as talk:
        await trio.sleep(5.5)
        assert await talk.stop() <= 2
        assert talk.happened(SessionClosed) == [SessionClosed(confirmed=False)]
        assert talk.network.lines[0].closed


async def test_a_service_that_goes_on_talking_instead_of_ending_is_waited_for_two_seconds_at_most(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, *[Wait(0.1), Send(SpeechStarted())] * 1000]) as talk:
        await trio.sleep(5.5)
        assert await talk.stop() <= 2
        assert talk.happened(SessionClosed) == [SessionClosed(confirmed=False)]


async def test_a_stalled_network_holds_up_leaving_for_two_seconds_at_most(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk, trio.open_nursery() as nursery:
        nursery.start_soon(talk.speak_for, 10)
        await trio.sleep(3)
        talk.network.lines[0].stall()
        await trio.sleep(3)
        assert await talk.stop() <= 2
        assert talk.happened(SessionClosed) == [SessionClosed(confirmed=False)]
        nursery.cancel_scope.cancel()


async def test_a_service_that_hangs_up_instead_of_ending_is_left_at_once(autojump_clock: MockClock) -> None:
    async with conversation([*START, Expect("session.end"), Drop()]) as talk:
        await talk.until(SessionStarted)
        assert await talk.stop() == 0
        assert talk.happened(SessionClosed) == [SessionClosed(confirmed=False)]
        assert talk.failure is None


@pytest.mark.parametrize(
    ("at_s", "connections"),
    [(4, [[Expect("session.update"), Wait(100)]]), (24, [[*START, Wait(21), Drop()], [Wait(100)]])],
    ids=["start", "resume"],
)
async def test_cancelled_before_the_service_listens_it_leaves_within_two_seconds(
    autojump_clock: MockClock, at_s: float, connections: Sequence[Sequence[Expect | Send | Wait | Drop]]
) -> None:
    async with conversation(*connections) as talk:
        await trio.sleep(at_s)
        assert await talk.stop() <= 2
        assert talk.failure is None
        assert all(line.closed for line in talk.network.lines)


async def test_cancelled_while_it_waits_for_the_next_try_it_leaves_at_once(autojump_clock: MockClock) -> None:
    async with conversation([*START, Wait(21), Drop()]) as talk:
        await trio.sleep(20)
        talk.network.down = True
        await trio.sleep(18)
        assert talk.happened(SessionLost)
        assert await talk.stop() == 0


async def test_cancelled_while_nobody_answers_it_leaves_at_once(autojump_clock: MockClock) -> None:
    async def swallow(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with conversation(answer=swallow) as talk:
        await trio.sleep(3)
        assert await talk.stop() == 0
        assert talk.network.lines[0].closed


async def test_a_resumed_session_is_ended_too(autojump_clock: MockClock) -> None:
    async with conversation([*START, Wait(21), Drop()], RESUME) as talk:
        await talk.until(SessionStarted, 2)
        await talk.stop()
        assert_the_session_was_ended(talk)


async def test_when_the_microphone_is_closed_for_good_the_session_is_ended_in_good_order(
    autojump_clock: MockClock,
) -> None:
    async with conversation(START) as talk:
        await talk.speak_for(3)
        talk.microphone.close()
        assert await talk.over(within_s=1) is None
        assert_the_session_was_ended(talk)
        assert talk.events_ended


async def test_a_session_whose_controller_has_stopped_working_is_ended_in_good_order_too(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, *[Send(SpeechStarted())] * 20], capacity=8, deaf=True) as talk:
        assert await talk.over(within_s=5) is not None
        assert_the_session_was_ended(talk)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_heartbeat_of_the_service_that_crosses_our_goodbye_is_no_crash(
    autojump_clock: MockClock, answers: bool
) -> None:
    async def pings_all_the_time(stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            websocket = await (await wrap_server_stream(nursery, stream)).accept()
            await websocket.get_message()
            await websocket.send_message('{"type":"session.ready","session_id":"sess_1"}')
            try:
                while await websocket.get_message() != '{"type":"session.end"}':
                    pass
                if answers:
                    await websocket.send_message('{"type":"session.ended"}')
                while True:
                    # Raw, since the library would not ping once the close frame has come in.
                    await stream.send_all(b"\x89\x00")
                    await trio.sleep(0.001)
            except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
                nursery.cancel_scope.cancel()

    async with conversation(answer=pings_all_the_time) as talk:
        await talk.until(SessionStarted)
        assert await talk.stop() <= 2
        assert talk.failure is None
        assert talk.happened(SessionClosed) == [SessionClosed(confirmed=answers)]


async def test_ordered_to_end_the_session_is_ended_and_the_next_person_gets_one_of_their_own(
    autojump_clock: MockClock,
) -> None:
    greeted = SessionSettings(greeting="Hello.")
    second = (Expect("session.update"), ready("sess_2"))
    async with conversation(START, second, config=greeted) as talk:
        await talk.speak_for(1)
        talk.orders.send_nowait(EndSession())
        await talk.speak_for(60)
        assert_the_session_was_ended(talk)
        assert len(talk.network.dialled) == 1, "a session that nobody needs is not begun again"
        assert SessionOver() in talk.events
        assert not talk.happened(SessionLost)
        talk.orders.send_nowait(BeginSession(fresh=True))
        await talk.speak_for(1)
        first, again = talk.sent(SessionUpdate)
        assert again.what == first.what, "nothing of the former call is told to another person"
        assert talk.happened(SessionStarted)[-1] == SessionStarted("sess_2", resumed=False)


def voices(talk: Conversation) -> list[str | None]:
    """Those that were asked for, a session each."""
    return [sent.what.session.get("output", {}).get("voice") for sent in talk.sent(SessionUpdate)]


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_voice_that_is_chosen_in_one_session_is_that_of_the_next_and_those_after_it(
    autojump_clock: MockClock, fresh: bool
) -> None:
    async with conversation(*[(Expect("session.update"), ready(f"sess_{n}")) for n in range(3)]) as talk:
        await talk.speak_for(1)
        talk.taps.publish(VoiceChosen("eve"))
        for _ in range(2):
            await talk.speak_for(1)
            talk.orders.send_nowait(EndSession())
            await talk.speak_for(20)
            talk.orders.send_nowait(BeginSession(fresh=fresh))
        await talk.speak_for(1)
        assert voices(talk) == [None, "eve", "eve"]


async def test_a_chosen_voice_that_the_service_refuses_ends_no_call(autojump_clock: MockClock) -> None:
    refused = (
        Expect("session.update"),
        Send(SessionFailed("invalid_value", "No", "output.voice")),
        Close(1008),
    )
    third = (Expect("session.update"), ready("sess_2"))
    async with conversation(START, refused, third) as talk:
        await talk.speak_for(1)
        talk.taps.publish(VoiceChosen("eve"))
        talk.orders.send_nowait(EndSession())
        await talk.speak_for(20)
        talk.orders.send_nowait(BeginSession(fresh=True))
        await talk.speak_for(5)
        assert voices(talk) == [None, "eve", None]
        assert talk.failure is None
        assert talk.happened(VoiceChosen)[-1] == VoiceChosen(None), "and whoever chose it is told"


async def test_a_call_that_is_taken_up_again_is_neither_greeted_nor_forgotten(
    autojump_clock: MockClock,
) -> None:
    said = Send(UserTranscript("item_1", "My order number is 4471."))
    second = (Expect("session.update"), ready("sess_2"))
    async with conversation((*START, said), second, config=SessionSettings(greeting="Hello.")) as talk:
        await talk.speak_for(1)
        talk.taps.publish(PersonSaid("My order number is 4471.", final=True))
        talk.orders.send_nowait(EndSession())
        await talk.speak_for(60)
        talk.orders.send_nowait(BeginSession(fresh=False))
        await talk.speak_for(1)
        session = talk.sent(SessionUpdate)[-1].what.session
        assert "greeting" not in session
        assert "4471" in session["system_prompt"]


@pytest.mark.parametrize("after_s", [0.0, 0.2, 1.0, 3.0])
async def test_ordered_to_end_while_it_dials_or_waits_it_stops_trying(
    autojump_clock: MockClock, after_s: float
) -> None:
    async with conversation(down=True) as talk:
        await trio.sleep(after_s)
        talk.orders.send_nowait(EndSession())
        await trio.sleep(1)
        tried = len(talk.network.dialled)
        await trio.sleep(120)
        assert len(talk.network.dialled) == tried
        assert talk.failure is None


async def test_guests_who_come_and_go_faster_than_a_session_ends_end_no_call_and_get_nobody_elses(
    autojump_clock: MockClock,
) -> None:
    said = Send(UserTranscript("item_1", "My order number is 4471."))
    second = (Expect("session.update"), ready("sess_2"))
    never_says_that_it_ended = (*START, said, Stall(5))
    async with conversation(
        never_says_that_it_ended, second, config=SessionSettings(greeting="Hello.")
    ) as talk:
        await talk.speak_for(1)
        talk.taps.publish(PersonSaid("My order number is 4471.", final=True))
        for guest in range(60):
            talk.orders.send_nowait(EndSession())
            await trio.sleep(0.01)
            talk.orders.send_nowait(BeginSession(fresh=guest != 59))
            await trio.sleep(0.01)
        await talk.speak_for(5)
        assert talk.failure is None
        assert len(talk.network.dialled) == 2, "who was there for no time had no session"
        assert "4471" not in talk.sent(SessionUpdate)[-1].what.session.get("system_prompt", "")
        assert talk.sent(SessionUpdate)[-1].what.session["greeting"] == "Hello."


async def test_what_was_asked_of_a_session_that_is_over_is_not_asked_of_the_next(
    autojump_clock: MockClock,
) -> None:
    second = (Expect("session.update"), ready("sess_2"))
    async with conversation([Expect("session.update"), Stall(5)], second) as talk:
        await trio.sleep(1)
        talk.requests.send_nowait(ReplyCreate("Say goodbye."))
        talk.orders.send_nowait(EndSession())
        await trio.sleep(5)
        talk.orders.send_nowait(BeginSession())
        await talk.speak_for(2)
        assert talk.sent(ReplyCreate) == []


@pytest.mark.parametrize("fresh", [True, False])
async def test_what_was_typed_while_there_was_no_session_is_for_the_same_call_only(
    autojump_clock: MockClock, fresh: bool
) -> None:
    second = (Expect("session.update"), ready("sess_2"))
    async with conversation(START, second) as talk:
        await talk.speak_for(1)
        talk.orders.send_nowait(EndSession())
        await trio.sleep(5)
        talk.requests.send_nowait(ConversationMessage("user", "Are you still open?"))
        await trio.sleep(60)
        talk.orders.send_nowait(BeginSession(fresh=fresh))
        await talk.speak_for(2)
        _, update = talk.sent(SessionUpdate)
        assert ("Are you still open?" in update.what.session.get("system_prompt", "")) is not fresh
        assert talk.sent(ConversationMessage) == []


async def test_what_was_asked_before_the_first_person_came_is_for_them(autojump_clock: MockClock) -> None:
    async with conversation(START, empty_room=True) as talk:
        talk.requests.send_nowait(ConversationMessage("system", "The shop closes early today."))
        await trio.sleep(60)
        talk.orders.send_nowait(BeginSession(fresh=True))
        await talk.speak_for(2)
        assert len(talk.sent(ConversationMessage)) == 1


async def test_when_the_room_was_left_a_service_that_is_down_keeps_nobody(autojump_clock: MockClock) -> None:
    async with conversation(down=True) as talk:
        await trio.sleep(3)
        talk.microphone.close()
        talk.orders.close()
        assert await talk.over(within_s=1) is None


async def test_nobody_but_the_session_itself_ends_it_or_speaks_for_the_person(
    autojump_clock: MockClock,
) -> None:
    async with conversation(START) as talk:
        await talk.speak_for(1)
        heard = len(talk.sent(InputAudio))
        for request in (SessionEnd(), InputAudio(bytes(2400)), SessionResume("sess_1")):
            talk.requests.send_nowait(request)
        await trio.sleep(1)
        assert [told.request for told in talk.happened(RequestWithheld)] == [
            "session.end",
            "input.audio",
            "session.resume",
        ]
        assert len(talk.sent(InputAudio)) == heard
        assert not talk.sent(SessionEnd)


async def test_a_call_that_is_over_while_its_session_is_being_renewed_has_lost_none(
    autojump_clock: MockClock,
) -> None:
    begins = Send(SessionReady("sess_1", {}, int(time.time()) + 600))
    lives = (Expect("session.update"), begins, Wait(299))
    ends = (Expect("session.end"), Wait(0.5), Send(SessionEnded()), Wait(60))
    async with conversation((*lives, *ends)) as talk:
        with trio.fail_after(600):
            while not talk.sent(SessionEnd):
                await trio.sleep(0.1)
        talk.orders.send_nowait(EndSession())
        await trio.sleep(60)
        assert SessionOver() in talk.events
        assert not talk.happened(SessionLost), "whoever waits for a session would wait for ever"
        assert len(talk.network.dialled) == 1
