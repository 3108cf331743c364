"""How a sound is asked for now and then, while somebody waits."""

from __future__ import annotations

from typing import Protocol

import trio

from channels.bounded import Receiver, Sender
from channels.happenings import Happening
from channels.messages import Fill

__all__ = ["Waits", "fill"]


class Waits(Protocol):
    """When the sound is to be heard. Times are in seconds."""

    @property
    def next_at(self) -> float:
        """When to ask for the sound; infinity: not at the moment."""

    def take(self, happening: Happening, now: float) -> None:
        """Something happened that may begin or end a wait."""

    def asked(self, now: float) -> None:
        """The sound was asked for."""


async def fill(happenings: Receiver[Happening], fills: Sender[Fill], waits: Waits, pcm: bytes) -> None:
    """Asks for a sound (PCM16 mono 24 kHz) when it is time, until the happenings end."""
    while True:
        with trio.move_on_at(waits.next_at):
            try:
                happening = await happenings.receive()
            except trio.EndOfChannel:
                return
            waits.take(happening, trio.current_time())
            continue
        fills.send_nowait(Fill(pcm))
        waits.asked(trio.current_time())
