"""SpeakerPump: plays what the controller wants to be heard, and reports what was heard.

In: `Play`, `Finish`, `Cut`, `Hold`, `Duck`, `Resume`. Out: `Playing`, `Finished` and `CutShort` reports,
`Sounding` for the echo canceller, and sound through the `Loudspeaker` port. `playout.Playout` does the
bookkeeping; this actor reads the clock, gives frames to the port while its queue has room, and empties the
queue when something is cut. It never lets a capture wait for room. If a cut comes during a capture, it
empties the queue once more, since that frame may have landed after the first time. Cancelled, it falls silent
at once.
"""

from __future__ import annotations

import contextlib
import math

import trio
from attrs import Factory, define, field

from actors.speaker.playout import Frame, Playout
from channels.bounded import Receiver, Sender
from channels.messages import Cut, Duck, Finish, Hold, Play, Resume, Sounding, SpeakerCommand, SpeakerReport
from channels.ports import Loudspeaker
from channels.settings import SpeakerSettings
from sound.pcm import ms_of_bytes

__all__ = ["SpeakerPump"]


_STEP_S = 0.01
_REFILLS_WITHIN_S = 0.004


@define
class SpeakerPump:
    """Plays replies into the room.

    Raises (from `run`):
        EdgeFault: the room takes no sound.
    """

    settings: SpeakerSettings
    loudspeaker: Loudspeaker
    commands: Receiver[SpeakerCommand]
    reports: Sender[SpeakerReport]
    sounding: Sender[Sounding]
    playout: Playout = field(
        default=Factory(lambda self: Playout(self.settings.queue_size_ms), takes_self=True), init=False
    )
    _clears: int = field(default=0, init=False)
    _news: trio.Event = field(factory=trio.Event, init=False)
    _looks_at: float = field(default=-math.inf, init=False)
    """When it looks for the next frame without news."""

    async def run(self) -> None:
        """Plays until the commands end."""
        async with self.commands, self.reports, self.sounding:
            try:
                await self._play()
            finally:
                # A capture that was under way when all was cancelled has landed by now.
                self.loudspeaker.clear()

    async def _play(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._feed)
            try:
                async for command in self.commands:
                    if isinstance(command, Duck):
                        await self._pass_step()
                    self._obey(command)
                nursery.cancel_scope.cancel()
            finally:
                self.loudspeaker.clear()

    def _obey(self, command: SpeakerCommand) -> None:
        match command:
            case Play(reply_id=reply_id, pcm=pcm):
                cut_short = self.playout.play(reply_id, pcm)
                if cut_short is not None:
                    self.reports.send_nowait(cut_short)
            case Finish(reply_id=reply_id):
                self.playout.finish(reply_id)
            case Cut(reply_id=reply_id):
                now = trio.current_time()
                self._report(now)
                must_clear, finished = self.playout.cut(reply_id, now)
                if must_clear:
                    self._empty(now)
                self.reports.send_nowait(finished)
            case Hold():
                now = trio.current_time()
                self._report(now)
                if self.playout.hold(now):
                    self._empty(now)
            case Duck(db=db, ms=ms):
                now = trio.current_time()
                self._report(now)
                if self.playout.duck(db, now, now + ms / 1000):
                    self._empty(now)
            case Resume(reply_id=reply_id, from_ms=from_ms):
                self.playout.resume(reply_id, from_ms)
        # Most sound only waits behind other sound, a hundred times a second: that wakes nobody.
        if not isinstance(command, Play) or self._is_due(trio.current_time()):
            self._news.set()

    def _is_due(self, now: float) -> bool:
        next_change = self.playout.next_change(now)
        return next_change is not None and next_change < self._looks_at

    async def _pass_step(self) -> None:
        """What is emptied to be filled again should be full when the SDK takes its next step from it."""
        if self.loudspeaker.steps_from is not None:
            left_s = (self.loudspeaker.steps_from - trio.current_time()) % _STEP_S
            if left_s < _REFILLS_WITHIN_S:
                await trio.sleep(left_s)

    async def _feed(self) -> None:
        while True:
            now = trio.current_time()
            self._report(now)
            frame = self.playout.next_frame(now)
            if frame is not None:
                await self._capture(frame)
                continue
            self._news = trio.Event()
            until = self.playout.next_change(now)
            self._looks_at = math.inf if until is None else until
            with trio.move_on_at(self._looks_at):
                await self._news.wait()

    async def _capture(self, frame: Frame) -> None:
        clears = self._clears
        await self.loudspeaker.capture(frame.padded())
        now = trio.current_time()
        if self._clears == clears and self.playout.landed(frame, now, self.loudspeaker.steps_from):
            sound = frame.padded()
            self._tell(Sounding(now + (self.playout.queued_ms(now) - ms_of_bytes(len(sound))) / 1000, sound))
        else:
            self.loudspeaker.clear()

    def _empty(self, now: float) -> None:
        self._clears += 1
        self.loudspeaker.clear()
        self._tell(Sounding(now, b""))

    def _tell(self, sounding: Sounding) -> None:
        # The echo's listener is a tap: when it is gone, the conversation goes on.
        with contextlib.suppress(trio.BrokenResourceError):
            self.sounding.send_nowait(sounding)

    def _report(self, now: float) -> None:
        for report in self.playout.settle(now):
            self.reports.send_nowait(report)
