"""The SDK's `connect`, which must not be cancelled, with a room that is joined when the test says so."""

from __future__ import annotations

import asyncio

import attrs
import pytest
import trio
import trio.testing
import trio_asyncio

from actors.room.livekit_edge import connecting
from actors.room.livekit_edge.connecting import Connecting
from channels.errors import RoomUnreachable
from channels.secret import Secret

TOKEN = Secret("a.room.token")


@attrs.define
class _Slow:
    """The SDK's room: it is joined when it is let in, whatever becomes of those who wait for that."""

    story: list[str]
    name: str
    let_in: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def connect(self, *_: object) -> None:
        self.story.append(f"{self.name} knocks")
        try:
            await self.let_in.wait()
        except asyncio.CancelledError:
            self.story.append("the process is ended 15 s later")
            raise
        self.story.append(f"{self.name} is in")

    async def disconnect(self) -> None:
        self.story.append(f"{self.name} leaves")


async def join(joining: Connecting, room: _Slow) -> None:
    await joining.connect(room, "ws://127.0.0.1:7403", TOKEN)  # type: ignore[arg-type]


async def until(story: list[str], last: str) -> None:
    with trio.fail_after(20):
        while story[-1:] != [last]:
            await trio.sleep(0.01)


async def test_an_agent_that_is_called_off_while_it_joins_leaves_once_it_is_in() -> None:
    story: list[str] = []
    async with trio_asyncio.open_loop():
        joining, room = Connecting(), _Slow(story, "the agent")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(join, joining, room)
            await until(story, "the agent knocks")
            nursery.cancel_scope.cancel()
        room.let_in.set()
        await joining.end()
    assert story == ["the agent knocks", "the agent is in", "the agent leaves"]


async def test_an_agent_that_was_let_in_too_late_does_not_put_out_its_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story: list[str] = []
    async with trio_asyncio.open_loop():
        joining, first, second = Connecting(), _Slow(story, "the first"), _Slow(story, "the second")
        monkeypatch.setattr(connecting, "JOIN_WITHIN_S", 0.2)
        with pytest.raises(RoomUnreachable):
            await join(joining, first)
        monkeypatch.setattr(connecting, "JOIN_WITHIN_S", 20)
        second.let_in.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(join, joining, second)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert story == ["the first knocks"]
            first.let_in.set()
    assert story == [
        "the first knocks",
        "the first is in",
        "the first leaves",
        "the second knocks",
        "the second is in",
    ]
