"""Records a call as a stereo WAV file: the person on the left, the agent on the right.

    python runner.py --actor examples/recorder.py:Recorder,folder=calls

Both sides are aligned as in the room: two simultaneous claps are at the same place in the file. Where nobody
sent sound, for example from a muted microphone, there is silence. The agent's side has what the room heard,
without what was cut. At most three seconds of sound are in memory; then they are on the disk with a matching
header, so whatever ends the agent, even `kill -9`, leaves a file that plays. An hour takes 350 MB; after ten
hours the next part begins.
"""

from __future__ import annotations

import os
import wave
from array import array
from collections.abc import Callable
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import IO, cast

import trio
from attrs import define, field

from channels import private_files
from channels.bounded import Receiver
from channels.messages import MicrophoneFrame, Sounding
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ

SETTLES_AFTER_S = 1.0
"""How long a frame waits for those behind it, which show how late it was."""

WRITTEN_AFTER_S = 2.0
"""A second more, so that the place of even such a late frame is still unwritten."""

WRITES_EVERY_S = 1.0

JITTER = round(0.005 * SAMPLE_RATE_HZ)
"""How many samples a frame may be off before it is moved: moving makes a click."""

DISK_MAY_HANG_S = 60.0
"""For longer, the recording ends: its memory is bounded."""

CLOSES_WITHIN_S = 0.5

PART = 10 * 60 * 60 * SAMPLE_RATE_HZ
"""Samples; a WAV file holds 4 GB."""


@define
class Side:
    """One side's sound that is not on the disk yet. Places are samples since the recording began."""

    _pieces: list[tuple[int, array[int]]] = field(factory=list)

    def put(self, first: int, samples: array[int]) -> None:
        """From this place on there is this sound, and nothing of what was to be there."""
        self._pieces = [
            (begin, piece[: max(0, first - begin)]) for begin, piece in self._pieces if begin < first
        ]
        self._pieces.append((first, samples))

    def take(self, begin: int, end: int) -> array[int]:
        """The sound of a span, silence where there is none; it is forgotten then."""
        out = array("h", bytes(SAMPLE_BYTES * (end - begin)))
        for first, piece in self._pieces:
            skipped = max(0, begin - first)
            part = piece[skipped : end - first] if first < end else piece[:0]
            out[first + skipped - begin : first + skipped - begin + len(part)] = part
        self._pieces = [(first, piece) for first, piece in self._pieces if first + len(piece) > end]
        return out


@define
class Arrivals:
    """Frames of a microphone, which come late by ever different times, at the places where they were spoken.

    A frame cannot come before it was spoken. So of the next second's frames, the one that came with the
    least delay tells where all of them belong, until the microphone itself leaves a gap.
    """

    _waiting: list[tuple[int, array[int]]] = field(factory=list)
    """Frames, and the latest places at which they can begin."""
    _next: int = 0

    def come(self, at: int, samples: array[int]) -> None:
        """A frame came at this place in time: it ends there, or before."""
        self._waiting.append((at - len(samples), samples))

    def settle(self, until: int, side: Side) -> None:
        """Puts those that came before `until` where they belong."""
        while self._waiting and self._waiting[0][0] + len(self._waiting[0][1]) <= until:
            before, first = 0, self._waiting[0][0]
            for latest, samples in self._waiting:
                first = min(first, latest - before)
                before += len(samples)
            samples = self._waiting.pop(0)[1]
            if abs(first - self._next) <= JITTER:
                first = self._next
            samples = samples[max(0, self._next - first) :]
            side.put(max(first, self._next), samples)
            self._next = max(first, self._next) + len(samples)


@define
class Recorder:
    """Records both sides of a call."""

    heard: Receiver[MicrophoneFrame]
    spoken: Receiver[Sounding]
    folder: Path = Path("recordings")
    _began_at: float = field(default=0.0, init=False)
    _person: Side = field(factory=Side, init=False)
    _agent: Side = field(factory=Side, init=False)
    _arrivals: Arrivals = field(factory=Arrivals, init=False)
    _taken: int = field(default=0, init=False)
    """Samples that are on the disk, or on their way."""
    _disk: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(1), init=False)

    async def run(self) -> None:
        """Records until the call is over."""
        self._began_at = trio.current_time()
        tape = Tape(self.folder, datetime.now(UTC))
        try:
            await self._in_thread(tape.open)
            async with self.heard, self.spoken, trio.open_nursery() as writing:
                writing.start_soon(self._write, tape)
                async with trio.open_nursery() as reading:
                    reading.start_soon(self._listen_to_person)
                    reading.start_soon(self._listen_to_agent)
                writing.cancel_scope.cancel()
            self._arrivals.settle(self._place(trio.current_time()), self._person)
            await self._bring(tape, trio.current_time())
        finally:
            # What is on the disk is complete; a disk that hangs must not hold anything up.
            with trio.move_on_after(CLOSES_WITHIN_S, shield=True):
                await self._in_thread(tape.close)

    async def _listen_to_person(self) -> None:
        async for frame in self.heard:
            # Nothing waits between a frame and the look at the clock.
            self._arrivals.come(self._place_now(), array("h", frame.pcm))

    async def _listen_to_agent(self) -> None:
        async for sounding in self.spoken:
            self._place_now()
            self._agent.put(self._place(sounding.at), array("h", sounding.pcm))

    async def _write(self, tape: Tape) -> None:
        while True:
            await trio.sleep(WRITES_EVERY_S)
            now = trio.current_time()
            self._arrivals.settle(self._place(now - SETTLES_AFTER_S), self._person)
            await self._bring(tape, now - WRITTEN_AFTER_S)

    async def _bring(self, tape: Tape, until: float) -> None:
        begin, end = self._taken, max(self._taken, self._place(until))
        stereo = array("h", bytes(2 * SAMPLE_BYTES * (end - begin)))
        stereo[0::2], stereo[1::2] = self._person.take(begin, end), self._agent.take(begin, end)
        await self._in_thread(tape.write, stereo.tobytes())
        self._taken = end

    async def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        await trio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True, limiter=self._disk)

    def _place_now(self) -> int:
        place = self._place(trio.current_time())
        if place - self._taken > DISK_MAY_HANG_S * SAMPLE_RATE_HZ:
            raise TimeoutError(f"the disk has taken nothing for {DISK_MAY_HANG_S:.0f} s")
        return place

    def _place(self, at: float) -> int:
        return round((at - self._began_at) * SAMPLE_RATE_HZ)


@define
class Tape:
    """The files of a recording. Blocking: used in a thread."""

    folder: Path
    began: datetime
    _wave: wave.Wave_write | None = None
    _file: FileIO | None = None
    _parts: int = 0

    def open(self) -> None:
        """Begins the first file, or the next part."""
        self.close()
        self._parts += 1
        private_files.folder(self.folder)
        part = f"-{self._parts}" if self._parts > 1 else ""
        self._file = private_files.create(self.folder / f"{self.began:%Y-%m-%dT%H-%M-%S.%fZ}{part}.wav")
        self._wave = wave.open(cast(IO[bytes], self._file), "wb")  # noqa: SIM115 (closed by `close`)
        self._wave.setnchannels(2)
        self._wave.setsampwidth(SAMPLE_BYTES)
        self._wave.setframerate(SAMPLE_RATE_HZ)
        self.write(b"")

    def write(self, stereo: bytes) -> None:
        """Writes sound to the disk, and a header that counts it."""
        assert self._wave is not None
        assert self._file is not None
        if self._wave.tell() > PART:
            self.open()
        self._wave.writeframes(stereo)
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Ends the file."""
        if self._wave is not None and self._file is not None:
            self._wave.close()
            self._file.close()
