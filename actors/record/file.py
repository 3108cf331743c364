"""The record on disk: JSON lines, readable by its owner alone, flushed with every batch. Blocking."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from attrs import define, evolve, field

from actors.record.codec import encode, shifted
from actors.record.header import Header
from actors.record.notes import Ended, Lost, RecordLine
from actors.record.runs import Runs
from actors.record.secrecy import blotter
from actors.record.sound import SoundFile
from channels import private_files
from channels.errors import SettingsError
from channels.json_text import write_json
from channels.keys import KeyCover
from channels.messages import MicrophoneFrame, Sounding
from channels.secret import Secret
from channels.seen import Noted, On, Seen
from channels.settings import Settings
from sound.pcm import SAMPLE_BYTES

__all__ = ["RecordFile", "check_free", "sound_beside"]

TICK_S = 1e-6
"""Times are written to the microsecond."""

MOST_ON_THEIR_WAY = 512
"""Frames and pieces from the microphone to the onset detector: more than may wait there."""


def sound_beside(path: Path) -> Path:
    """Where the sound of a record lies."""
    return path.with_suffix(".wav")


def check_free(path: Path, *, with_sound: bool) -> None:
    """Makes sure that a record can be begun there: nothing is ever written over.

    Raises:
        SettingsError: something is there, or the folder is not.
    """
    for wanted in (path, sound_beside(path)) if with_sound else (path,):
        if wanted.exists():
            raise SettingsError(
                f"--record {path}: {wanted} exists already", "name a new file, or move that one"
            )
    if not path.parent.is_dir():
        raise SettingsError(f"--record {path}: there is no folder {path.parent}", "make it, or name another")
    if with_sound and path.suffix == ".wav":
        raise SettingsError(f"--record {path}: .wav is the name of its sound", "name it .jsonl")


@define
class RecordFile:
    """One record, being written.

    Args:
        started: second 0 of the record, on Trio's clock.
        blot_out: takes secrets out of a line.
    """

    started: float
    _file: FileIO
    _blot_out: Callable[[str], str]
    _sound: SoundFile | None
    _cover: KeyCover | None = None
    """Takes out what callers pressed; None: that is wanted."""
    _runs: Runs = field(init=False)
    _unwritten: bytearray = field(factory=bytearray, init=False)
    _lost: int = field(default=0, init=False)
    _at: float = field(default=0.0, init=False)
    _seen_at: float = field(default=0.0, init=False)
    _placed: dict[int, tuple[MicrophoneFrame, tuple[int, int]]] = field(factory=dict, init=False)
    """The latest frames of the person's sound and their pieces, and their places in the sound file."""
    _judged: deque[Seen] = field(factory=lambda: deque(maxlen=MOST_ON_THEIR_WAY), init=False)
    """Pieces that were judged before their frame was whole."""

    def __attrs_post_init__(self) -> None:
        self._runs = Runs(None if self._sound is None else self._place)

    @classmethod
    def create(
        cls, path: Path, settings: Settings, secrets: Sequence[Secret], *, started: float, with_sound: bool
    ) -> RecordFile:
        """Begins a record; its header is on disk when this returns.

        Args:
            path: of the record.
            settings: of the room.
            secrets: what must not appear in it.
            started: second 0 of the record, on Trio's clock.
            with_sound: whether both voices are recorded, too.

        Raises:
            SettingsError: it cannot be begun there.
        """
        check_free(path, with_sound=with_sound)
        try:
            lines = private_files.create(path)
            sound = SoundFile(private_files.create(sound_beside(path))) if with_sound else None
            cover = None if settings.log.keys else KeyCover()
            record = cls(started, lines, blotter(secrets), sound, cover)
            header = Header.of(settings, sound_beside(path).name if with_sound else None)
            record._put(encode(header))
            record._flush()
        except OSError as error:
            raise SettingsError(
                f"--record {path} cannot be written ({error.strerror})", "name another file"
            ) from None
        return record

    def write(self, batch: Sequence[Noted], lost: int) -> None:
        """Writes what was overheard, and says if `lost` things (in all) were not.

        Raises:
            OSError: the disk is full, or gone.
        """
        for noted in batch:
            self._take(evolve(noted, at=noted.at - self.started))
        if lost > self._lost:
            self._write([RecordLine(self._at, On.RECORD, Lost(lost - self._lost))])
            self._lost = lost
        if self._sound is not None:
            self._sound.settle(self._at)
        self._flush()

    def end(self, now: float) -> None:
        """Writes what is still open, says that the record is whole, and closes it.

        Raises:
            OSError: the disk is full, or gone.
        """
        self._place_lone(math.inf)
        at = max(self._at, now - self.started)
        self._write([*self._runs.end(), RecordLine(at, On.RECORD, Ended())])
        self._flush()
        self._file.close()
        if self._sound is not None:
            self._sound.close(at)

    def drop(self) -> None:
        """Closes the files as they are."""
        for file in (self._file, *(() if self._sound is None else (self._sound.file,))):
            with contextlib.suppress(OSError):
                file.close()

    def _take(self, noted: Noted) -> None:
        if isinstance(noted, Seen):
            if noted.on != On.ONSET:
                noted = self._in_order(noted)
            elif id(noted.what) not in self._placed:
                if self._sound is not None:
                    self._judged.append(noted)
                return
        self._at = max(self._at, noted.at)
        if isinstance(noted.what, Sounding):
            if self._sound is not None:
                self._sound.put_agent(shifted(noted.what, -self.started))
            return
        is_frame = isinstance(noted.what, MicrophoneFrame) and noted.on != On.ONSET
        if is_frame:
            self._place_lone((noted.what.pieces or (noted.what,))[0].at)
        self._write(self._runs.take(noted))
        if is_frame:
            waiting, self._judged = self._judged, deque(maxlen=MOST_ON_THEIR_WAY)
            for seen in waiting:
                self._take(seen)

    def _place_lone(self, before: float) -> None:
        """Gives a place to what was judged before that (s) and is in no frame: its track was closed."""
        while self._judged and self._judged[0].what.at < before:
            seen = self._judged.popleft()
            self._place(seen)
            self._take(seen)

    def _in_order(self, seen: Seen) -> Noted:
        """No two at the same time: in a record, their times are their order."""
        self._seen_at = max(round(seen.at, 6), self._seen_at + TICK_S)
        return evolve(seen, at=self._seen_at)

    def _place(self, noted: Noted) -> tuple[int, int]:
        frame: MicrophoneFrame = noted.what
        if id(frame) in self._placed:
            return self._placed[id(frame)][1]
        assert self._sound is not None
        first, count = self._sound.put_person(frame.at - self.started, frame.untouched)
        begin = first
        for piece in frame.pieces:
            self._note_place(piece, begin, len(piece.pcm) // SAMPLE_BYTES)
            begin += len(piece.pcm) // SAMPLE_BYTES
        return self._note_place(frame, first, count)

    def _note_place(self, frame: MicrophoneFrame, first: int, count: int) -> tuple[int, int]:
        while len(self._placed) >= MOST_ON_THEIR_WAY:
            del self._placed[next(iter(self._placed))]
        self._placed[id(frame)] = frame, (first, count)  # kept, so that nothing else gets its id
        return first, count

    def _write(self, entries: Sequence[RecordLine]) -> None:
        for entry in entries:
            what = entry.what
            if entry.on != On.RECORD and hasattr(what, "__attrs_attrs__"):
                what = shifted(what, -self.started)
            place = {"t": round(entry.t, 6), "on": entry.on, "is": type(what).__name__}
            if self._cover is None:
                self._put(place | encode(what))
            else:
                self._put(place | self._cover.fields(encode(self._cover.message(what))))

    def _put(self, content: dict[str, Any]) -> None:
        line = write_json(content)
        self._unwritten += self._blot_out(line).encode() + b"\n"

    def _flush(self) -> None:
        # Unbuffered: what a full disk refuses must not be tried again when the file is forgotten.
        while self._unwritten:
            del self._unwritten[: self._file.write(self._unwritten)]
