"""Wraps the process's standard streams so that none of them can end or hold up a call.

A separate thread writes standard error, from a bounded queue. So its writers (the log, a bottom line, a
library) never wait for its reader, who may have stopped a terminal with Ctrl-S or let a pipe fill up. What
does not fit into the queue is dropped and counted, and reported as soon as somebody reads again. A closed
stream (`2>&-`) is opened to nowhere. Characters that an encoding lacks are written as escapes.

Each process opens this once: `with standard_streams(): …`.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TextIO, cast

__all__ = ["Unwaiting", "as_written", "standard_streams"]

QUEUE = 256 * 2**10
"""Characters; some 2,000 lines of the log. Whoever is further behind reads of nothing that is still so."""

LAST_WORDS_WITHIN_S = 1.0
"""Time for what still waits, when the process ends."""


class Unwaiting(io.TextIOBase):
    """A text stream in front of another, whose `write` never waits, and never fails.

    Args:
        stream: what is written to, in a thread.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.lost = 0
        """Lines that were dropped, and that nobody was told of yet."""
        self.remark: Callable[[int], str] = _remark
        """The line that tells how many lines were dropped."""
        self._stream = stream
        self._descriptor = _descriptor_of(stream)
        self._news = threading.Condition()
        self._waiting: deque[str] = deque()
        self._characters = 0
        self._writing = False
        self._ended = False
        self._thread = threading.Thread(target=self._write_all, name="standard error", daemon=True)
        self._thread.start()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As that of the stream behind."""
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Takes a text; what does not fit any more is dropped whole."""
        with self._news:
            if self._ended or (self._waiting and self._characters + len(text) > QUEUE):
                self.lost += text.count("\n")
            else:
                self._waiting.append(text)
                self._characters += len(text)
                self._news.notify_all()
        return len(text)

    def flush(self) -> None:
        """Nothing to do: the thread does not dawdle."""

    def fileno(self) -> int:
        """For the same file as that of the stream behind."""
        return self._stream.fileno() if self._descriptor is None else self._descriptor

    def isatty(self) -> bool:
        """As the stream behind."""
        return self._stream.isatty()

    def writable(self) -> bool:
        """It is."""
        return True

    def end(self, within_s: float = LAST_WORDS_WITHIN_S) -> None:
        """Takes no more, and waits for what was taken to be written, but not for ever."""
        deadline = time.monotonic() + within_s
        with self._news:
            self._ended = True
            self._news.notify_all()
            while (self._waiting or self._writing) and (left := deadline - time.monotonic()) > 0:
                self._news.wait(left)

    def _write_all(self) -> None:
        try:
            self._write_until_end()
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)

    def _write_until_end(self) -> None:
        while True:
            with self._news:
                self._writing = False
                self._news.notify_all()
                while not self._waiting:
                    if self._ended:
                        return
                    self._news.wait()
                self._writing = True
                text = "".join(self._waiting)
                self._waiting.clear()
                self._characters = 0
                # What was dropped was to stand behind what filled the queue.
                lost, self.lost = self.lost, 0
            if not self._put(text + self.remark(lost) if lost else text):
                with self._news:
                    self.lost += lost + text.count("\n")

    def _put(self, text: str) -> bool:
        try:
            if self._descriptor is None:
                self._stream.write(text)
                self._stream.flush()
            else:
                # Not by way of Python's own buffer, whose lock the end of the process would wait for.
                _write(self._descriptor, text.encode(self.encoding, "backslashreplace"))
        except (OSError, ValueError):  # its reader went away (`| head`), or the disk is full
            return False
        return True


def _write(descriptor: int, content: bytes) -> None:
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except BlockingIOError:  # somebody else made the terminal so, which they share with us
            select.select([], [descriptor], [], 1.0)


def _descriptor_of(stream: TextIO) -> int | None:
    """One of our own for the same file: where standard error leads may be changed behind our back."""
    try:
        return os.dup(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return None


def _remark(lost: int) -> str:
    return f"{lost} lines are missing here, because nobody was reading the output above\n"


def as_written(text: str) -> str:
    """An argument, or a variable of the environment, that the locale had no characters for: it was UTF-8."""
    if not any("\udc80" <= character <= "\udcff" for character in text):
        return text
    try:
        return os.fsencode(text).decode()
    except UnicodeError:
        return text


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Makes the streams so for as long as it is open."""
    _open_closed()
    for stream, errors in ((sys.stdout, "backslashreplace"), (sys.stdin, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)
    before = sys.stderr
    with contextlib.suppress(OSError, ValueError):
        before.flush()
    unwaiting = Unwaiting(before)
    sys.stderr = cast(TextIO, unwaiting)
    try:
        yield
    finally:
        unwaiting.end()
        sys.stderr = before


def _open_closed() -> None:
    """Opens closed standard streams to nowhere; else the next file or socket would get their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (to the end)
