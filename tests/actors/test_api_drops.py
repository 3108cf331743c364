"""What becomes of the conversation when the connection breaks, and when it must be given up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock
from trio_websocket import wrap_server_stream

from actors.api.connection import dial
from channels.happenings import ServiceComplained, SessionClosed, SessionLost, SessionStarted
from channels.messages import ConnectionBroke
from channels.wire.events import ReplyDone, SessionEnded, SessionFailed, SpeechStarted, UserTranscript
from channels.wire.failures import (
    ConnectionLost,
    KeyRefused,
    ServiceError,
    ServiceFault,
    ServiceUnreachable,
    SessionClosedByService,
)
from channels.wire.messages import InputAudio, SessionResume, SessionUpdate
from playground.voice_agent_api import (
    Close,
    Drop,
    Expect,
    Script,
    Send,
    SendRaw,
    ServerOptions,
    Stall,
    Wait,
    voice_agent_server,
)
from tests.actors.test_api_support import (
    RESUME,
    START,
    URL,
    Conversation,
    conversation,
    in_virtual_time,
    ready,
)

UPDATE, RESUMPTION = "session.update", "session.resume"


def assert_nothing_is_left_open(talk: Conversation) -> None:
    assert all(line.closed for line in talk.network.lines)
    assert talk.server.connections == 0
    assert talk.server.crashes == 0


def waits(talk: Conversation) -> list[float]:
    """The times between the calls."""
    times = talk.network.dialled_at
    return [later - earlier for earlier, later in itertools.pairwise(times)]


@pytest.mark.parametrize("ending", [Drop(), Close(1001), Close(1002), Close(1011), Close(1012)])
async def test_a_connection_that_breaks_is_taken_up_again_with_the_same_session_at_the_same_address(
    autojump_clock: MockClock, ending: Drop | Close
) -> None:
    async with conversation([*START, Wait(21), ending], RESUME) as talk:
        await talk.until(SessionStarted, 2)
        assert talk.happened(SessionStarted)[1] == SessionStarted("sess_1", resumed=True)
        assert talk.first_messages() == [UPDATE, RESUMPTION]
        assert talk.sent(SessionResume)[0].what.session_id == "sess_1"
        assert talk.network.dialled == [URL, URL]
        assert trio.current_time() == pytest.approx(21)
        assert len(talk.sent(SessionUpdate)) == 1
        await talk.stop()
        assert_nothing_is_left_open(talk)


async def test_the_person_goes_on_being_heard_after_a_drop(autojump_clock: MockClock) -> None:
    async with conversation(
        [*START, Wait(1), Drop()], [*RESUME, Wait(1), Send(UserTranscript("hello"))]
    ) as talk:
        await talk.speak_for(4)
        assert len([entry for entry in talk.sent(InputAudio) if entry.connection == 2]) > 40
        assert talk.heard(UserTranscript) == [UserTranscript("hello")]


async def test_it_is_told_why_the_connection_broke_and_when_the_next_try_is(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Wait(21), Drop()], RESUME) as talk:
        lost = await talk.until(SessionLost)
        assert "broke (close 1006)" in lost.why
        await talk.until(SessionStarted, 2)
        assert talk.network.dialled_at[1] == pytest.approx(21 + lost.retry_in_s)


async def test_the_controller_learns_of_the_break_before_anything_of_the_next_connection(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Drop()], [*RESUME, Send(SpeechStarted())]) as talk:
        await talk.until(SpeechStarted)
        kinds = [type(event).__name__ for event in talk.events]
        assert kinds == ["SessionReady", "ConnectionBroke", "SessionReady", "SpeechStarted"]


async def test_a_session_that_is_dropped_again_and_again_is_resumed_each_time(
    autojump_clock: MockClock,
) -> None:
    drops = [[*RESUME, Wait(11), Drop()] for _ in range(50)]
    async with conversation([*START, Wait(11), Drop()], *drops, RESUME) as talk:
        await talk.until(SessionStarted, 52, within_s=1000)
        assert talk.first_messages() == [UPDATE, *[RESUMPTION] * 51]


async def test_the_latest_session_is_the_one_that_is_resumed(autojump_clock: MockClock) -> None:
    second = [Expect(UPDATE), ready("sess_2"), Wait(11), Drop()]
    third = [Expect(RESUMPTION, {"session_id": "sess_2"}), ready("sess_2")]
    async with conversation([*START, Wait(11), Close(1000)], second, third) as talk:
        await talk.until(SessionStarted, 3)
        assert talk.server.script is not None
        assert not talk.server.script.missed


@pytest.mark.parametrize(
    "code", ["session_not_found", "session_forbidden", "session_expired", "SESSION_NOT_FOUND"]
)
async def test_a_refused_resume_is_followed_by_a_fresh_session_and_never_asked_again(
    autojump_clock: MockClock, code: str
) -> None:
    refusal = [Expect(RESUMPTION), Send(SessionFailed(code, "Session not found")), Close(1008)]
    async with conversation([*START, Wait(21), Drop()], refusal, START) as talk:
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, RESUMPTION, UPDATE]
        assert talk.happened(SessionStarted)[1].resumed is False
        assert trio.current_time() < 23
        assert not talk.happened(ServiceComplained)


async def test_a_resume_that_is_refused_by_a_bare_close_is_followed_by_a_fresh_session(
    autojump_clock: MockClock,
) -> None:
    # The key was good a moment ago, so a close with 1008 cannot mean the key.
    async with conversation([*START, Wait(21), Drop()], [Expect(RESUMPTION), Close(1008)], START) as talk:
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, RESUMPTION, UPDATE]


async def test_a_key_that_was_withdrawn_meanwhile_ends_it_with_one_line(autojump_clock: MockClock) -> None:
    refusal = [Expect(RESUMPTION), Send(SessionFailed("unauthorized", "Authentication failed")), Close(1008)]
    async with conversation([*START, Wait(21), Drop()], refusal, refusal[1:], START) as talk:
        error = await talk.over(within_s=30)
        assert isinstance(error, KeyRefused)
        assert len(talk.network.dialled) == 3
        assert_nothing_is_left_open(talk)


async def test_a_key_that_is_refused_in_mid_session_ends_it_with_one_line(autojump_clock: MockClock) -> None:
    refused = [*START, Wait(21), Send(SessionFailed("unauthorized", "Token expired")), Close(1008)]
    async with conversation(refused, START) as talk:
        assert isinstance(await talk.over(within_s=30), KeyRefused)
        assert len(talk.network.dialled) == 1


@pytest.mark.parametrize(
    "ending",
    [
        [Close(1000)],
        [Send(SessionEnded(20.0)), Close(1000)],
        [Send(SessionEnded(20.0)), Close(1008)],
        [Send(SessionEnded(20.0)), Drop()],
        [Send(SessionFailed("session_expired", "Session expired")), Send(SessionEnded(20.0)), Close(1008)],
        [Send(SessionEnded(20.0)), Send(SessionFailed("session_expired", "Session expired")), Close(1008)],
        [Send(SessionFailed("session_expired", "Session expired")), Drop()],
        [Close(1008)],
    ],
    ids=[
        "close",
        "ended",
        "ended 1008",
        "ended dropped",
        "expired, ended",
        "ended, expired",
        "expired",
        "1008",
    ],
)
async def test_a_session_that_the_service_ends_is_followed_by_a_fresh_one_at_once(
    autojump_clock: MockClock, ending: Sequence[Send | Close | Drop]
) -> None:
    # Its limit is an hour or three: no reason to end the conversation, nor to blame the key.
    async with conversation([*START, Wait(3597), *ending], START) as talk:
        await talk.until(SessionStarted, 2, within_s=4000)
        assert talk.first_messages() == [UPDATE, UPDATE]
        assert trio.current_time() == pytest.approx(3597)


@pytest.mark.parametrize(
    "code", ["invalid_audio", "immutable_field", "audio_rate_violation", "invalid_format"]
)
@pytest.mark.parametrize("ending", [Drop(), Close(1011), Close(1000)])
async def test_a_complaint_that_the_session_outlived_is_not_what_a_later_break_is_blamed_on(
    autojump_clock: MockClock, code: str, ending: Drop | Close
) -> None:
    again = START if ending == Close(1000) else RESUME
    complaint = Send(SessionFailed(code, "Something was not right"))
    async with conversation([*START, Wait(15), complaint, Wait(16), ending], again) as talk:
        await talk.until(SessionStarted, 2)
        assert len(talk.happened(ServiceComplained)) == 1


async def test_a_drop_during_the_start_is_a_new_start(autojump_clock: MockClock) -> None:
    async with conversation([Expect(UPDATE), Wait(0.5), Drop()], [Drop()], START) as talk:
        await talk.until(SessionStarted, within_s=5)
        assert [entry.connection for entry in talk.sent(SessionUpdate)] == [1, 3]
        assert not talk.sent(SessionResume)


@pytest.mark.parametrize(
    "refusal",
    [
        [Drop()],
        [Close(1011)],
        [Close(1008)],
        [Close(1000)],
        [Send(SessionFailed("session_not_found", "Session not found")), Wait(60)],
        [Send(SessionFailed("at_capacity", "Full")), Close(1008)],
        [Send(SessionFailed("internal_error", "Internal error")), Close(1011)],
        [Send(SessionFailed("invalid_format", "Unknown message type session.resume")), Wait(60)],
        [Send(SessionFailed("", "")), Wait(60)],
    ],
    ids=["drop", "1011", "1008", "1000", "not found", "full", "fault", "unknown", "nothing"],
)
async def test_one_drop_is_one_try_to_resume(
    autojump_clock: MockClock, refusal: Sequence[Send | Close | Drop | Wait]
) -> None:
    async with conversation([*START, Wait(21), Drop()], [Expect(RESUMPTION), *refusal], START) as talk:
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, RESUMPTION, UPDATE]
        assert trio.current_time() == pytest.approx(21), "whoever was refused does not wait"
        assert [lost.retry_in_s for lost in talk.happened(SessionLost)] == [0, 0]


async def test_a_resume_that_nobody_answers_is_given_up_after_three_seconds(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Wait(21), Drop()], [Expect(RESUMPTION), Wait(60)], START) as talk:
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, RESUMPTION, UPDATE]
        assert trio.current_time() == pytest.approx(24)


async def test_a_service_that_refuses_and_then_is_full_is_given_time(autojump_clock: MockClock) -> None:
    refusal = [Expect(RESUMPTION), Send(SessionFailed("session_not_found", "No")), Close(1008)]
    full = [Send(SessionFailed("at_capacity", "Full")), Close(1008)]
    async with conversation([*START, Wait(21), Drop()], refusal, full, full, START) as talk:
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, RESUMPTION, UPDATE, UPDATE, UPDATE]
        assert [wait > 0 for wait in waits(talk)[1:]] == [False, True, True]


async def test_without_resume_a_fresh_session_takes_over_at_once(autojump_clock: MockClock) -> None:
    async with conversation([*START, Wait(21), Drop()], START, resume=False) as talk:
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, UPDATE]
        assert trio.current_time() == pytest.approx(21)


async def test_a_network_that_is_away_for_eight_seconds_costs_no_session(autojump_clock: MockClock) -> None:
    async with conversation([*START, Wait(21), Drop()], RESUME) as talk:
        await trio.sleep(19)
        talk.network.down = True
        await trio.sleep(9)
        talk.network.down = False
        await talk.until(SessionStarted, 2)
        assert talk.happened(SessionStarted)[1].resumed
        assert trio.current_time() < 21 + 16


async def test_a_network_that_is_away_for_longer_than_the_service_keeps_the_session_leads_to_a_fresh_one(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Wait(21), Drop()], START) as talk:
        await trio.sleep(19)
        talk.network.down = True
        await trio.sleep(30)
        talk.network.down = False
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, UPDATE]


async def test_a_network_that_does_not_come_back_is_given_up_after_a_minute_with_one_line(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Wait(21), Drop()]) as talk:
        await trio.sleep(19)
        talk.network.down = True
        error = await talk.over()
        assert isinstance(error, ServiceUnreachable)
        assert str(error).isprintable()
        assert 21 + 50 < trio.current_time() <= 21 + 60


async def test_the_waits_double_up_to_five_seconds_and_differ_from_agent_to_agent(
    autojump_clock: MockClock,
) -> None:
    all_waits = []
    for seed in range(3):
        async with conversation([*START, Wait(21), Drop()], seed=seed) as talk:
            await talk.until(SessionStarted)
            talk.network.down = True
            await talk.over()
            all_waits.append(waits(talk))
    for agent in all_waits:
        assert agent[0] - 21 < 1e-6, "the first call is at once"
        for wait, most in zip(agent[1:], [0.25, 0.5, 1, 2, 4, *[5.0] * 100], strict=False):
            assert wait <= most + 1e-6
        assert max(agent[1:]) > 2
    assert len({agent[1] for agent in all_waits}) == 3


@pytest.mark.parametrize(
    "flap",
    [
        [Drop()],
        [Wait(9), Drop()],
        [Close(1000)],
        [Send(SessionEnded(0.0)), Close(1000)],
        [Close(1011)],
        [Close(1008)],
        [Send(SessionFailed("internal_error", "Internal error")), Close(1011)],
        [Send(SessionFailed("session_expired", "Session expired")), Close(1008)],
    ],
    ids=["drop", "slow drop", "1000", "ended", "1011", "1008", "internal", "expired"],
)
async def test_a_service_that_flaps_for_ever_is_given_up_in_a_minute_or_so_with_one_line(
    autojump_clock: MockClock, flap: Sequence[Send | Close | Drop | Wait]
) -> None:
    lives = [[SendRaw('{"type":"session.ready","session_id":"sess_1"}'), *flap] for _ in range(1000)]
    async with conversation(*lives) as talk:
        error = await talk.over(within_s=80)
        assert isinstance(error, ServiceError)
        assert str(error).isprintable()
        assert len(talk.network.dialled) < 40
        assert talk.events_ended
        assert_nothing_is_left_open(talk)


ENDINGS: list[Sequence[Send | SendRaw | Close | Drop | Wait | Stall]] = [
    [Drop()],
    [Wait(0.3), Drop()],
    [Close(1000)],
    [Close(1008)],
    [Close(1011)],
    [Wait(4), Close(1001)],
    [Wait(math.inf)],
    [Send(SessionFailed("session_expired", "Session expired")), Close(1008)],
    [Send(SessionFailed("at_capacity", "Full")), Close(1008)],
    [Send(SessionFailed("invalid_audio", "Invalid audio data")), Drop()],
    [SendRaw("{"), Drop()],
]


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from(ENDINGS)), min_size=1, max_size=12), st.integers(0, 99)
)
@example([(True, [Drop()])], 0)
@settings(max_examples=60, deadline=None)
def test_whatever_a_failing_service_does_it_ends_in_bounded_time_with_one_line_and_nothing_left_open(
    lives: list[tuple[bool, Sequence[Send | Close | Drop | Wait]]], seed: int
) -> None:
    ready_text = SendRaw('{"type":"session.ready","session_id":"sess_1"}')
    connections = [
        [*([ready_text] if gets_ready else []), *ending, Wait(0.1), Drop()] for gets_ready, ending in lives
    ]
    # A life that stays for ever is dropped when the script is over; one that stays ten seconds is a success.
    connections = [[Wait(9) if step == Wait(math.inf) else step for step in steps] for steps in connections]

    async def go_through_it() -> None:
        async with conversation(*(connections * 50)[:200], seed=seed) as talk:
            error = await talk.over(within_s=150)
            assert isinstance(error, ServiceError)
            assert str(error).isprintable()
            assert talk.events_ended
            assert len(talk.heard(ConnectionBroke)) == len(talk.network.dialled)
            assert_nothing_is_left_open(talk)

    in_virtual_time(go_through_it)


async def test_a_service_that_falls_silent_without_a_word_is_noticed_within_fifteen_seconds_and_resumed(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Wait(math.inf)], RESUME) as talk:
        await trio.sleep(33)
        talk.network.lines[0].stall()
        await talk.until(SessionLost)
        assert 33 + 10 <= trio.current_time() <= 33 + 17
        assert "has not answered" in talk.happened(SessionLost)[0].why
        await talk.until(SessionStarted, 2)
        assert talk.first_messages() == [UPDATE, RESUMPTION]
        assert talk.network.lines[0].closed


async def test_a_service_that_reads_nothing_for_nine_seconds_is_forgiven(autojump_clock: MockClock) -> None:
    async with conversation([*START, Wait(2), Stall(9)]) as talk:
        await talk.speak_for(30)
        await talk.server.send_event(SpeechStarted())
        await talk.until(SpeechStarted)
        assert len(talk.network.dialled) == 1


async def test_a_quiet_conversation_of_three_hours_is_no_broken_one(autojump_clock: MockClock) -> None:
    async with conversation([*START, Wait(10_800), Send(SpeechStarted())]) as talk:
        await talk.until(SpeechStarted, within_s=11_000)
        assert len(talk.network.dialled) == 1
        assert not talk.happened(SessionLost)


async def test_a_service_that_closes_and_reads_no_more_is_left_in_bounded_time(
    autojump_clock: MockClock,
) -> None:
    # Our answer to its close frame cannot be sent, so the closing handshake never ends.
    async with conversation([*START, Wait(3), Close(1011)], RESUME) as talk, trio.open_nursery() as nursery:
        await talk.until(SessionStarted)
        nursery.start_soon(talk.speak_for, 30)
        await trio.sleep(2)
        talk.network.lines[0].stall(only_out=True)
        await talk.until(SessionStarted, 2)
        assert trio.current_time() < 3 + 17
        nursery.cancel_scope.cancel()


async def test_a_connection_that_the_service_closed_is_closed_here_too(autojump_clock: MockClock) -> None:
    async with conversation(
        [Expect(UPDATE), Send(SessionFailed("invalid_value", "No")), Close(1008)]
    ) as talk:
        await talk.over(within_s=5)
        assert [line.closed for line in talk.network.lines] == [True]


@pytest.mark.parametrize("garbage", [b"\xff" * 40, b"\x81\x02\xff\xff", b"\x83\x01a", b"\x88\x01a"])
async def test_a_broken_stream_of_frames_is_a_drop_and_not_a_crash(
    autojump_clock: MockClock, garbage: bytes
) -> None:
    lives = 0

    async def peer(stream: trio.abc.Stream) -> None:
        nonlocal lives
        lives += 1
        async with trio.open_nursery() as nursery:
            websocket = await (await wrap_server_stream(nursery, stream)).accept()
            await websocket.get_message()
            await websocket.send_message('{"type":"session.ready","session_id":"sess_1"}')
            if lives == 1:
                await stream.send_all(garbage)
            else:
                await websocket.send_message('{"type":"reply.done","reply_id":"resp_1"}')

    async with conversation(answer=peer) as talk:
        await talk.until(ReplyDone)
        assert len(talk.happened(SessionLost)) == 1


async def test_over_a_real_socket_a_reset_is_resumed_and_the_session_ended_in_good_order() -> None:
    script = Script([START, RESUME])
    with trio.fail_after(60):
        async with voice_agent_server(ServerOptions(script=script)) as server:
            async with conversation(url=server.url, dialer=dial) as talk:
                await talk.until(SessionStarted)
                talk.speak()
                await server.received.until("input.audio")
                await server.drop_connections()
                await talk.until(SessionStarted, 2)
                talk.speak()
                await server.received.until("input.audio", 2)
                await talk.stop()
                assert talk.happened(SessionStarted)[1].resumed
                assert talk.happened(SessionClosed) == [SessionClosed(confirmed=True)]
            assert server.crashes == 0


async def test_the_last_error_is_the_one_that_is_shown(autojump_clock: MockClock) -> None:
    async with conversation([*START, Wait(21), Drop()]) as talk:
        await talk.until(SessionStarted)
        talk.network.down = True
        error = await talk.over()
        assert not isinstance(error, ConnectionLost | ServiceFault | SessionClosedByService)
        assert isinstance(error, ServiceUnreachable)
