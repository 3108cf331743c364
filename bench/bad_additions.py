"""Actors that somebody might add to a room, each bad in its own way."""

from __future__ import annotations

from typing import ClassVar

import trio
from attrs import define

from channels.bounded import Receiver, Sender
from channels.happenings import Happening, ToolCalled, TurnStopped
from channels.messages import ApiEvent, LeaveRoom, MicrophoneFrame, Sounding, SpeakerCommand, SpeakerReport
from channels.wire.messages import ClientMessage, ConversationMessage


@define
class Blocked:
    """Asks for every stream and reads none."""

    happenings: Receiver[Happening]
    events: Receiver[ApiEvent]
    heard: Receiver[MicrophoneFrame]
    spoken: Receiver[Sounding]
    commands: Receiver[SpeakerCommand]
    reports: Receiver[SpeakerReport]

    async def run(self) -> None:
        await trio.sleep_forever()


@define
class Slow:
    """Takes a second for each 50 ms of sound and for each happening."""

    heard: Receiver[MicrophoneFrame]
    happenings: Receiver[Happening]

    async def run(self) -> None:
        async with self.heard, self.happenings, trio.open_nursery() as nursery:
            nursery.start_soon(self._read, self.heard)
            nursery.start_soon(self._read, self.happenings)

    async def _read(self, stream: Receiver[MicrophoneFrame] | Receiver[Happening]) -> None:
        async for _ in stream:
            await trio.sleep(1)


@define
class Crashing:
    """Crashes in the middle of the first turn, with its ends open."""

    happenings: Receiver[Happening]
    heard: Receiver[MicrophoneFrame]

    async def run(self) -> None:
        async for happening in self.happenings:
            if isinstance(happening, TurnStopped):
                raise ZeroDivisionError("a fault of its author")


@define
class Indispensable(Crashing):
    """Crashes too, and says that there is no call without it."""

    essential: ClassVar[bool] = True


@define
class CrashingOnTool:
    """Crashes when the model calls a certain tool, with its ends open."""

    happenings: Receiver[Happening]
    heard: Receiver[MicrophoneFrame]
    crashes_on: ClassVar[str] = "break_addition"

    async def run(self) -> None:
        async for happening in self.happenings:
            if isinstance(happening, ToolCalled) and happening.name == self.crashes_on:
                raise ZeroDivisionError("a fault of its author")


@define
class EndingOnTool(CrashingOnTool):
    """Crashes too, and says that there is no call without it."""

    essential: ClassVar[bool] = True
    crashes_on: ClassVar[str] = "break_call"


@define
class Flooding:
    """Asks the service for something, from many tasks, as fast as it may."""

    requests: Sender[ClientMessage]
    tasks: int = 50

    async def run(self) -> None:
        async with self.requests, trio.open_nursery() as nursery:
            for _ in range(self.tasks):
                nursery.start_soon(self._flood)

    async def _flood(self) -> None:
        while True:
            await self.requests.send(ConversationMessage("system", "and another thing"))


@define
class Leaver:
    """Ends the call when somebody has finished a turn."""

    happenings: Receiver[Happening]
    departures: Sender[LeaveRoom]

    async def run(self) -> None:
        async with self.happenings, self.departures:
            async for happening in self.happenings:
                if isinstance(happening, TurnStopped):
                    await self.departures.send(LeaveRoom("enough was said"))


@define
class LastWord:
    """Keeps what it was told, and says in the end that it heard all."""

    happenings: Receiver[Happening]
    told: ClassVar[list[Happening | str]] = []

    async def run(self) -> None:
        self.told.clear()
        async with self.happenings:
            async for happening in self.happenings:
                self.told.append(happening)
        await trio.sleep(0.2)
        self.told.append("the end")
