"""A terminal window in which a program runs, and what stands in it."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import attrs
import trio

from channels.child import ended, start_child, stop_child
from channels.settings.catalogue import CATALOGUE
from tests.agent_process import ROOT

__all__ = ["Window", "run_in_window", "standing"]

COLUMNS, ROWS = 100, 40
_GOES_BACK = r"\r\x1b\[2K"

# A program whose keyboard is this terminal, so that Ctrl-C pressed there reaches it.
_AT_THE_KEYBOARD = """
import fcntl, os, sys, termios
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def standing(drawn: str) -> list[str]:
    """The lines that stand in a window in which this was drawn, without their styles.

    Raises:
        AssertionError: something was drawn that the agent has no business with.
    """
    lines = [""]
    for piece in re.split(rf"(\r*\n|{_GOES_BACK}|\^C)", re.sub(r"\x1b\[[0-2]m", "", drawn)):
        if piece.endswith("\n"):
            lines.append("")
        elif piece.startswith("\r"):
            lines[-1] = ""
        else:
            lines[-1] += piece
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", "".join(lines))
    return lines


@attrs.define
class Window:
    """What a program draws, and its keyboard."""

    process: subprocess.Popen[bytes]
    keyboard: int
    drawn: str = ""

    @property
    def lines(self) -> list[str]:
        """As they stand there now."""
        return standing(self.drawn)

    async def shows(self, text: str, *, within_s: float) -> None:
        """Waits until a text has been drawn."""
        with trio.fail_after(within_s):
            while text not in self.drawn:
                await trio.sleep(0.02)

    async def press_ctrl_c(self) -> int:
        """Presses it; gives the program's exit code."""
        os.write(self.keyboard, b"\x03")
        with trio.fail_after(60):
            return await ended(self.process)


@asynccontextmanager
async def run_in_window(
    settings: Mapping[str, str], *arguments: str, has_keyboard: bool = True
) -> AsyncIterator[Window]:
    """Runs the agent in a window, with nothing but these settings set."""
    own = {entry.env for entry in CATALOGUE.values()}
    environ = {name: value for name, value in os.environ.items() if name not in own}
    keyboard, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [sys.executable, "-c", _AT_THE_KEYBOARD, sys.executable, str(ROOT / "runner.py"), *arguments]
    process = start_child(
        command,
        environ={**environ, **settings, "TERM": "xterm"},
        stdin=terminal if has_keyboard else subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    window = Window(process, keyboard)
    drawn_to_the_end = trio.Event()

    async def read() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while True:
            await trio.lowlevel.wait_readable(keyboard)
            try:
                drawn = os.read(keyboard, 65536)
            except OSError:  # the last program there has ended
                drawn = b""
            if not drawn:
                drawn_to_the_end.set()
                return
            window.drawn += decoder.decode(drawn)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            yield window
        finally:
            await stop_child(process, ((signal.SIGINT, 5.0), (signal.SIGKILL, 5.0)))
            with trio.move_on_after(5, shield=True):
                await drawn_to_the_end.wait()
            nursery.cancel_scope.cancel()
            os.close(keyboard)
            print(re.sub(_GOES_BACK, "\n", window.drawn))
