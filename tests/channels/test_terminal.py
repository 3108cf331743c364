"""The line at the bottom of a terminal, and what is printed above it."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from channels.terminal import Terminal, bottom_line, wrapped


@contextmanager
def window() -> Iterator[tuple[int, TextIO]]:
    master, slave = pty.openpty()
    stream = os.fdopen(slave, "w", encoding="utf-8", buffering=1, newline="")
    try:
        yield master, stream
    finally:
        stream.close()
        os.close(master)


def drawn(master: int, stream: TextIO) -> str:
    """All that was written."""
    stream.close()
    written = b""
    with contextlib.suppress(OSError):  # how a terminal ends
        while chunk := os.read(master, 65536):
            written += chunk
    return written.decode()


def seen(master: int, stream: TextIO) -> str:
    """What stands on the screen, line by line, once all of it has been drawn."""
    lines = [""]
    for piece in re.split(r"(\r\n|\n|\r\x1b\[2K)", re.sub(r"\x1b\[[0-2]m", "", drawn(master, stream))):
        if piece.endswith("\n"):
            lines.append("")
        elif piece.startswith("\r"):
            lines[-1] = ""
        else:
            lines[-1] += piece
    return "\n".join(lines)


def test_what_is_printed_stands_above_the_bottom_line_which_stays() -> None:
    with window() as (master, stream):
        terminal = Terminal(stream, {"TERM": "xterm"})
        terminal.show("listening")
        print("a line of", "the log", file=terminal)
        terminal.show("speaking", "some words", above="You: hello\n")
        assert seen(master, stream) == "a line of the log\nYou: hello\nspeaking   some words"


def test_the_bottom_line_is_gone_when_it_ends_and_what_was_printed_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with window() as (master, stream):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with bottom_line() as terminal:
            terminal.show("listening")
            print("no end", end="", file=sys.stderr)
        assert sys.stderr is stream
        assert seen(master, stream) == "no end\n"


def test_what_has_not_changed_is_not_written_again() -> None:
    with window() as (master, stream):
        terminal = Terminal(stream, {"TERM": "xterm"})
        for _ in range(3):
            terminal.show("listening")
        assert drawn(master, stream).count("listening") == 1


def test_it_is_never_wider_than_the_window_and_shows_the_last_words() -> None:
    with window() as (master, stream):
        Terminal(stream, {"TERM": "xterm"}).show("speaking", "word " * 1000 + "end")
        line = seen(master, stream)
        assert cell_len(line) < 80
        assert line.startswith("speaking   …")
        assert line.endswith("word end")


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}])
def test_there_is_none_in_a_terminal_that_cannot_go_back(environ: dict[str, str]) -> None:
    with window() as (master, stream):
        terminal = Terminal(stream, environ)
        terminal.show("listening", above="one\n")
        print("two", file=terminal)
        assert drawn(master, stream) == "one\r\ntwo\r\n"


def test_there_is_none_in_a_pipe() -> None:
    pipe = io.StringIO()
    terminal = Terminal(pipe, {"TERM": "xterm"})
    terminal.show("listening", above="one\n")
    terminal.show("speaking")
    terminal.end()
    assert pipe.getvalue() == "one\n"


@given(st.text(), st.integers(2, 100))
def test_wrapping_loses_no_word_and_keeps_to_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
