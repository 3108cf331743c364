"""An operator steers the call; nobody else does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.operator import Operator
from actors.operator.actor import ANSWERED_WITHIN_S, AT_ONCE, LONGEST_ANSWER
from actors.record import recording
from actors.room.actor import mint_operator_token
from channels.bounded import Channel, ChannelStatistics, Full, Receiver, Sender, Watched
from channels.happenings import (
    CallEnded,
    Happening,
    OperatorActed,
    OperatorRefused,
    SessionConfigured,
    SessionStarted,
    UpdateAnswered,
)
from channels.messages import LeaveRoom
from channels.secret import Secret
from channels.settings import LiveKitAccount, Settings
from channels.taps import Taps
from channels.texts import CONFIGURE_METHOD, OPERATE_METHOD, Asked, RoomText, Typed
from channels.wire.messages import ClientMessage, ConversationMessage, ReplyCreate, SessionUpdate
from tests.actors.test_front_end import Board

ACCOUNT = LiveKitAccount("ws://localhost:7880", "key", Secret("s" * 32))
TOKEN = mint_operator_token(ACCOUNT, "lobby", "bob", timedelta(hours=1)).reveal()
COUNTERS = ChannelStatistics("microphone", 4, "frames of 50 ms", Full.DROP_OLDEST, 100, 3, 1, 4)


@define
class Room(Board):
    """A room that remembers what the operator was answered."""

    replies: dict[str, list[dict[str, Any]]] = field(factory=dict)
    said: str = ""

    def answer(self, call_id: str, payload: str) -> None:
        assert call_id not in self.replies, "a call is answered once"
        self.said += payload
        self.replies[call_id] = [json.loads(line) for line in payload.split("\n")]
        assert len(payload.encode()) <= LONGEST_ANSWER


@define
class Desk:
    """The actor at work, and the ends that a test holds."""

    board: Room
    taps: Taps
    texts: Sender[RoomText]
    text_channel: Channel[RoomText]
    requests: Receiver[ClientMessage]
    departures: Receiver[LeaveRoom]
    happened: Receiver[Happening]

    async def ask(
        self, *commands: Any, token: str | None = TOKEN, call_id: str = "1", identity: str = "bob"
    ) -> None:
        first = [] if token is None else [{"token": token}]
        payload = "\n".join(json.dumps(each) for each in (*first, *commands))
        self.texts.send_nowait(Asked(call_id, identity, OPERATE_METHOD, payload))
        await wait_all_tasks_blocked()

    async def happens(self, *happenings: Happening) -> None:
        for happening in happenings:
            self.taps.publish(happening)
        await wait_all_tasks_blocked()

    def done_by_operators(self) -> list[OperatorActed | OperatorRefused]:
        found: list[OperatorActed | OperatorRefused] = []
        while True:
            try:
                happening = self.happened.receive_nowait()
            except trio.WouldBlock:
                return found
            if isinstance(happening, OperatorActed | OperatorRefused):
                found.append(happening)


@asynccontextmanager
async def desk(
    *, open_to_all: bool = False, in_session: bool = True, counters: int = 1
) -> AsyncIterator[Desk]:
    texts = Channel[RoomText]("texts", capacity=64, unit="texts", full=Full.DROP_OLDEST, because="test")
    requests = Channel[ClientMessage]("requests", capacity=2, unit="messages", full=Full.WAIT, because="test")
    leave = Channel[LeaveRoom]("leave", capacity=1, unit="orders", full=Full.DROP_OLDEST, because="test")
    taps, board = Taps(), Room()
    happened = taps.tap("test", capacity=1024)
    operator = Operator(
        ACCOUNT,
        "lobby",
        texts.receiver(),
        taps.tap("operator"),
        board,
        requests.sender(),
        leave.sender(),
        taps,
        lambda: [COUNTERS] * counters,
        open_to_all,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(operator.run)
        play = Desk(board, taps, texts.sender(), texts, requests.receiver(), leave.receiver(), happened)
        if in_session:
            await play.happens(SessionStarted("s", resumed=False))
        yield play
        nursery.cancel_scope.cancel()


async def test_the_agent_is_asked_to_say_it_word_for_word() -> None:
    async with desk() as play:
        await play.ask({"do": "say", "text": "One moment, please."})
        request = await play.requests.receive()
        assert isinstance(request, ReplyCreate)
        assert (request.instructions or "").endswith("word for word, and nothing else: One moment, please.")
        assert play.board.replies == {"1": [{"done": True}]}
        assert play.done_by_operators() == [OperatorActed("bob", "say")]


async def test_the_model_is_told() -> None:
    async with desk() as play:
        await play.ask({"do": "tell", "text": "The caller is a member."})
        assert await play.requests.receive() == ConversationMessage("system", "The caller is a member.")
        assert play.board.replies == {"1": [{"done": True}]}


async def test_another_prompt_is_done_when_the_service_says_so() -> None:
    async with desk() as play:
        await play.ask({"do": "prompt", "text": "Be brief."})
        assert await play.requests.receive() == SessionUpdate({"system_prompt": "Be brief."})
        await play.happens(SessionConfigured({}), UpdateAnswered({"system_prompt": "else"}, accepted=True))
        assert play.board.replies == {}
        await play.happens(UpdateAnswered({"system_prompt": "Be brief."}, accepted=True))
        assert play.board.replies == {"1": [{"done": True}]}
        assert play.done_by_operators() == [OperatorActed("bob", "prompt")]


async def test_a_prompt_that_the_service_refuses_is_refused_in_its_words() -> None:
    async with desk() as play:
        await play.ask({"do": "prompt", "text": "x"})
        await play.happens(UpdateAnswered({"system_prompt": "x"}, accepted=False, why="Too short"))
        assert play.board.replies == {"1": [{"done": False, "why": "Too short"}]}
        assert play.done_by_operators() == []


async def test_a_service_that_does_not_answer_does_not_keep_anybody(autojump_clock: MockClock) -> None:
    async with desk() as play:
        await play.ask({"do": "prompt", "text": "x"}, {"do": "say", "text": "Hello."})
        await play.ask({"do": "say", "text": "Meanwhile."}, call_id="2")
        assert play.board.replies == {"2": [{"done": True}]}
        await play.requests.receive()
        await trio.sleep(ANSWERED_WITHIN_S + 0.1)
        first, second = play.board.replies["1"]
        assert first["done"] is False
        assert second["done"] is True


async def test_the_commands_of_one_call_are_obeyed_in_order() -> None:
    async with desk() as play:
        await play.ask(
            {"do": "prompt", "text": "x"}, {"do": "sey", "text": "y"}, {"do": "say", "text": "Done."}
        )
        assert isinstance(await play.requests.receive(), SessionUpdate)
        await play.happens(UpdateAnswered({"system_prompt": "x"}, accepted=True))
        assert isinstance(await play.requests.receive(), ReplyCreate)
        assert [answer["done"] for answer in play.board.replies["1"]] == [True, False, True]


async def test_calls_that_all_wait_are_bounded(autojump_clock: MockClock) -> None:
    async with desk() as play:
        for number in range(AT_ONCE + 1):
            await play.ask({"do": "prompt", "text": f"{number}"}, call_id=str(number))
        assert list(play.board.replies) == [str(AT_ONCE)]
        assert "try again" in play.board.replies[str(AT_ONCE)][0]["why"]
        await trio.sleep(ANSWERED_WITHIN_S + 0.1)
        assert len(play.board.replies) == AT_ONCE + 1
        await play.ask({"do": "statistics"}, call_id="again")
        assert play.board.replies["again"][0]["done"] is True


async def test_without_a_session_it_is_said_so_and_nothing_is_kept_for_the_next() -> None:
    async with desk(in_session=False) as play:
        for number, do in enumerate(("say", "prompt", "tell")):
            await play.ask({"do": do, "text": "x"}, call_id=str(number))
            assert "no session" in play.board.replies[str(number)][0]["why"]
        await play.happens(SessionStarted("s", resumed=False), CallEnded("nobody spoke for a long time"))
        await play.ask({"do": "say", "text": "x"}, call_id="later")
        assert "no session" in play.board.replies["later"][0]["why"]
        with pytest.raises(trio.WouldBlock):
            play.requests.receive_nowait()


async def test_the_counters_are_told_also_when_there_is_no_session() -> None:
    async with desk(in_session=False) as play:
        await play.ask({"do": "statistics"})
        (answer,) = play.board.replies["1"]
        counters = {
            "name": "microphone",
            "capacity": 4,
            "passed": 100,
            "dropped": 3,
            "depth": 1,
            "deepest": 4,
        }
        assert answer == {"done": True, "channels": [counters]}


async def test_an_answer_is_never_longer_than_livekit_carries() -> None:
    async with desk(counters=60) as play:
        await play.ask(*[{"do": "statistics"}] * 20)
        done = [answer["done"] for answer in play.board.replies["1"]]
        assert done[0] is True
        assert done[-1] is False
        assert len(done) == 20


async def test_the_call_is_ended_after_the_answer_and_nothing_after_it_is_obeyed(
    autojump_clock: MockClock,
) -> None:
    async with desk(in_session=False) as play:
        await play.ask({"do": "end"}, {"do": "statistics"})
        assert play.board.replies == {"1": [{"done": True}]}
        order = await play.departures.receive()
        assert order.why == "an operator ended the call"
        assert play.done_by_operators() == [OperatorActed("bob", "end")]


COMMANDS = ({"do": "say", "text": "x"}, {"do": "end"}, {"do": "statistics"})


async def test_who_has_no_token_is_refused_and_it_is_told(autojump_clock: MockClock) -> None:
    async with desk() as play:
        for call_id, token in enumerate((None, "", "nonsense", TOKEN[:-3])):
            await play.ask(*COMMANDS, token=token, call_id=str(call_id))
            (answer,) = play.board.replies[str(call_id)]
            assert answer["done"] is False
            (told,) = play.done_by_operators()
            assert told == OperatorRefused("bob", answer["why"])
            await trio.sleep(2)
        await play.ask(*COMMANDS, call_id="stolen", identity="mallory")
        assert play.done_by_operators() == [
            OperatorRefused("mallory", "the token was issued to somebody else")
        ]
        for nothing in (play.requests, play.departures):
            with pytest.raises(trio.WouldBlock):
                nothing.receive_nowait()


async def test_who_asks_again_and_again_does_not_flood_those_who_listen(autojump_clock: MockClock) -> None:
    async with desk() as play:
        for number in range(50):
            await play.ask({"do": "end"}, token=None, call_id=str(number), identity="mallory")
        assert len(play.board.replies) == 50
        assert len(play.done_by_operators()) == 1
        await trio.sleep(2)
        await play.ask({"do": "end"}, token=None, call_id="later", identity="mallory")
        assert len(play.done_by_operators()) == 1


async def test_on_ones_own_machine_no_token_is_needed() -> None:
    async with desk(open_to_all=True) as play:
        await play.ask({"do": "say", "text": "Hello."}, token=None, identity="you")
        assert play.board.replies == {"1": [{"done": True}]}
        assert play.done_by_operators() == [OperatorActed("you", "say")]


async def test_what_is_no_command_to_it_is_left_alone() -> None:
    async with desk(open_to_all=True) as play:
        play.texts.send_nowait(Typed("bob", '{"do": "end"}'))
        play.texts.send_nowait(Asked("1", "bob", CONFIGURE_METHOD, '{"do": "end"}'))
        await wait_all_tasks_blocked()
        assert play.board.replies == {}
        assert play.done_by_operators() == []


@given(st.lists(st.text() | st.just(json.dumps({"token": TOKEN})) | st.just('{"do": "say"}'), max_size=6))
def test_whatever_is_asked_is_answered_and_no_token_is_told_to_anybody(written: list[str]) -> None:
    async def once() -> None:
        async with desk(in_session=False) as play:
            play.texts.send_nowait(Asked("1", "bob", OPERATE_METHOD, "\n".join(written)))
            await wait_all_tasks_blocked()
            assert play.board.replies["1"]
            assert TOKEN not in play.board.said
            assert TOKEN not in repr(play.done_by_operators())

    trio.run(once)


async def test_a_token_is_not_in_a_record(tmp_path: Path) -> None:
    async with desk() as play:
        file = tmp_path / "record.jsonl"
        async with recording(file, Settings(), (), [play.text_channel], play.taps, Watched("inputs")):
            await play.ask({"do": "end"}, token=TOKEN)
            await play.ask({"do": "end"}, token=TOKEN, identity="mallory", call_id="2")
        written = file.read_text()
        assert "mallory" in written
        assert "voice-agent.operate" in written
        for part in TOKEN.split("."):
            assert part not in written
