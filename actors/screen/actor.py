"""Screen: shows the conversation in a terminal, line by line, and what is going on in the line at the bottom.

In: happenings. Out: the terminal. It is a tap, and exists only where somebody reads it; `script` decides what
is shown. The bottom line is written when something has changed, never by a timer. Whatever people, the
service or a tool wrote is made printable first.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio
from attrs import define, field

from actors.screen.script import AGENT, Line, Script
from channels.bounded import Receiver
from channels.happenings import Happening
from channels.printable import printable
from channels.terminal import Terminal, wrapped

__all__ = ["Screen", "drawn"]

_INDENT = len(AGENT) + 2
_NARROWEST = 20


@define
class Screen:
    """Shows a conversation.

    Args:
        happenings: a tap.
        terminal: where.
        own: as for `Script`.
        you: likewise.
    """

    happenings: Receiver[Happening]
    terminal: Terminal
    own: bool
    you: str = ""
    script: Script = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.script = Script(self.own, self.you)

    async def run(self) -> None:
        """Shows it until the happenings end; leaves no bottom line behind."""
        try:
            async with self.happenings:
                self._show(())
                while (lines := await self._read()) is not None:
                    self._show(lines)
                self._show(self.script.end())
        finally:
            self.terminal.show("")

    async def _read(self) -> Sequence[Line] | None:
        """What stands after what has happened, once something has; None: the happenings have ended."""
        with trio.move_on_at(self.script.next_time):
            try:
                happening = await self.happenings.receive()
            except trio.EndOfChannel:
                return None
            now = trio.current_time()
            happened = (happening, *self.happenings.receive_waiting())
            return [line for each in happened for line in self.script.take(each, now)]
        self.script.pass_time(trio.current_time())
        return ()

    def _show(self, lines: Sequence[Line]) -> None:
        status = self.script.status
        above = "".join(drawn(line, self.terminal) for line in lines)
        self.terminal.show(_plain(status.what), _plain(status.words), above)


def drawn(line: Line, terminal: Terminal) -> str:
    """A line as it is printed, wrapped to the window, its text in a column of its own.

    Args:
        line: of a script; what is foreign in it may contain anything.
        terminal: says how wide it is, and how to make something dim.
    """
    who, text, note = _plain(line.who), terminal.typeset(_plain(line.text)), _plain(line.note)
    label = f"{who}:" if who else ""
    width = terminal.width
    note = f"({note})" if note else ""
    if width is None:
        lines = [" ".join(part for part in (text, note) if part)]
    else:
        lines = wrapped(text, room := max(_NARROWEST, width - _INDENT - 1))
        if note and lines and len(lines[-1]) + 1 + len(note) <= room:
            lines[-1] += f" {terminal.dim(note)}"
        elif note:
            lines += [terminal.dim(each) for each in wrapped(note, room)]
    first = f"{terminal.bold(label)}{' ' * max(1, _INDENT - len(label))}"
    return first + f"\n{' ' * _INDENT}".join(lines or [""]) + "\n"


def _plain(text: str) -> str:
    return printable(" ".join(text.split()))
