"""BargeInController: decides what of the service's sound is heard.

In: the session's events, the person's first and last sounds, whether anybody can hear the agent, filler
sounds, tool returns, and the speaker's reports. Out: commands to the speaker, happenings to the taps.
`machine.step` makes the decisions; this actor only moves messages and waits for nothing but the next one, so
an interruption is never stuck behind anything slower than memory.
"""

from __future__ import annotations

import math

import trio
from attrs import define, field

from actors.barge_in.conversation import Conversation
from actors.barge_in.floor import FloorState
from actors.barge_in.machine import Event, step
from channels.bounded import Receiver, Sender, Watched
from channels.happenings import (
    Happening,
    SoundJudged,
    SoundRose,
    SoundStarted,
    SoundStopped,
    ToolAnswered,
    ToolDropped,
)
from channels.messages import (
    ApiEvent,
    Fill,
    RoomAway,
    RoomBack,
    SpeakerCommand,
    SpeakerReport,
    TimePassed,
)
from channels.seen import On, Seen
from channels.settings import BargeInSettings
from channels.taps import Taps

__all__ = ["BargeInController"]


@define
class BargeInController:
    """The thin actor around the barge-in machine."""

    settings: BargeInSettings
    events: Receiver[ApiEvent]
    sounds: Receiver[SoundRose | SoundStarted | SoundStopped | SoundJudged]
    room: Receiver[RoomAway | RoomBack]
    fills: Receiver[Fill]
    reports: Receiver[SpeakerReport]
    happenings: Receiver[Happening]
    commands: Sender[SpeakerCommand]
    taps: Taps
    seen: Watched[Seen]
    """Sees each input, for a record."""
    conversation: Conversation = field(init=False)
    _deadline_nearer: trio.Event = field(factory=trio.Event, init=False)
    _awaited: float = field(default=math.inf, init=False)

    def __attrs_post_init__(self) -> None:
        self.conversation = Conversation(floor=FloorState(self.settings))

    async def run(self) -> None:
        """Decides until the session's events end."""
        async with (
            self.events,
            self.sounds,
            self.room,
            self.fills,
            self.reports,
            self.happenings,
            self.commands,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._hear)
            nursery.start_soon(self._take_all, self.room)
            nursery.start_soon(self._take_all, self.fills)
            nursery.start_soon(self._take_all, self.reports)
            nursery.start_soon(self._watch_tools)
            nursery.start_soon(self._watch_deadline)
            async for event in self.events:
                self._take(event, self.events.channel.name)
            nursery.cancel_scope.cancel()

    async def _hear(self) -> None:
        await self._take_all(self.sounds)
        # The ear has stopped: the end of this sound will never be reported.
        self._take(SoundStopped(trio.current_time()), self.sounds.channel.name)

    async def _take_all(
        self,
        messages: Receiver[SoundRose | SoundStarted | SoundStopped | SoundJudged]
        | Receiver[RoomAway | RoomBack]
        | Receiver[Fill]
        | Receiver[SpeakerReport],
    ) -> None:
        async for message in messages:
            self._take(message, messages.channel.name)

    async def _watch_tools(self) -> None:
        async for happening in self.happenings:
            if isinstance(happening, ToolAnswered | ToolDropped):
                self._take(happening, On.TOOLS)

    async def _watch_deadline(self) -> None:
        while True:
            self._awaited = self.conversation.deadline
            with trio.move_on_at(self._awaited):
                await self._deadline_nearer.wait()
                continue
            if trio.current_time() >= self.conversation.deadline:
                self._take(TimePassed(), On.DEADLINE)

    def _take(self, event: Event, on: str) -> None:
        now = trio.current_time()
        self.seen.show(Seen(now, on, event))
        self.conversation, commands, happenings = step(self.conversation, event, now)
        for command in commands:
            self.commands.send_nowait(command)
        for happening in happenings:
            self.taps.publish(happening)
        # Each piece of sound puts one off, a hundred times a second: that wakes nobody.
        if self.conversation.deadline < self._awaited:
            self._deadline_nearer.set()
            self._deadline_nearer = trio.Event()
