"""How a session ends on our side: in good order, so that billing ends, and never slowly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, wrap_server_stream

from channels.happenings import SessionClosed, SessionLost, SessionStarted
from channels.wire.events import SpeechStarted
from channels.wire.messages import SessionEnd
from playground.voice_agent_api import Drop, Expect, Send, Stall, Wait
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
