"""Writes down who said what, as JSON lines and as WebVTT: what was heard, not what was sent.

    python runner.py --actor examples/transcript_logger.py:TranscriptLogger,folder=calls

makes two files for each call, named after its start time: `….jsonl`, with a line for each thing said, and
`….vtt`, subtitles that fit a recording by `recorder.py`. An interrupted reply is there as far as the room
heard it; a reply that the person spoke into is in two parts, with their words in between. Each line is on the
disk before the next begins, so whatever ends the agent, even `kill -9`, every line is complete except perhaps
the last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path

import trio
from attrs import define, field, frozen

from channels import private_files
from channels.bounded import Receiver
from channels.happenings import (
    Happening,
    HeardBy,
    PersonSaid,
    ReplyBegan,
    ReplyEnded,
    SoundStarted,
    TurnStarted,
    TurnStopped,
    WordsHeard,
)

NOTICED_WITHIN_S = 3.0
"""The service says that the person speaks so long after their first sound, at most."""


@frozen
class Line:
    """Something that was said, and from when to when (s, Trio's clock)."""

    who: str
    """`person` or `agent`."""
    name: str
    text: str
    begins: float
    ends: float
    reply_id: str | None = None
    outcome: str | None = None
    """Of a reply, in its last line: played, cut, abandoned; or unfinished, when the call ended in it."""


@define
class Transcript:
    """Makes lines of happenings. No I/O, no clock."""

    _name: str = "person"
    _sound: float = float("-inf")
    """When the person's latest sound began."""
    _turn: tuple[float, float] | None = None
    """When what the person is saying began and ended."""
    _number: int = 0
    """Of that turn; the service may split it, and it is one all the same."""
    _unfinished: str = ""
    """What is understood of a turn that is not over."""
    _reply: str | None = None
    """The reply that is being heard."""
    _began: float = 0.0
    """When that of it began which is in no line yet."""
    _words: list[str] = field(factory=list)
    _parted: bool = False
    """Some of the reply is in a line."""

    def take(self, happening: Happening, now: float) -> Iterator[Line]:
        """The lines that are complete by this."""
        match happening:
            case HeardBy(identity=str(identity)):
                self._name = identity
            case SoundStarted(at=at):
                self._sound = at
            case TurnStarted(at=at, turn=number):
                began = self._sound if at - self._sound < NOTICED_WITHIN_S else at
                if self._turn is not None and number == self._number:
                    began = self._turn[0]
                self._turn, self._number = (began, at), number
            case TurnStopped(at=at) if self._turn is not None:
                self._turn = self._turn[0], at
            case PersonSaid(text=text, final=False):
                self._unfinished = text
            case PersonSaid(text=text, final=True):
                begins, ends = self._turn or (now, now)
                # That a turn is over is told when its answer is heard. What was said into one parts it.
                if self._reply is not None and self._words and ends > self._began:
                    yield self._part(" ".join(self._words), now)
                    self._began, self._parted = now, True
                self._turn, self._unfinished = None, ""
                yield Line("person", self._name, text, begins, ends)
            case ReplyBegan(reply_id=reply_id, at=at):
                self._reply, self._began, self._parted = reply_id, at, False
            case WordsHeard(text=text):
                self._words.append(text)
            case ReplyEnded(reply_id=reply_id, heard_text=heard, outcome=outcome, at=at):
                if reply_id == self._reply:
                    yield self._part(" ".join(self._words) if self._parted else heard, at, outcome.value)
                    self._reply = None
            case _:
                pass

    def end(self, now: float) -> Iterator[Line]:
        """What was being said when the call ended."""
        if self._reply is not None:
            yield self._part(" ".join(self._words), now, "unfinished")
        if self._unfinished:
            yield Line("person", self._name, self._unfinished, *(self._turn or (now, now)))

    def _part(self, text: str, ends: float, outcome: str | None = None) -> Line:
        self._words.clear()
        return Line("agent", "agent", text, self._began, ends, self._reply, outcome)


@define
class TranscriptLogger:
    """Keeps the transcript of a call."""

    happenings: Receiver[Happening]
    folder: Path = Path("transcripts")

    async def run(self) -> None:
        """Writes until the call is over."""
        transcript, began_at = Transcript(), trio.current_time()
        paper = Paper(self.folder, datetime.now(UTC), began_at)

        disk = trio.CapacityLimiter(1)  # so that a disk that hangs takes no thread from anything else

        async def write(lines: Iterable[Line]) -> None:
            for line in lines:
                # A disk that hangs must not keep the agent from leaving.
                await trio.to_thread.run_sync(paper.write, line, abandon_on_cancel=True, limiter=disk)

        try:
            await trio.to_thread.run_sync(paper.open, limiter=disk)
            async with self.happenings:
                async for happening in self.happenings:
                    await write(transcript.take(happening, trio.current_time()))
            await write(transcript.end(trio.current_time()))
        finally:
            paper.close()


@define
class Paper:
    """The two files of a call. Blocking: used in a thread.

    Args:
        folder: is made if it is not there.
        began: when the call did.
        began_at: the same by Trio's clock.
    """

    folder: Path
    began: datetime
    began_at: float
    _files: list[FileIO] = field(factory=list)
    _shown_from: float = 0.0

    def open(self) -> None:
        """Begins both files."""
        private_files.folder(self.folder)
        name = self.began.strftime("%Y-%m-%dT%H-%M-%S.%fZ")
        for ending in ("jsonl", "vtt"):
            self._files.append(private_files.create(self.folder / f"{name}.{ending}"))
        self._append("", "WEBVTT\n\n")

    def write(self, line: Line) -> None:
        """Writes a line to the disk."""
        noted: dict[str, str | None] = {
            "begins": self._on_the_wall(line.begins),
            "ends": self._on_the_wall(line.ends),
            "who": line.who,
            "name": line.name,
            "text": line.text,
        }
        if line.reply_id is not None:
            noted |= {"reply_id": line.reply_id, "outcome": line.outcome}
        self._append(json.dumps(noted, ensure_ascii=False) + "\n", self._cue(line) if line.text else "")

    def close(self) -> None:
        """Ends both files."""
        for file in self._files:
            file.close()

    def _append(self, *texts: str) -> None:
        for file, text in zip(self._files, texts, strict=True):
            unwritten = text.encode()
            while unwritten:
                unwritten = unwritten[file.write(unwritten) :]
            os.fsync(file.fileno())

    def _cue(self, line: Line) -> str:
        # In WebVTT no cue begins before the one above it.
        self._shown_from = max(self._shown_from, line.begins - self.began_at)
        ends = max(line.ends - self.began_at, self._shown_from + 0.001)
        span = f"{_stamp(self._shown_from)} --> {_stamp(ends)}"
        return f"{span}\n<v {_escaped(line.name)}>{_escaped(line.text)}\n\n"

    def _on_the_wall(self, at: float) -> str:
        moment = self.began + timedelta(seconds=at - self.began_at)
        return moment.isoformat(timespec="milliseconds")


def _stamp(seconds: float) -> str:
    minutes, ms = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{ms // 1000:02}.{ms % 1000:03}"


def _escaped(text: str) -> str:
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
