"""The person's sound on its way to the service: taken at once, and sent as soon as a session allows.

`backlog` decides what waits and what is dropped. This module moves frames, no faster than the service takes
them, and reports how old they are when they leave: to the channel's counters each time, and to the taps once
late words are in time again.

The service documents that it drops anything beyond about a second of sound per second, with
`audio_rate_violation`; it was seen to accept three times real time for seven seconds without complaint. So
the backlog of a stall may follow at once, as long as it is less than that second. Once the service has said
that sound came too fast, nothing is sent ahead any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from actors.api.backlog import IN_TIME_FRAMES, Backlog
from channels.bounded import Receiver
from channels.happenings import SoundWasLate
from channels.messages import MicrophoneFrame
from channels.taps import Taps
from sound.pcm import ms_of_bytes

__all__ = ["AHEAD_MS", "JITTER_MS", "Pace", "Uplink"]

AHEAD_MS = 880.0
"""A second, less a frame of 50 ms and the jitter."""

JITTER_MS = 60.0
"""How much early a frame that has just arrived may go. Otherwise the small delays of a busy machine would add
up, and so would the rest of a stall when it is less than a frame."""


@define
class Pace:
    """Lets sound pass at its own speed, on average.

    In any span of t ms no more than t + `ahead_ms` + `JITTER_MS` + one frame of sound passes.
    """

    ahead_ms: float = AHEAD_MS
    _due: float = field(default=float("-inf"), init=False)
    """When the next frame would be sent at exactly real time, in seconds."""

    def pass_at(self, now: float, *, waited: bool = False) -> float:
        """When the next frame may be sent (seconds; not before `now`).

        Args:
            now: in seconds.
            waited: whether it is one that had to wait.
        """
        ahead_ms = self.ahead_ms + (0.0 if waited else JITTER_MS)
        return max(now, self._due - ahead_ms / 1000)

    def room_ms(self, now: float) -> float:
        """How much may be sent at once; negative if even the next frame has to wait."""
        return self.ahead_ms + JITTER_MS - max(0.0, self._due - now) * 1000

    def passed(self, now: float, ms: float) -> None:
        """A frame of `ms` has been sent, however long the sending took."""
        self._due = max(now, self._due) + ms / 1000

    def slow_down(self, now: float, ms: float) -> None:
        """The service complains that sound comes too fast: nothing passes for `ms`, then only real time."""
        self.ahead_ms = 0.0
        self._due = now + (ms + JITTER_MS) / 1000


LATE_S = 0.25
"""A person does not notice an answer that is this much later."""

FRESH_S = 0.05
"""A frame no older than this has not waited for the one before it."""

TELLS_AGAIN_S = 10.0
"""How often to report words that stay late."""


@define
class _Lateness:
    """While words are late: since when, how late, and what had been dropped before."""

    since: float
    silence_before_ms: float
    speech_before_ms: float
    worst_s: float = 0.0


@define
class Uplink:
    """Moves sound.

    Args:
        frames: of the person, through all sessions.
        taps: are told of sound that was late.
    """

    frames: Receiver[MicrophoneFrame]
    taps: Taps
    pace: Pace = field(factory=Pace)
    _backlog: Backlog = field(init=False)
    _news: trio.Event = field(factory=trio.Event, init=False)
    _over: bool = field(default=False, init=False)
    _sending: bool = field(default=False, init=False)
    _held_up: bool = field(default=True, init=False)
    """Whether new sound has to wait."""
    _lateness: _Lateness | None = field(default=None, init=False)
    _in_time: tuple[float, float] = field(default=(0.0, 0.0), init=False)
    """What had been dropped of silence and of speech when sound was in time (ms)."""

    def __attrs_post_init__(self) -> None:
        self._backlog = Backlog(self.frames.channel.capacity)

    async def take(self) -> None:
        """Takes frames, in a session or not, until they end."""
        async for frame in self.frames:
            now = trio.current_time()
            self._backlog.take(frame, now)
            # Also while the network takes nothing: then it is more than may follow at once.
            self._held_up = self._held_up or self._backlog.ms > self.pace.room_ms(now)
            if self._held_up:
                self._backlog.shorten(now, sending=self._sending)
            self._account()
            self._wake()
        self._over = True
        self._wake()

    async def send(self, put: Callable[[bytes], Awaitable[None]]) -> None:
        """Sends in a session that is ready, until the frames end; what cannot be sent any more then is not.

        Args:
            put: puts a piece of sound on the wire.
        """
        self._sending = True
        try:
            while True:
                while not self._backlog:
                    if self._over:
                        return
                    await self._news.wait()
                now = trio.current_time()
                at = self.pace.pass_at(now, waited=now - self._backlog.since >= FRESH_S)
                self._held_up = at > now
                if self._held_up:
                    if self._over:
                        return
                    self._backlog.shorten(now, sending=True)
                    await trio.sleep_until(at)
                    continue  # anew: it may have been told to slow down meanwhile
                frame = self._backlog.next()
                await put(frame.pcm)
                now = trio.current_time()
                self.pace.passed(now, ms_of_bytes(len(frame.pcm)))
                self._account(now - frame.at)
                self._note_age(now - frame.at, now)
        finally:
            self._sending, self._held_up = False, True

    def forget(self) -> None:
        """The call is over: what was said in it does not belong to the next."""
        self._backlog.clear()
        self._lateness = None

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    def _account(self, age_s: float | None = None) -> None:
        self.frames.account(kept_back=len(self._backlog), dropped=self._backlog.dropped, age_s=age_s)

    def _note_age(self, age_s: float, now: float) -> None:
        backlog, late = self._backlog, self._lateness
        if age_s <= LATE_S and late is None:
            self._in_time = backlog.silence_dropped_ms, backlog.speech_dropped_ms
            return
        if late is None:
            late = self._lateness = _Lateness(now, *self._in_time)
        late.worst_s = max(late.worst_s, age_s)
        waits = age_s > LATE_S or len(backlog) > IN_TIME_FRAMES
        if waits and now < late.since + TELLS_AGAIN_S:
            return
        self._lateness, self._in_time = None, (backlog.silence_dropped_ms, backlog.speech_dropped_ms)
        self.taps.publish(
            SoundWasLate(
                round(late.worst_s * 1000),
                round(backlog.silence_dropped_ms - late.silence_before_ms),
                round(backlog.speech_dropped_ms - late.speech_before_ms),
                now,
            )
        )
