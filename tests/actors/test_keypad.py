"""What a caller presses reaches the model as the number that it is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.keypad import Keypad
from channels.bounded import Channel, Full, Receiver, Sender
from channels.happenings import AskSent
from channels.taps import Taps
from channels.texts import Pressed, RoomText, Typed
from channels.wire.messages import ClientMessage, ReplyCreate


@attrs.define
class Phone:
    texts: Sender[RoomText]
    taps: Taps
    requests: Receiver[ClientMessage]

    async def press(self, keys: str, *, by: str = "caller", every_s: float = 0.3) -> None:
        for key in keys:
            self.texts.send_nowait(Pressed(by, key))
            await trio.sleep(every_s)

    async def told(self) -> list[str]:
        await wait_all_tasks_blocked()
        told: list[str] = []
        while True:
            try:
                request = self.requests.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return told
            assert isinstance(request, ReplyCreate)
            told.append(json.loads(str(request.instructions).partition(": ")[2]))
            self.taps.publish(AskSent(request, 0))
            await wait_all_tasks_blocked()


@asynccontextmanager
async def phone() -> AsyncIterator[Phone]:
    texts = Channel[RoomText]("t", capacity=64, unit="texts", full=Full.FAIL, because="a test")
    requests = Channel[ClientMessage]("r", capacity=16, unit="messages", full=Full.WAIT, because="a test")
    taps = Taps()
    at_work = Phone(texts.sender(), taps, requests.receiver())
    keypad = Keypad(texts.receiver(), taps.tap("keypad"), requests.sender())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keypad.run)
        yield at_work
        at_work.texts.close()


async def test_keys_are_told_together_once_no_more_come(autojump_clock: MockClock) -> None:
    async with phone() as at_work:
        await at_work.press("4471", every_s=1.5)
        assert await at_work.told() == []
        await trio.sleep(2)
        assert await at_work.told() == ["4 4 7 1"]
        await at_work.press("9")
        await trio.sleep(2)
        assert await at_work.told() == ["9"]


async def test_a_hash_ends_a_number_at_once(autojump_clock: MockClock) -> None:
    async with phone() as at_work:
        await at_work.press("12#")
        assert await at_work.told() == ["1 2 #"]
        await trio.sleep(10)
        assert await at_work.told() == []


async def test_two_callers_who_press_at_once_are_not_mixed_up(autojump_clock: MockClock) -> None:
    async with phone() as at_work, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: at_work.press("111", by="alice"))
        nursery.start_soon(lambda: at_work.press("222", by="bob"))
        await trio.sleep(4)
        assert sorted(await at_work.told()) == ["1 1 1", "2 2 2"]


async def test_what_is_typed_is_not_a_key_and_whoever_leans_on_one_fills_no_memory(
    autojump_clock: MockClock,
) -> None:
    async with phone() as at_work:
        at_work.texts.send_nowait(Typed("alice", "5"))
        await trio.sleep(3)
        assert await at_work.told() == []
        await at_work.press("1" * 1000, every_s=0.01)
        await trio.sleep(3)
        (told,) = await at_work.told()
        assert len(told.split()) == 64
