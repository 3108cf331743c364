"""A terminal with one line at its bottom that says how things are; all else is printed above it.

`Terminal` stands in front of standard error. The bottom line is written when it changes, and again below each
line that is printed; no timer draws it. It is cut to the width of the window, since a line that wraps could
not be taken back. A stream that is no terminal, or one that cannot go back to the beginning of a line
(`TERM=dumb`), has no bottom line, and what is printed there is what would have been printed anyway.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import TextIO, cast

from rich.cells import cell_len

__all__ = ["Terminal", "bottom_line", "wrapped"]

_CLEARED = "\r\x1b[2K"
_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"

_BETWEEN = "   "

USUAL_WIDTH = 80
"""Columns, where the terminal does not say."""

FEWEST_WORDS = 10
"""Columns: fewer words of what is being said help nobody."""

LONGEST_UNFINISHED = 20_000
"""Characters of a line that its writer has not ended."""


class Terminal(io.TextIOBase):
    """A text stream with a bottom line.

    Args:
        stream: what is written to.
        environ: says what the terminal can do: `TERM`, `NO_COLOR`, and on Windows `WT_SESSION`.
    """

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._stream = stream
        self._shown = ""
        self._unfinished = ""
        self._lock = threading.Lock()
        understands = sys.platform != "win32" or "WT_SESSION" in environ
        dumb = environ.get("TERM", "").lower() in ("", "dumb", "unknown") and sys.platform != "win32"
        self._is_terminal = stream.isatty()
        self.has_bottom = self._is_terminal and understands and not dumb
        """Whether there is a bottom line at all."""
        self._has_unicode = (stream.encoding or "utf-8").lower().replace("-", "").startswith("utf")
        self._has_styles = self.has_bottom and not environ.get("NO_COLOR")

    @property
    def width(self) -> int | None:
        """Columns of the window; None: this is no terminal, and its lines may be of any length."""
        if not self._is_terminal:
            return None
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or USUAL_WIDTH
        except (OSError, ValueError):
            return USUAL_WIDTH

    def dim(self, text: str) -> str:
        """The text as something that is less important."""
        return f"{_DIM}{text}{_PLAIN}" if text and self._has_styles else text

    def bold(self, text: str) -> str:
        """The text as something that is looked for."""
        return f"{_BOLD}{text}{_PLAIN}" if text and self._has_styles else text

    def typeset(self, text: str) -> str:
        """The text with … and — where the encoding has them."""
        return text if self._has_unicode else text.replace("…", "...").replace("—", "--")

    def show(self, what: str, words: str = "", above: str = "") -> None:
        """Makes this the bottom line.

        Args:
            what: printable, in one line; "" removes the bottom line.
            words: what is being said, of which the end is shown if there is no room for all.
            above: whole lines, printed at the same time.
        """
        width = (self.width or USUAL_WIDTH) - 1
        with self._lock:
            before, self._shown = self._shown, self._line(what, words, width) if self.has_bottom else ""
            if above or self._shown != before:
                cleared = _CLEARED if before or self._shown else ""
                self._stream.write(f"{cleared}{above}{self.dim(self._shown)}")

    def write(self, text: str) -> int:
        """Prints above the bottom line. What is no whole line yet waits for its end."""
        with self._lock:
            lines, end, rest = (self._unfinished + text).rpartition("\n")
            if len(rest) > LONGEST_UNFINISHED:
                lines, end, rest = f"{lines}{end}{rest}", "\n", ""
            self._unfinished = rest
            if end:
                cleared = _CLEARED if self._shown else ""
                self._stream.write(f"{cleared}{lines}{end}{self.dim(self._shown)}")
        return len(text)

    def _line(self, what: str, words: str, width: int) -> str:
        line = _beginning(what, width)
        room = width - cell_len(line) - len(_BETWEEN)
        if not words or room < FEWEST_WORDS:
            return line
        return (
            line + _BETWEEN + self.typeset(words if cell_len(words) <= room else f"…{_end(words, room - 3)}")
        )

    def end(self) -> None:
        """Removes the bottom line, and prints what was not ended."""
        self.show("")
        if self._unfinished:
            self.write("\n")

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As that of the stream behind."""
        return self._stream.encoding or "utf-8"

    def flush(self) -> None:
        """As the stream behind."""
        self._stream.flush()

    def fileno(self) -> int:
        """As that of the stream behind."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """As the stream behind was when this began."""
        return self._is_terminal

    def writable(self) -> bool:
        """It is."""
        return True


@contextlib.contextmanager
def bottom_line() -> Iterator[Terminal]:
    """Standard error with a bottom line, for as long as it is open; it leaves none behind."""
    before = sys.stderr
    terminal = Terminal(before)
    sys.stderr = cast(TextIO, terminal)
    try:
        yield terminal
    finally:
        sys.stderr = before
        terminal.end()


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of so many columns, broken between words where that is possible."""
    lines, line = list[str](), ""
    for word in text.split():
        if line and cell_len(line) + 1 + cell_len(word) <= width:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, width)
        lines += full
    return [*lines, line] if line else lines


def _beginning(text: str, width: int) -> str:
    return text if cell_len(text) <= width else _pieces(text, width)[0]


def _end(text: str, width: int) -> str:
    # No more of it than can be needed: it may be minutes of talk.
    return _beginning(text[-width:][::-1], width)[::-1]


def _pieces(text: str, width: int) -> list[str]:
    """The text in pieces of so many columns; each has at least a character."""
    pieces, used = [""], 0
    for character in text:
        columns = cell_len(character)
        if used + columns > width and pieces[-1]:
            pieces.append("")
            used = 0
        pieces[-1] += character
        used += columns
    return pieces
