"""Recorder: writes down everything that crosses the edges, and what was decided about it.

`RecordTap` overhears channels and taps, at the moment at which something passes, and sees what those who
decide take, at the moment at which they do; it keeps that in a bounded channel of its own, whose oldest give
way, counted. `Recorder` writes that to disk in a thread, once a second and on the way out. Neither can hold
up or harm the conversation: when the disk is full, the recorder's failure is told once and the tap ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from actors.record.file import RecordFile
from channels.bounded import Channel, Full, Receiver, Watched
from channels.happenings import BystanderFailed
from channels.secret import Secret
from channels.seen import Noted, On, Seen
from channels.settings import Settings
from channels.taps import Taps

__all__ = ["RecordTap", "Recorder", "recording"]

WRITES_EVERY_S = 1.0
LEAVES_WITHIN_S = 2.0
"""A disk that hangs shall not keep the agent from leaving."""


class RecordTap:
    """Overhears."""

    def __init__(self, *, capacity: int = 8192) -> None:
        self.channel = Channel[Noted](
            On.RECORD,
            capacity=capacity,
            unit="things that passed",
            full=Full.DROP_OLDEST,
            because="half a minute of lively talk with its sound; a slow disk must not hold it up",
        )
        self._sender = self.channel.sender()

    def listen(self, channels: Iterable[Channel[Any]], taps: Taps, seen: Watched[Seen]) -> None:
        """Overhears channels and taps from now on, and sees what those who decide take."""
        for channel in channels:
            channel.overhear(self._hears(channel.name))
        taps.overhear(self._hears(On.HAPPENINGS))
        seen.overhear(self._note)

    def close(self) -> None:
        """Hears nothing more."""
        self._sender.close()

    def _hears(self, on: str) -> Callable[[object], None]:
        def listener(message: object) -> None:
            self._note(Noted(trio.current_time(), on, message))

        return listener

    def _note(self, noted: Noted) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            self._sender.send_nowait(noted)


@define
class Recorder:
    """Writes what an tap has heard.

    Raises (from `run`):
        OSError: the disk is full, or gone.
    """

    notes: Receiver[Noted]
    file: RecordFile
    lost: Callable[[], int]
    """How many things the tap had to drop so far."""
    closing: trio.Event = field(factory=trio.Event)
    _disk: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(1), init=False)
    """Its own: a disk that hangs takes no thread from anybody else."""

    async def run(self) -> None:
        """Writes until nothing more can be heard, and ends the record. Cancelled, it gives up as it is."""
        async with self.notes:
            try:
                async for first in self.notes:
                    with trio.move_on_after(WRITES_EVERY_S):
                        await self.closing.wait()
                    batch = [first, *self.notes.receive_waiting()]
                    await self._in_thread(self.file.write, batch, self.lost())
                await self._in_thread(self.file.end, trio.current_time())
            except OSError:
                self.file.drop()
                raise

    async def _in_thread(self, work: Callable[..., None], *arguments: object) -> None:
        await trio.to_thread.run_sync(work, *arguments, abandon_on_cancel=True, limiter=self._disk)


@asynccontextmanager
async def recording(
    path: Path | None,
    settings: Settings,
    secrets: Sequence[Secret],
    channels: Iterable[Channel[Any]],
    taps: Taps,
    seen: Watched[Seen],
    *,
    with_sound: bool = False,
) -> AsyncIterator[None]:
    """A record of all that happens while it is open; without a path, nothing.

    Args:
        path: of the record.
        settings: of the room.
        secrets: what must not appear in it.
        channels: those that are recorded.
        taps: of the room.
        seen: what those who decide take.
        with_sound: whether both voices are recorded, too.

    Raises:
        SettingsError: the record cannot be begun there.
    """
    if path is None:
        yield
        return
    tap = RecordTap()
    file = RecordFile.create(path, settings, secrets, started=trio.current_time(), with_sound=with_sound)
    recorder = Recorder(tap.channel.receiver(), file, lambda: tap.channel.dropped)
    tap.listen(channels, taps, seen)
    # It outlives the cancellation of those whom it overhears, until what they did on the way out is written.
    alive = trio.CancelScope(shield=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_contained, recorder, taps, alive)
        try:
            yield
        finally:
            tap.close()
            recorder.closing.set()
            alive.deadline = trio.current_time() + LEAVES_WITHIN_S


async def _run_contained(recorder: Recorder, taps: Taps, alive: trio.CancelScope) -> None:
    try:
        with alive:
            await recorder.run()
    except Exception as error:
        taps.publish(BystanderFailed("Recorder", f"{error}; the record ends here"))
