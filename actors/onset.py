"""OnsetDetector: when the person makes a sound, as their microphone has it.

In: the same 50 ms frames that go to the service. Out: `SoundStarted` and `SoundStopped`, with the times of
the sound itself rather than of the decision. A voice activity detector judges; two voiced windows in a
row begin a sound and a pause ends it. The controller holds the voice for it, the taps measure with it;
nothing waits for it, and without it the conversation goes on, decided by the service alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio
from attrs import define, field

from channels.bounded import Receiver, Sender
from channels.happenings import SoundStarted, SoundStopped, Taps
from channels.messages import MicrophoneFrame
from channels.sound import ms_of_bytes

__all__ = ["Judge", "Judged", "OnsetDetector", "Onsets"]

ON = 0.5
"""Probability from which a window is voiced; twice in a row begins a sound (as measured: 88 ms median)."""

OFF = 0.35
"""Below it a window is silent."""

PAUSE_MS = 300.0
"""Silence of this length ends a sound: longer than the stops within words, shorter than endpointing."""


class Judged(Protocol):
    """A window of sound, judged."""

    @property
    def probability(self) -> float:
        """That somebody speaks in it, 0 to 1."""


class Judge(Protocol):
    """A voice activity detector."""

    def feed(self, pcm: bytes) -> Sequence[Judged]:
        """Takes PCM16 mono 24 kHz of any length; gives the windows that are complete."""


@define
class Onsets:
    """Where sounds begin and end, from windows of probabilities. Pure."""

    window_ms: float
    _voiced: int = field(default=0, init=False)
    _silent_ms: float = field(default=0.0, init=False)
    _sounding: bool = field(default=False, init=False)

    def take(self, probability: float, ends_at: float) -> SoundStarted | SoundStopped | None:
        """What a window that ends at `ends_at` (s) begins or ends, if anything."""
        if self._sounding:
            self._silent_ms = self._silent_ms + self.window_ms if probability < OFF else 0.0
            if self._silent_ms >= PAUSE_MS:
                self._sounding, self._voiced = False, 0
                return SoundStopped(ends_at - self._silent_ms / 1000)
            return None
        self._voiced = self._voiced + 1 if probability >= ON else 0
        if self._voiced == 2:
            self._sounding, self._silent_ms = True, 0.0
            return SoundStarted(ends_at - 2 * self.window_ms / 1000)
        return None


@define
class OnsetDetector:
    """Listens to the person's microphone for its beginnings and ends.

    Args:
        load: makes the judge.
        window_ms: the length of its windows.
    """

    frames: Receiver[MicrophoneFrame]
    sounds: Sender[SoundStarted | SoundStopped]
    taps: Taps
    load: Callable[[], Awaitable[Judge]]
    window_ms: float

    async def run(self) -> None:
        """Listens until the frames end."""
        async with self.frames, self.sounds:
            judge = await self.load()
            onsets = Onsets(self.window_ms)
            unjudged_ms = 0.0
            async for frame in self.frames:
                now = trio.current_time()
                unjudged_ms += ms_of_bytes(len(frame.pcm))
                for window in judge.feed(frame.pcm):
                    unjudged_ms -= self.window_ms
                    happening = onsets.take(window.probability, now - unjudged_ms / 1000)
                    if happening is not None:
                        self.taps.publish(happening)
                        self.sounds.send_nowait(happening)
