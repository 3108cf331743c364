"""What the service says reaches the controller at once, in order and whole, whatever else goes on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock
from trio_websocket import wrap_server_stream

from channels.errors import ChannelOverflow
from channels.happenings import SessionLost, SessionStarted
from channels.secret import Secret
from channels.wire.events import (
    AgentTranscriptDelta,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    ServerEvent,
    SessionReady,
    SpeechStarted,
)
from channels.wire.messages import (
    ClientMessage,
    ConversationMessage,
    InputAudio,
    ReplyCreate,
    SessionUpdate,
)
from playground.voice_agent_api import Drop, Script, Send, SendRaw, ServerOptions, Wait
from tests.actors.test_api_support import KEY, RESUME, START, conversation

TEN_MS = bytes(480)


def reply(count: int) -> list[Send]:
    """A reply whose sound comes all at once; each piece knows its number."""
    return [
        Send(ReplyStarted("resp_1")),
        *(Send(ReplyAudio(number.to_bytes(4, "little") + TEN_MS[4:], "resp_1")) for number in range(count)),
    ]


async def test_an_interruption_behind_a_thousand_pieces_of_sound_is_known_in_the_same_instant(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Wait(1), *reply(1000), Send(SpeechStarted())]) as talk:
        await talk.until(SpeechStarted)
        started = talk.events_at[[type(event) for event in talk.events].index(ReplyStarted)]
        assert trio.current_time() == started == 1
        pieces = [int.from_bytes(event.data[:4], "little") for event in talk.heard(ReplyAudio)]
        assert pieces == list(range(1000))


async def test_a_reply_in_a_burst_needs_next_to_no_room_on_its_way_to_the_controller(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, *reply(3000), Send(SpeechStarted())], capacity=16) as talk:
        await talk.until(SpeechStarted)
        assert talk.statistics().passed >= 3000
        assert talk.statistics().deepest < 8


async def test_a_controller_that_looks_away_holds_up_neither_the_service_nor_the_heartbeat(
    autojump_clock: MockClock,
) -> None:
    options = ServerOptions(
        script=Script([[*START, *reply(1000), Send(SpeechStarted()), Wait(300)]]),
        keys=(Secret(KEY),),
        ping_s=20,
    )
    async with conversation(options=options, deaf=True) as talk:
        await trio.sleep(200)
        assert {entry.at_s for entry in talk.server.sent} == {0.0}
        assert talk.statistics().depth == 1003
        assert talk.server.connections == 1
        assert not talk.happened(SessionLost)


async def test_a_controller_that_never_looks_again_is_an_error_with_a_name_and_not_a_stall(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, *reply(100)], capacity=50, deaf=True) as talk:
        error = await talk.over(within_s=5)
        assert isinstance(error, ChannelOverflow)
        assert "'service' is full" in str(error)


async def test_a_minute_of_sound_in_one_message_is_one_event(autojump_clock: MockClock) -> None:
    minute = bytes(60 * 48_000)
    async with conversation([*START, Send(ReplyAudio(minute, "resp_1")), Send(SpeechStarted())]) as talk:
        await talk.until(SpeechStarted)
        (event,) = talk.heard(ReplyAudio)
        assert event.data == minute


async def test_a_message_without_end_breaks_the_connection_and_not_the_agent(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, SendRaw("x" * (17 * 2**20))], START) as talk:
        await talk.until(SessionLost)
        assert talk.failure is None


async def test_everything_arrives_in_the_order_in_which_it_was_said(autojump_clock: MockClock) -> None:
    said: list[ServerEvent] = [
        ReplyStarted("resp_1", "msg_1"),
        ReplyAudio(TEN_MS, "resp_1"),
        AgentTranscriptDelta("Hello", "resp_1", "msg_1", 0, 200),
        ReplyAudio(TEN_MS),
        SpeechStarted(),
        ReplyDone("resp_1", "interrupted"),
        ReplyAudio(TEN_MS, "resp_1"),
    ]
    async with conversation([*START, *(Send(event) for event in said)]) as talk:
        await talk.until(ReplyAudio, 3)
        assert talk.events[1:] == said
        assert isinstance(talk.events[0], SessionReady)


@pytest.mark.parametrize(
    "binary", [b'{"type":"input.speech.started"}', b"\xff\xfe\x00garbage"], ids=["an event", "garbage"]
)
async def test_a_binary_frame_is_no_crash(autojump_clock: MockClock, binary: bytes) -> None:
    # The protocol has text frames only; a proxy was seen to change the kind.
    async def peer(stream: trio.abc.Stream) -> None:
        async with trio.open_nursery() as nursery:
            websocket = await (await wrap_server_stream(nursery, stream)).accept()
            await websocket.get_message()
            await websocket.send_message('{"type":"session.ready","session_id":"sess_1"}')
            await websocket.send_message(binary)
            await websocket.send_message('{"type":"reply.done","reply_id":"resp_1"}')
            await trio.sleep_forever()

    async with conversation(answer=peer) as talk:
        await talk.until(ReplyDone)
        assert len(talk.events) == 3


async def test_it_is_told_once_that_the_session_began(autojump_clock: MockClock) -> None:
    async with conversation([*START, *reply(10), Send(SpeechStarted())]) as talk:
        await talk.until(SpeechStarted)
        assert len(talk.happened(SessionStarted)) == 1


async def test_what_others_ask_for_reaches_the_service_in_order_and_at_once(
    autojump_clock: MockClock,
) -> None:
    asked: list[ClientMessage] = [
        ConversationMessage("user", "hello"),
        ReplyCreate(),
        SessionUpdate({"system_prompt": "Be brief."}),
    ]
    async with conversation(START) as talk:
        await talk.until(SessionStarted)
        await trio.sleep(1)
        for request in asked:
            await talk.requests.send(request)
        await trio.sleep(1)
        received = list(talk.server.received)[1:]
        assert [entry.what for entry in received] == asked
        assert {entry.at_s for entry in received} == {1.0}


async def test_what_others_ask_for_while_the_connection_is_away_is_sent_when_it_is_back(
    autojump_clock: MockClock,
) -> None:
    async with conversation([*START, Wait(21), Drop()], RESUME) as talk:
        await trio.sleep(21.1)
        await talk.requests.send(ReplyCreate())
        await talk.until(SessionStarted, 2)
        await trio.sleep(1)
        assert [entry.connection for entry in talk.sent(ReplyCreate)] == [2]


async def test_the_person_goes_on_being_heard_when_those_who_ask_for_things_are_gone(
    autojump_clock: MockClock,
) -> None:
    async with conversation(START) as talk:
        await talk.until(SessionStarted)
        talk.requests.close()
        await talk.speak_for(3)
        assert len(talk.sent(InputAudio)) == 60
