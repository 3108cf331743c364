"""A card number that was keyed in: it was lost on the way to the model, and stood in every file beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
import structlog
import trio
from structlog.testing import capture_logs
from structlog.typing import FilteringBoundLogger
from trio.testing import MockClock, wait_all_tasks_blocked

import runner
from actors.asking import AskInTurn
from actors.front_end import FrontEnd
from actors.keypad import KEPT_S, MOST_WAITING, Keypad
from actors.log import EventLog
from actors.record import recording
from actors.room.livekit_edge import LiveKitEdge
from channels.bounded import Channel, Full, Receiver
from channels.happenings import (
    AskGivenUp,
    AskSent,
    CallEnded,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SessionStarted,
    ToolAnswered,
    WordsHeard,
)
from channels.instructions import PRESSED, TYPED, quoted, unquoted
from channels.keys import KeyCover
from channels.settings import LogSettings
from channels.taps import Taps
from channels.texts import Pressed, RoomText
from channels.wire.events import AgentTranscript, AgentTranscriptDelta, ToolCall
from channels.wire.messages import ClientMessage, ReplyCreate
from examples.transcript_logger import TranscriptLogger
from tests.actors.record.scripted import ACCOUNTS, SETTINGS
from tests.actors.test_front_end import Board

CARD = "4111222233334444"
SENT = SessionStarted("s", resumed=False)


# Lost.


@attrs.define
class Line:
    """A keypad and the turnstile behind it, with a service that takes what is asked when it is told to."""

    texts: Channel[RoomText]
    requests: Channel[ClientMessage]
    outgoing: Channel[ClientMessage]
    taps: Taps
    got: Receiver[ClientMessage]

    async def press(self, keys: str, who: str = "caller") -> None:
        sender = self.texts.sender()
        for key in keys:
            sender.send_nowait(Pressed(who, key))
            await wait_all_tasks_blocked()

    def told(self) -> list[str]:
        """The numbers that the service was told, in order."""
        told = list[str]()
        while True:
            try:
                request = self.got.receive_nowait()
            except trio.WouldBlock:
                return told
            assert isinstance(request, ReplyCreate)
            keys = unquoted(request.instructions or "", PRESSED)
            told += [] if keys is None else [number.replace(" ", "") for number in keys.split(", ")]


def a_line() -> Line:
    def channel(name: str, capacity: int, full: Full = Full.WAIT) -> Channel[Any]:
        return Channel(name, capacity=capacity, unit="messages", full=full, because="it is a test")

    outgoing = channel("outgoing", 64)
    texts = channel("texts", 1, Full.DROP_OLDEST)
    return Line(texts, channel("requests", 2), outgoing, Taps(), outgoing.receiver())


NUMBERS = [f"{n}#" for n in range(22)]


async def test_keys_that_are_pressed_while_nothing_can_be_asked_all_arrive_in_order(
    autojump_clock: MockClock,
) -> None:
    line = a_line()
    sender, receiver = line.requests.sender(), line.requests.receiver()
    for _ in range(2):
        sender.send_nowait(ReplyCreate(TYPED + quoted("hello")))
    keypad = Keypad(line.texts.tap("keys", capacity=64), line.taps.tap("keypad"), line.requests.sender())
    asking = AskInTurn(receiver, line.taps.tap("asking"), line.outgoing.sender(), line.taps)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keypad.run)
        await line.press("".join(NUMBERS))
        await trio.sleep(20)
        assert line.told() == []
        nursery.start_soon(asking.run)
        line.taps.publish(SENT)
        await trio.sleep(60)
        assert line.told() == NUMBERS
        nursery.cancel_scope.cancel()


async def test_keys_outlast_a_flood_of_typed_messages(autojump_clock: MockClock) -> None:
    line = a_line()
    keypad = Keypad(line.texts.tap("keys", capacity=64), line.taps.tap("keypad"), line.requests.sender())
    asking = AskInTurn(line.requests.receiver(), line.taps.tap("asking"), line.outgoing.sender(), line.taps)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keypad.run)
        nursery.start_soon(asking.run)
        flood = line.requests.sender()
        for number in NUMBERS:
            await line.press(number)
            for _ in range(9):
                await flood.send(ReplyCreate(TYPED + quoted("hello")))
        await trio.sleep(35)
        line.taps.publish(SENT)
        await trio.sleep(60)
        assert line.told() == NUMBERS
        nursery.cancel_scope.cancel()


async def test_keys_of_a_call_that_is_over_are_told_in_no_other(autojump_clock: MockClock) -> None:
    line = a_line()
    keypad = Keypad(line.texts.tap("keys", capacity=64), line.taps.tap("keypad"), line.requests.sender())
    requests = line.requests.receiver()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keypad.run)
        await line.press("12#34#")
        told = requests.receive_nowait()
        assert isinstance(told, ReplyCreate)
        line.taps.publish(CallEnded("everybody left"))
        line.taps.publish(AskGivenUp(told, "the session is over"))
        await wait_all_tasks_blocked()
        await line.press("56")
        await trio.sleep(3)
        again = requests.receive_nowait()
        assert again == ReplyCreate(PRESSED + quoted("5 6"))
        nursery.cancel_scope.cancel()


async def test_who_leans_on_a_key_fills_no_memory_and_takes_nobody_elses_place(
    autojump_clock: MockClock,
) -> None:
    line = a_line()
    sender, requests = line.requests.sender(), line.requests.receiver()
    keypad = Keypad(line.texts.tap("keys", capacity=64), line.taps.tap("keypad"), line.requests.sender())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keypad.run)
        await line.press("#" * (2 * MOST_WAITING), "mallory")
        await line.press("47#", "alice")
        told = list[str]()
        with trio.move_on_after(KEPT_S / 2):
            while True:
                request = await requests.receive()
                assert isinstance(request, ReplyCreate)
                told += (unquoted(request.instructions or "", PRESSED) or "").split(", ")
                line.taps.publish(AskSent(request, 0))
        assert told == ["#"] * MOST_WAITING + ["4 7 #"]
        sender.close()
        nursery.cancel_scope.cancel()


# Read by everybody.


REPEATED = [
    "You",
    "keyed",
    "in",
    "4111",
    "2222",
    "3333",
    "4444.",
    "That",
    "is",
    "4",
    "1",
    "1",
    "1",
    "and",
    "so",
]


async def what_is_written(folder: Path, *, keys: bool) -> dict[str, str]:
    """A caller keys in a card, the agent repeats it, a tool is called with it: what stands where."""
    settings = attrs.evolve(SETTINGS, log=LogSettings(speech=True, keys=keys))
    board, nobody = Board(), cast(Any, None)
    path = folder / "call.jsonl"
    with capture_logs() as logged, trio.fail_after(60):
        graph = runner.wire(settings, ACCOUNTS, LiveKitEdge(nobody, nobody, nobody))
        c, taps = graph.channels, graph.taps
        recorded = c.recorded(with_sound=False)
        async with (
            recording(path, settings, ACCOUNTS.secrets, recorded, taps, graph.seen),
            trio.open_nursery() as nursery,
        ):
            texts: Channel[RoomText] = Channel(
                "t", capacity=8, unit="texts", full=Full.FAIL, because="it is a test"
            )
            requests = c.requests.sender()
            log = cast(FilteringBoundLogger, structlog.get_logger())
            shows = FrontEnd(taps.tap("shows"), texts.receiver(), board, requests, taps)
            watching: Sequence[Any] = (
                EventLog(taps.tap("log"), log, speech=True),
                shows,
                TranscriptLogger(taps.tap("transcript"), folder / "transcripts"),
            )
            for each in watching:
                nursery.start_soon(each.run)
            for key in CARD:
                c.texts.sender().send_nowait(Pressed("caller", key))
            request = ReplyCreate(PRESSED + quoted(" ".join(CARD)))
            requests.send_nowait(request)
            taps.publish(AskSent(request, 0))
            taps.publish(ReplyBegan("r", 0.1))
            service = c.service.sender()
            for word in REPEATED:
                service.send_nowait(AgentTranscriptDelta(f"{word} ", "r"))
                taps.publish(WordsHeard("r", word))
                await wait_all_tasks_blocked()
            heard = " ".join(REPEATED)
            service.send_nowait(AgentTranscript(heard, "r"))
            service.send_nowait(ToolCall("c", "pay", {"card": int(CARD), "why": f"card {CARD}"}))
            taps.publish(ToolAnswered("c", "pay", 9, f"{CARD} is refused"))
            taps.publish(ReplyEnded("r", ReplyOutcome.PLAYED, 900, heard, 1.0))
            await wait_all_tasks_blocked()
            taps.close()
    return {
        "record": path.read_text("utf-8"),
        "log": "\n".join(map(str, logged)),
        "captions": "\n".join(stream.text for stream in board.captions()),
        "transcript": "\n".join(each.read_text("utf-8") for each in (folder / "transcripts").iterdir()),
    }


async def test_a_card_that_was_keyed_in_can_be_read_nowhere(tmp_path: Path) -> None:
    for place, text in (await what_is_written(tmp_path, keys=False)).items():
        assert "keyed" in text, f"the rest stands in the {place}"
        for part in (CARD, " ".join(CARD), "2222", "3333", "4444", "1 1"):
            assert part not in text, f"the {place} tells it"
    pressed = [json.loads(line) for line in (tmp_path / "call.jsonl").read_text("utf-8").splitlines()]
    assert {line["key"] for line in pressed if line.get("is") == "Pressed"} == {"•••"}


async def test_where_it_is_asked_for_the_keys_are_there(tmp_path: Path) -> None:
    written = await what_is_written(tmp_path, keys=True)
    assert " ".join(CARD) in written["record"]
    assert all("2222" in text for text in written.values())


@pytest.mark.parametrize(
    "said",
    [
        "Your order 12 has 4 parts and costs 41 euros.",
        "It is 11:22 on the 3rd of 4, 2026.",
        "resp_4111222233334444 stays what it is",
    ],
)
def test_numbers_that_nobody_keyed_in_stay(said: str) -> None:
    cover = KeyCover()
    cover.message(ReplyCreate(PRESSED + quoted(" ".join(CARD) + " #, 1 2")))
    assert cover.text(said) == said
    assert cover.text(f"{said} It is 4111-2222 3333 4444.") == f"{said} It is •••."
