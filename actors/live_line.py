"""LiveLine: a status line at the bottom of the terminal: the state, the turn, its two timers, dropped frames.

In: happenings, and the channels' counters. Out: the terminal. It is a tap, and exists only if there is a
terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio
from attrs import define, field
from rich.console import Console
from rich.live import Live
from rich.text import Text

from channels.agent_state import AgentState, StateKeeper
from channels.bounded import ChannelStatistics, Receiver
from channels.happenings import Happening, SessionStarted, TurnTimed

__all__ = ["LiveLine"]

LOOKS_EVERY_S = 0.25
"""A line that has not changed is not drawn again: in a room where nothing happens it costs nothing."""

_COLOURS = {
    AgentState.INITIALIZING: "yellow",
    AgentState.IDLE: "dim",
    AgentState.LISTENING: "green",
    AgentState.THINKING: "cyan",
    AgentState.SPEAKING: "magenta",
}


@define
class LiveLine:
    """Draws the line.

    Args:
        room_name: of the room.
        happenings: a tap.
        statistics: the counters of the room's channels.
        console: the terminal.
    """

    room_name: str
    happenings: Receiver[Happening]
    statistics: Callable[[], Iterable[ChannelStatistics]]
    console: Console
    _keeper: StateKeeper = field(factory=StateKeeper, init=False)
    _timed: TurnTimed | None = field(default=None, init=False)
    _latency_ms: int | None = field(default=None, init=False)
    _barge_in_ms: int | None = field(default=None, init=False)
    _dropped_before: int = field(default=0, init=False)

    async def run(self) -> None:
        """Draws until the happenings end; leaves nothing behind."""
        async with self.happenings:
            shown = self._draw()
            with Live(shown, console=self.console, transient=True, auto_refresh=False) as live:
                while await self._look():
                    line = self._draw()
                    if line != shown:
                        shown = line
                        live.update(line, refresh=True)

    async def _look(self) -> bool:
        """Reads happenings until it is time to draw again; False: they have ended."""
        with trio.move_on_after(LOOKS_EVERY_S):
            try:
                while True:
                    self._take(await self.happenings.receive())
            except trio.EndOfChannel:
                return False
        self._keeper.pass_time(trio.current_time())
        return True

    def _take(self, happening: Happening) -> None:
        self._keeper.take(happening, trio.current_time())
        if isinstance(happening, SessionStarted):
            # Sound from before the service was listening was not lost.
            self._dropped_before = self._dropped()
        if isinstance(happening, TurnTimed):
            self._timed = happening
            if happening.turn_latency_ms is not None:
                self._latency_ms = happening.turn_latency_ms
            if happening.barge_in_ms is not None:
                self._barge_in_ms = happening.barge_in_ms

    def _dropped(self) -> int:
        return sum(channel.dropped for channel in self.statistics() if channel.name == "microphone")

    def _draw(self) -> Text:
        state = self._keeper.state
        dropped = self._dropped() - self._dropped_before
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"● {self.room_name}  ", style="bold")
        line.append(f"{state.value:<13}", style=_COLOURS[state])
        line.append(f"turn {self._timed.turn if self._timed else 0}  ")
        line.append(f"latency {_ms(self._latency_ms)}  barge-in {_ms(self._barge_in_ms)}  ")
        line.append(f"dropped {dropped} frames", style="red" if dropped else "dim")
        return line


def _ms(value: int | None) -> str:
    return "–" if value is None else f"{value} ms"
