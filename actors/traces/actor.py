"""TraceActor: gives each turn, once it is over, to whoever sends traces.

In: happenings. Out: one tree of spans for each turn. A bystander; `TurnSpans` decides what a turn is.
"""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define

from actors.traces.turns import Span, TurnSpans
from channels.bounded import Receiver
from channels.happenings import Happening

__all__ = ["TraceActor"]


@define
class TraceActor:
    """Traces the turns of a room.

    Args:
        turns: collects what belongs to a turn.
        send: takes a finished turn, and when that is on Trio's clock. It must not wait.
        room_name: where it happened.
        happenings: a tap.
    """

    turns: TurnSpans
    send: Callable[[Span, str, float], None]
    room_name: str
    happenings: Receiver[Happening]

    async def run(self) -> None:
        """Traces until the happenings end."""
        async with self.happenings:
            async for happening in self.happenings:
                now = trio.current_time()
                turn = self.turns.take(happening, now)
                if turn is not None:
                    self.send(turn, self.room_name, now)
