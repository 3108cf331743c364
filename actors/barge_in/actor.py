"""BargeInController: decides what of the service's sound is heard.

In: the session's events and the speaker's reports. Out: commands to the speaker, happenings to the
taps. The decisions are `machine.step`; this actor only moves messages, and waits for nothing but the
next one, so that an interruption is never behind anything slower than memory.
"""

from __future__ import annotations

import trio
from attrs import define, field

from actors.barge_in.machine import Conversation, step
from channels.bounded import Receiver, Sender
from channels.happenings import Taps
from channels.messages import ApiEvent, SpeakerCommand, SpeakerReport

__all__ = ["BargeInController"]


@define
class BargeInController:
    """The thin actor around the barge-in machine."""

    events: Receiver[ApiEvent]
    reports: Receiver[SpeakerReport]
    commands: Sender[SpeakerCommand]
    taps: Taps
    conversation: Conversation = field(factory=Conversation, init=False)

    async def run(self) -> None:
        """Decides until the session's events end."""
        async with self.events, self.reports, self.commands, trio.open_nursery() as nursery:
            nursery.start_soon(self._hear_speaker)
            async for event in self.events:
                self._take(event)
            nursery.cancel_scope.cancel()

    async def _hear_speaker(self) -> None:
        async for report in self.reports:
            self._take(report)

    def _take(self, event: ApiEvent | SpeakerReport) -> None:
        self.conversation, commands, happenings = step(self.conversation, event, trio.current_time())
        for command in commands:
            self.commands.send_nowait(command)
        for happening in happenings:
            self.taps.publish(happening)
