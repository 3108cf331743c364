"""OnsetDetector: notices when the person makes a sound, from their microphone.

In: the sound that goes to the service, 10 ms at a time while somebody could interrupt (`mic`), and what the
speaker plays. Out: `SoundRose` when something is louder than the room's noise, `SoundStarted` and
`SoundStopped` when it is a voice, with the times at which the sound was heard, however late it got here. A
voice activity detector judges the sound; where the microphone hears the agent's own voice, it judges what an
echo canceller leaves. The controller lowers and holds the voice on these events, and the taps measure with
them. Nothing waits for this actor; without it the conversation goes on, and only the service decides.

It judges the original sound. The service does not get the canceller's output, since a canceller changes the
person's voice. Nor does the detector get the raised level that the service needs: measured (`bench.level`),
that notices no onset sooner, mistakes music and people nearby for the person more often, and no canceller can
follow a changing gain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import trio
from attrs import define, field

from actors.onset.echo import EchoWatch
from actors.onset.played import PlayedSound
from actors.onset.rises import Rises
from actors.onset.sounds import Onsets
from channels.bounded import Receiver, Sender, Watched
from channels.happenings import SoundRose, SoundStarted, SoundStopped
from channels.messages import HeardWindow, MicrophoneFrame, Sounding
from channels.ports import EchoCanceller
from channels.seen import Seen
from channels.settings import BargeInSettings
from channels.taps import Taps
from sound.arrival import ArrivalClock
from sound.pcm import SAMPLE_BYTES, ms_of_bytes

__all__ = ["Judge", "Judged", "OnsetDetector"]

SHORTEST_WAY_S = 0.08
"""An echo takes at least this long from the room's queue to the microphone's frame: over loopback twice the
75 ms of one way were measured. So much nearer the two streams are brought for the canceller and the watch,
neither of which looks further back than half a second."""


ECHO_LASTS_MS = 1500.0
"""An echo that comes as late as any that is looked for (`EchoWatch`), and a second of a room that rings."""


class Judged(Protocol):
    """A window of sound, judged."""

    @property
    def probability(self) -> float:
        """The probability that somebody speaks in it, 0 to 1."""

    @property
    def pcm(self) -> bytes:
        """The sound: PCM16 mono 16 kHz."""


class Judge(Protocol):
    """A voice activity detector."""

    def feed(self, pcm: bytes) -> Sequence[Judged]:
        """Takes PCM16 mono 24 kHz of any length; gives the windows that are complete."""


@define
class OnsetDetector:
    """Listens to the person's microphone for its beginnings and ends.

    Args:
        seen: sees each judged frame, for a record.
        load: makes the voice activity detector.
        window_ms: the length of its windows.
        settings: when a sound counts.
        canceller: takes the agent's voice out of the microphone's; None leaves it in.
        windows: each window, for whoever judges short sounds; None: nobody does.
    """

    frames: Receiver[MicrophoneFrame]
    playing: Receiver[Sounding]
    sounds: Sender[SoundRose | SoundStarted | SoundStopped]
    taps: Taps
    seen: Watched[Seen]
    load: Callable[[], Awaitable[Judge]]
    window_ms: float
    settings: BargeInSettings = field(factory=BargeInSettings)
    canceller: EchoCanceller | None = None
    windows: Sender[HeardWindow] | None = None
    _clock: ArrivalClock = field(factory=ArrivalClock, init=False)
    _played: PlayedSound = field(factory=PlayedSound, init=False)
    _watch: EchoWatch = field(factory=EchoWatch, init=False)
    _silent_ms: float = field(default=0.0, init=False)
    """For how long the agent has played nothing."""

    async def run(self) -> None:
        """Listens until the frames end."""
        async with self.frames, self.playing, self.sounds, self.windows or contextlib.nullcontext():
            judge = await self.load()
            onsets, rises = Onsets(self.window_ms, self.settings), Rises()
            unjudged_ms = 0.0
            async for frame in self.frames:
                self.seen.show(Seen(frame.at, self.frames.channel.name, frame))
                pcm = frame.untouched
                if self.canceller is not None:
                    pcm = self._without_echo(self.canceller, pcm, frame.at, person=onsets.sounding)
                if rises.take(pcm, voice=onsets.sounding):
                    self._tell(SoundRose(frame.at))
                unjudged_ms += ms_of_bytes(len(pcm))
                for window in judge.feed(pcm):
                    unjudged_ms -= self.window_ms
                    at = frame.at - unjudged_ms / 1000
                    happening = onsets.take(window.probability, at)
                    if happening is not None:
                        self._tell(happening)
                    if self.windows is not None:
                        pause_ms = onsets.silent_ms if onsets.sounding else None
                        self._show(HeardWindow(window.pcm, at, window.probability, pause_ms))

    def _show(self, window: HeardWindow) -> None:
        assert self.windows is not None
        try:
            self.windows.send_nowait(window)
        except trio.BrokenResourceError:
            self.windows = None  # whoever judged them is gone

    def _tell(self, happening: SoundRose | SoundStarted | SoundStopped) -> None:
        self.taps.publish(happening)
        self.sounds.send_nowait(happening)

    def _without_echo(self, canceller: EchoCanceller, heard: bytes, at: float, *, person: bool) -> bytes:
        for sounding in self.playing.receive_waiting():
            self._played.take(sounding)
        samples = len(heard) // SAMPLE_BYTES
        ended_at = self._clock.take(samples, at)
        played = self._played.before(ended_at - SHORTEST_WAY_S, samples)
        self._silent_ms = 0.0 if any(played) else self._silent_ms + ms_of_bytes(len(played))
        if self._silent_ms > ECHO_LASTS_MS:
            return heard  # no echo is left, and the canceller costs most of what this actor does
        self._watch.take(played, heard, person=person)
        # While there is no echo it has nothing to learn; once there is one, it finds it in half a second.
        return canceller.clean(heard, played) if self._watch.echo else heard
