"""Playout: what is still to be played, what is in the room's queue, and what has been played.
No I/O, no clock.

All sound of the living replies is kept here, in the order of their first sound. Only some tens of ms of it
are also in the room's queue, which drains in real time. So arithmetic tells what has been played: what was
put into the queue, minus what cannot have left it yet. Emptying the queue, for a cut or a hold, only moves
positions back, so nothing that is still to be heard can be lost.

A voice neither stops nor resumes with a click. When the queue is emptied, its next few ms are queued again,
fading to silence; a voice that resumes fades in at the same place. So each sample there is heard twice, with
weights that add up to one, and counted once, when the voice resumes.

Times are seconds on whatever clock the caller reads; places are bytes of PCM16 mono 24 kHz from a reply's
first sample.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Sequence

import numpy as np
from attrs import define, evolve, field, frozen

from channels.messages import CutShort, Finished, Playing, SpeakerReport
from sound.pcm import SAMPLE_BYTES, bytes_of_ms, ms_of_bytes

__all__ = ["AUDIBLE", "FADE_MS", "FRAME_MS", "LEAD_MS", "LONGEST_BACKLOG_MS", "Frame", "Playout"]

FRAME_MS = 20
"""Sound goes to the room in frames of this length at least: two of the SDK's 10 ms steps."""

RUN_MS = 40
"""Once a reply is heard, it goes there in frames of this length, where that much of it waits: each costs as
much as a shorter one. Until then, frames of `FRAME_MS` tell sooner that it is heard."""

LEAD_MS = 40
"""A reply starts when this much of it has arrived, so that real-time sound does not stutter."""

FADE_MS = 10
"""A voice fades over one step of the SDK: too long to click, too short to be heard as sound."""

FARTHEST_BACK_MS = 1500
"""A held voice goes back to the beginning of its word, and no word is longer than this."""

LONGEST_BACKLOG_MS = 10 * 60 * 1000
"""Ten minutes of sound, 29 MB: no spoken reply is that long. Anything beyond it is not kept."""

KEPT_MS = 10_000
"""How much played sound is kept: a voice goes back by `FARTHEST_BACK_MS` plus what was queued."""

AUDIBLE = 300
"""Of 32767, -41 dB: the silence that replies begin with is digital or nearly so; speech is far louder."""

_REFILLED_WITHIN_S = 0.005
"""So long after the queue was emptied for softer sound, that sound may not have landed yet."""

_STEP_BYTES = bytes_of_ms(10)
"""The SDK plays whole steps of 10 ms; the rest of a shorter one would wait for the next sound."""
_STEP_S = ms_of_bytes(_STEP_BYTES) / 1000


@frozen
class Frame:
    """Sound for the room's queue, with the reply that it belongs to."""

    reply_id: str
    pcm: bytes
    rises: bool = False
    """It begins in silence."""
    falls: bool = False
    """It ends in silence, and takes no place in its reply."""
    gain: float = 1.0
    """How loud it is."""
    gain_before: float = 1.0
    """How loud what was heard before it was."""

    def padded(self) -> bytes:
        """The sound as it is heard, with silence up to a whole step of the SDK."""
        pcm = _at_gain(self.pcm, self.gain_before, self.gain)
        pcm = _rising(pcm) if self.rises else pcm
        pcm = _falling(pcm) if self.falls else pcm
        return pcm + bytes(-len(pcm) % _STEP_BYTES)


@frozen
class _InQueue:
    frame: Frame
    begin: int
    end: int
    starts_at: float = math.inf
    """Infinity until it has landed there."""
    ends_at: float = math.inf

    @property
    def reply_id(self) -> str:
        return self.frame.reply_id

    steps: bool = False
    """It leaves in steps of 10 ms, the first one at once."""

    def _gone(self, now: float) -> int:
        # A tiny margin, so that 20 ms are 20 ms of sound despite float rounding.
        since = max(0.0, now - self.starts_at) * 1000 + 1e-6
        return _STEP_BYTES * (int(since / ms_of_bytes(_STEP_BYTES)) + 1) if self.steps else bytes_of_ms(since)

    def sounds(self, now: float) -> bool:
        """Whether it is being heard at `now`."""
        return self.starts_at <= now < self.ends_at

    def still_to_come(self, now: float) -> bytes:
        """What of it has not left the queue by `now`, as it would be heard."""
        length = len(self.frame.pcm) // SAMPLE_BYTES * SAMPLE_BYTES
        return self.frame.padded()[min(length, self._gone(now)) : length]

    def left(self, now: float) -> int:
        """The place up to which it has left the queue by `now`, in whole samples."""
        if now >= self.ends_at:
            return self.end
        return min(self.end, self.begin + self._gone(now))


@define
class _Reply:
    sound: bytearray = field(factory=bytearray)
    """What is kept of it."""
    gone: int = 0
    """The place where that begins: what was played long before is not kept."""
    full: bool = False
    """More came than can be kept: the rest of it is left out."""
    given: int = 0
    """Up to where it went into the room's queue."""
    played: int = 0
    """The farthest place that has left the room's queue."""
    audible_from: int | None = None
    """Bytes of silence that it begins with; None while it has been all silence."""
    underruns: int = 0
    """How often the room's queue ran dry in the middle of it."""
    finished: bool = False
    under_way: bool = False
    """Enough of it has arrived to be played; False again when its sound runs out."""
    resting: bool = True
    """Nothing of it is meant to be in the queue: it has not begun, or it was held."""
    given_back: int = 0
    """Up to where it goes into the queue again at once, which was emptied to be filled with softer sound."""

    def waiting(self) -> int:
        return self.gone + len(self.sound) - self.given

    def between(self, begin: int, end: int) -> bytes:
        """The sound from one place to another."""
        return bytes(self.sound[max(0, begin - self.gone) : max(0, end - self.gone)])

    def forget(self) -> None:
        """Forgets what was played long ago."""
        over = self.played - self.gone - bytes_of_ms(KEPT_MS)
        if over > bytes_of_ms(KEPT_MS):
            del self.sound[:over]
            self.gone += over

    def exhausted(self) -> bool:
        return self.finished and self.waiting() < SAMPLE_BYTES

    def next_length(self, queue_ms: int) -> int:
        """How much of it is given next (bytes), in a queue that holds so much."""
        run = bytes_of_ms(RUN_MS)
        # In a shorter queue, room for a run would leave too little to be played until it comes.
        if self.heard and self.waiting() >= run and queue_ms >= 2 * RUN_MS:
            return run
        whole = SAMPLE_BYTES if self.finished else _STEP_BYTES
        return min(bytes_of_ms(FRAME_MS), self.waiting() // whole * whole)

    @property
    def heard(self) -> bool:
        """Whether some of it that is no silence has been played."""
        return self.audible_from is not None and self.played > self.audible_from

    def ready(self) -> bool:
        wanted = bytes_of_ms(FRAME_MS if self.under_way else LEAD_MS)
        if self.given < self.given_back:
            wanted = _STEP_BYTES
        return not self.exhausted() and (self.finished or self.waiting() >= wanted)

    def progress(self, reply_id: str) -> Playing:
        return Playing(reply_id, ms_of_bytes(self.played), self.heard)

    def end(self, reply_id: str) -> Finished:
        return Finished(reply_id, ms_of_bytes(self.played), self.underruns)


@define
class Playout:
    """The bookkeeping of one speaker.

    Args:
        queue_ms: how much sound the room's queue may hold.
    """

    queue_ms: int
    held: bool = field(default=False, init=False)
    _fade: Frame | None = field(default=None, init=False)
    """A fade that is heard next in any case: the end of what was just taken back."""
    _fade_until: float = field(default=float("-inf"), init=False)
    """Later, it would be a sound of its own."""
    _rises: bool = field(default=False, init=False)
    """The voice was silent in the middle of a reply."""
    _ducked: float = field(default=1.0, init=False)
    """How loud the voice is while it is lowered."""
    _ducked_until: float = field(default=float("-inf"), init=False)
    _ducked_from: tuple[_InQueue, float] | None = field(default=None, init=False)
    """What was heard when the queue was emptied to be filled with softer sound, and when that was."""
    _gain: float = field(default=1.0, init=False)
    """How loud what was given last is."""
    _replies: dict[str, _Reply] = field(factory=dict, init=False)
    _queue: deque[_InQueue] = field(factory=deque, init=False)
    _dry_at: float = field(default=float("-inf"), init=False)
    """When the room's queue has nothing more to play."""

    def play(self, reply_id: str, pcm: bytes) -> CutShort | None:
        """Appends sound to a reply.

        Returns:
            That the reply is longer than what may wait, once: it ends where there was no more room.
        """
        reply = self._replies.setdefault(reply_id, _Reply())
        if reply.full:
            return None
        room = bytes_of_ms(LONGEST_BACKLOG_MS) - sum(each.waiting() for each in self._replies.values())
        reply.sound += pcm[: max(0, room)]
        reply.full = len(pcm) > room
        return CutShort(reply_id, ms_of_bytes(reply.given + reply.waiting())) if reply.full else None

    def finish(self, reply_id: str) -> None:
        """No more sound of this reply is expected."""
        self._replies.setdefault(reply_id, _Reply()).finished = True

    def cut(self, reply_id: str, now: float) -> tuple[bool, Finished]:
        """Forgets a reply.

        Returns:
            Whether the room's queue must be emptied at once, and how much of the reply was played.
        """
        in_queue = [item for item in self._queue if item.ends_at > now]
        heard = self._just_heard(in_queue, now)
        to_be_heard = in_queue if heard is None or heard in in_queue else [heard, *in_queue]
        stops = any(item.reply_id == reply_id and not item.frame.falls for item in to_be_heard)
        if stops and heard is not None:
            self._take_back(now)
            # A reply that is playing before it resumes where it was.
            is_heard = heard.reply_id == reply_id
            self._fall(heard, now, unless=not is_heard)
            if is_heard:
                self._be_loud()
        reply = self._replies.pop(reply_id, _Reply())
        return stops, reply.end(reply_id)

    def hold(self, now: float) -> bool:
        """Plays nothing more until `resume`, but for a short fade.

        Returns:
            Whether the room's queue must be emptied at once.
        """
        if self.held:
            return False
        self.held = True
        self._be_loud()
        in_queue = [item for item in self._queue if item.ends_at > now]
        heard = self._just_heard(in_queue, now)
        if heard is None or all(item.frame.falls for item in in_queue or [heard]):
            return False
        self._take_back(now)
        if heard not in in_queue and (reply := self._replies.get(heard.reply_id)):
            reply.under_way, reply.resting = False, True
        self._fall(heard, now)
        return True

    def duck(self, db: float, now: float, until: float) -> bool:
        """Lowers the voice by so much until then, what lies in the room's queue included.

        Returns:
            Whether the room's queue must be emptied at once, to be filled with the same sound.
        """
        self._ducked, self._ducked_until = 10 ** (-db / 20), until
        in_queue = [item for item in self._queue if item.ends_at > now]
        if any(item.frame.falls or item.frame.rises for item in in_queue):
            return False  # what is on its way between silence and sound is left alone
        if all(item.frame.gain < 1.0 for item in in_queue):
            return False
        if not self._comes_back(in_queue[0], now):
            return False
        self._take_back(now)
        self._gain = in_queue[0].frame.gain
        self._ducked_from = in_queue[0], now
        for item in in_queue:
            if reply := self._replies.get(item.reply_id):
                reply.under_way, reply.resting = True, False  # it goes on at once
                reply.given_back = item.end
        return True

    def resume(self, reply_id: str | None, from_ms: float) -> None:
        """Resumes, a little before the place where a reply was held if requested."""
        self.held, self._rises = False, True
        reply = self._replies.get(reply_id) if reply_id is not None else None
        if reply is not None:
            back = reply.given - min(bytes_of_ms(max(0.0, from_ms)), reply.given)
            if back <= bytes_of_ms(FARTHEST_BACK_MS):
                reply.given = max(reply.gone, reply.given - back)

    def settle(self, now: float) -> list[SpeakerReport]:
        """What has been played by `now`, and which replies are through."""
        reports: list[SpeakerReport] = []
        while self._queue and self._queue[0].ends_at <= now:
            item = self._queue.popleft()
            reply = self._replies.get(item.reply_id)
            if reply is not None:
                reply.played = max(reply.played, item.end)
                reply.forget()
                reports.append(reply.progress(item.reply_id))
        in_queue = {item.reply_id for item in self._queue}
        for reply_id, reply in list(self._replies.items()):
            if reply.exhausted() and reply_id not in in_queue:
                del self._replies[reply_id]
                reports.append(reply.end(reply_id))
        return reports

    def next_frame(self, now: float) -> Frame | None:
        """The next sound for the room's queue; None if there is none, or no room for it yet.

        `landed` must follow before the next one is asked for.
        """
        if self._fade is not None:
            fade, self._fade = self._fade, None
            if now <= self._fade_until:
                self._queue.append(_InQueue(fade, 0, 0))
                return fade
        head = None if self.held else self._head()
        if head is None or now < self._room_at(head[1]):
            return None
        reply_id, reply = head
        if not reply.ready():
            reply.under_way = reply.under_way and self._dry_at > now
            return None
        if not reply.resting and now > self._dry_at + 0.001:
            reply.underruns += 1
        return self._give(reply_id, reply, now)

    def landed(self, frame: Frame, now: float, steps_from: float | None = None) -> bool:
        """The frame is in the room's queue: only then does it begin to play.

        Args:
            frame: the latest one that was given.
            now: the time (s).
            steps_from: as `Loudspeaker.steps_from`.

        Returns:
            False if it comes too late to be heard, and the room's queue must be emptied of it.
        """
        if frame.falls and now > self._fade_until:
            self._queue.pop()
            return False
        starts_at = max(now, self._dry_at)
        if steps_from is not None and now >= self._dry_at:
            starts_at = steps_from + math.ceil((now - steps_from) / _STEP_S) * _STEP_S
        self._dry_at = starts_at + ms_of_bytes(len(frame.padded())) / 1000
        if self._queue and self._queue[-1].starts_at == math.inf:
            self._queue.append(
                evolve(
                    self._queue.pop(), starts_at=starts_at, ends_at=self._dry_at, steps=steps_from is not None
                )
            )
        return True

    def next_change(self, now: float) -> float | None:
        """When to look again even if nothing new comes; None: only when something does."""
        times = [item.ends_at for item in self._queue][:1]
        head = self._head()
        if head is not None and not self.held and (head[1].ready() or head[1].under_way):
            times.append(self._room_at(head[1]) if head[1].ready() else self._dry_at)
        return max(now, min(times)) if times else None

    def played_ms(self, reply_id: str, now: float) -> float:
        """How much of a reply that is not over has been played by `now`."""
        reply = self._replies.get(reply_id)
        if reply is None:
            return 0.0
        left = [item.left(now) for item in self._queue if item.reply_id == reply_id and item.starts_at <= now]
        return ms_of_bytes(max([reply.played, *left]))

    def backlog_ms(self) -> float:
        """How much sound waits outside the room's queue."""
        return ms_of_bytes(sum(reply.waiting() for reply in self._replies.values()))

    def queued_ms(self, now: float) -> float:
        """How much sound lies in the room's queue."""
        return max(0.0, self._dry_at - now) * 1000

    def _give(self, reply_id: str, reply: _Reply, now: float) -> Frame:
        reply.under_way, reply.resting = True, False
        begin = reply.given
        length = reply.next_length(self.queue_ms)
        before, self._gain = self._gain, self._ducked if max(now, self._dry_at) < self._ducked_until else 1.0
        frame = Frame(
            reply_id,
            reply.between(begin, begin + length),
            rises=self._rises and begin > 0,
            gain=self._gain,
            gain_before=before,
        )
        self._rises = False
        if reply.audible_from is None and (offset := _first_audible(frame.pcm)) is not None:
            reply.audible_from = begin + offset
        reply.given = begin + length
        self._queue.append(_InQueue(frame, begin, reply.given))
        return frame

    def _head(self) -> tuple[str, _Reply] | None:
        # Replies follow one another: the controller finishes one before it lets the next begin.
        return next(((key, reply) for key, reply in self._replies.items() if not reply.exhausted()), None)

    def _room_at(self, reply: _Reply) -> float:
        length_ms = max(FRAME_MS, ms_of_bytes(reply.next_length(self.queue_ms)))
        return self._dry_at - (self.queue_ms - length_ms) / 1000 - 1e-9

    def _just_heard(self, in_queue: Sequence[_InQueue], now: float) -> _InQueue | None:
        """What is being heard; or was until just now, when the queue was emptied to be filled again."""
        before, emptied_at = self._ducked_from or (None, float("-inf"))
        if now - emptied_at < _REFILLED_WITHIN_S and not any(item.sounds(now) for item in in_queue):
            return before
        return in_queue[0] if in_queue else None

    def _comes_back(self, heard: _InQueue, now: float) -> bool:
        """Whether enough would wait, if the queue were emptied now, to be given again at once."""
        reply = self._replies.get(heard.reply_id)
        if reply is None or reply.finished:
            return True
        left = heard.left(now) if heard.starts_at <= now else heard.begin
        return reply.given + reply.waiting() - left >= bytes_of_ms(FRAME_MS)

    def _be_loud(self) -> None:
        """Whatever is heard next is as loud as ever."""
        self._ducked_until, self._gain = float("-inf"), 1.0

    def _take_back(self, now: float) -> None:
        for item in reversed(self._queue):
            reply = self._replies.get(item.reply_id)
            if reply is not None and item.begin < item.end:
                reply.given = item.begin
                if item.starts_at <= now:
                    reply.given = item.left(now)
                    reply.played = max(reply.played, reply.given)
                reply.under_way, reply.resting, reply.given_back = False, True, 0
        self._queue.clear()
        self._dry_at, self._ducked_from = now, None

    def _fall(self, item: _InQueue, now: float, *, unless: bool = False) -> None:
        """Fades what was being heard when it was taken back, so that it does not click."""
        if not item.sounds(now):
            return
        rest = item.still_to_come(now)
        if not item.frame.falls:
            if unless:
                return
            # Of a reply that has played out meanwhile, nothing comes after it.
            reply = self._replies.get(item.reply_id, _Reply())
            after = reply.between(item.end, item.end + bytes_of_ms(FADE_MS))
            rest = (rest + _at_gain(after, item.frame.gain, item.frame.gain))[: bytes_of_ms(FADE_MS)]
        if len(rest) >= SAMPLE_BYTES:
            self._fade = Frame(item.reply_id, rest, falls=True)
            self._fade_until = now + FADE_MS / 1000


def _first_audible(pcm: bytes) -> int | None:
    """Bytes before the first sample that a person could hear."""
    return next(
        (2 * at for at, sample in enumerate(memoryview(pcm).cast("h")) if abs(sample) > AUDIBLE), None
    )


def _at_gain(pcm: bytes, before: float, gain: float) -> bytes:
    """The sound at a gain, which it reaches from the one before within the length of a fade."""
    if before == gain == 1.0:
        return pcm
    samples = np.frombuffer(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES], "<i2").astype(np.float32)
    gains = np.full(len(samples), gain, np.float32)
    faded = gains[: bytes_of_ms(FADE_MS) // SAMPLE_BYTES]
    faded[:] = np.linspace(before, gain, len(faded) + 1, dtype=np.float32)[1:]
    lowered: bytes = np.rint(samples * gains).astype("<i2").tobytes()
    return lowered + pcm[len(lowered) :]


def _rising(pcm: bytes) -> bytes:
    """The sound out of silence, within the length of a fade."""
    faded = min(len(pcm), bytes_of_ms(FADE_MS)) // SAMPLE_BYTES * SAMPLE_BYTES
    samples = memoryview(pcm[:faded]).cast("h")
    rising = array("h", [sample * (at + 1) // len(samples) for at, sample in enumerate(samples)])
    return rising.tobytes() + pcm[faded:]


def _falling(pcm: bytes) -> bytes:
    """The sound, from its own loudness to silence."""
    samples = memoryview(pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES]).cast("h")
    count = len(samples)
    return array("h", [sample * (count - 1 - at) // count for at, sample in enumerate(samples)]).tobytes()
