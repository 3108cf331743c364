"""Playout: what is still to be played, what lies in the room's queue, and what has been played. Pure.

The backlog of the replies lives here, in the order of their first sound; only some tens of ms of it
lie in the room's queue, which drains in real time. So what has been played is known by arithmetic:
what was given to the queue less what cannot have left it yet. A cut empties the queue; sound of other
replies that lay in it goes back to the head of the backlog, so that nothing of theirs is lost.

Times are seconds on whatever clock the caller reads; lengths of sound are bytes of PCM16 mono 24 kHz.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from channels.errors import BacklogOverflow
from channels.messages import Finished, Playing, SpeakerReport
from channels.sound import SAMPLE_BYTES, bytes_of_ms, ms_of_bytes

__all__ = ["AUDIBLE", "FRAME_MS", "LEAD_MS", "LONGEST_BACKLOG_MS", "Frame", "Playout"]

FRAME_MS = 20
"""Sound goes to the room in frames of this length: two of the SDK's 10 ms steps."""

LEAD_MS = 40
"""A reply starts when this much of it is here, so that sound which comes in real time does not stutter."""

LONGEST_BACKLOG_MS = 10 * 60 * 1000
"""Ten minutes of sound, 29 MB: no spoken reply is that long, and beyond it something is wrong."""

AUDIBLE = 300
"""Of 32767, -41 dB: the silence that replies begin with is digital or nearly so; speech is far louder."""

_STEP_BYTES = bytes_of_ms(10)
"""The SDK plays whole steps of 10 ms; the rest of a shorter one would wait for the next sound."""


@frozen
class Frame:
    """Sound for the room's queue, with the reply it belongs to."""

    reply_id: str
    pcm: bytes

    def padded(self) -> bytes:
        """The sound, with silence up to a whole step of the SDK."""
        return self.pcm + bytes(-len(self.pcm) % _STEP_BYTES)


@frozen
class _InQueue:
    frame: Frame
    starts_at: float
    ends_at: float


@define
class _Reply:
    backlog: bytearray = field(factory=bytearray)
    given: int = 0
    """Bytes that went into the room's queue and were not taken back."""
    played: int = 0
    """Bytes that have left the room's queue."""
    audible_from: int | None = None
    """Bytes of silence that it begins with; None while it has been all silence."""
    finished: bool = False
    under_way: bool = False
    """It has lead enough to be played; False again when its sound runs out."""

    def exhausted(self) -> bool:
        return self.finished and len(self.backlog) < SAMPLE_BYTES

    def audible_after(self, played: int) -> bool:
        return self.audible_from is not None and played > self.audible_from

    def ready(self) -> bool:
        wanted = FRAME_MS if self.under_way else LEAD_MS
        return not self.exhausted() and (self.finished or len(self.backlog) >= bytes_of_ms(wanted))


@define
class Playout:
    """The account of one speaker.

    Args:
        queue_ms: how much sound the room's queue may hold.
    """

    queue_ms: int
    underruns: int = field(default=0, init=False)
    """How often the room's queue ran dry in the middle of a reply."""
    _replies: dict[str, _Reply] = field(factory=dict, init=False)
    _queue: deque[_InQueue] = field(factory=deque, init=False)
    _dry_at: float = field(default=float("-inf"), init=False)
    """When the room's queue has nothing more to play."""

    def play(self, reply_id: str, pcm: bytes) -> None:
        """Appends sound to a reply's backlog.

        Raises:
            BacklogOverflow: the backlogs together are longer than `LONGEST_BACKLOG_MS`.
        """
        reply = self._replies.setdefault(reply_id, _Reply())
        reply.backlog += pcm
        if self.backlog_ms() > LONGEST_BACKLOG_MS:
            raise BacklogOverflow(
                f"the service is {LONGEST_BACKLOG_MS // 60_000} minutes of sound ahead of what was played",
                "ask for shorter replies in the system prompt",
            )

    def finish(self, reply_id: str) -> None:
        """No more sound of this reply is expected."""
        self._replies.setdefault(reply_id, _Reply()).finished = True

    def cut(self, reply_id: str, now: float) -> tuple[bool, Finished]:
        """Forgets a reply.

        Returns:
            Whether the room's queue must be emptied at once, and how much of the reply was played.
        """
        reply = self._replies.pop(reply_id, _Reply())
        played = reply.played + self._playing(reply_id, now)
        lies_in_queue = any(item.frame.reply_id == reply_id and item.ends_at > now for item in self._queue)
        if lies_in_queue:
            self._take_back(now)
        return lies_in_queue, Finished(reply_id, ms_of_bytes(played))

    def settle(self, now: float) -> list[SpeakerReport]:
        """What has been played by `now`, and which replies are through."""
        reports: list[SpeakerReport] = []
        while self._queue and self._queue[0].ends_at <= now:
            frame = self._queue.popleft().frame
            reply = self._replies.get(frame.reply_id)
            if reply is not None:
                reply.played += len(frame.pcm)
                reports.append(self._progress(frame.reply_id, reply, reply.played))
        for reply_id, reply in list(self._replies.items()):
            if reply.exhausted() and reply.played >= reply.given:
                del self._replies[reply_id]
                reports.append(Finished(reply_id, ms_of_bytes(reply.played)))
        return reports

    def next_frame(self, now: float) -> Frame | None:
        """The next sound for the room's queue; None if there is none, or no room for it yet.

        What it returns counts as being in the queue from `now` on.
        """
        head = self._head()
        if head is None or now < self._room_at():
            return None
        reply_id, reply = head
        if not reply.ready():
            reply.under_way = reply.under_way and self._dry_at > now
            return None
        if reply.given and now > self._dry_at + 0.001:
            self.underruns += 1
        reply.under_way = True
        length = min(bytes_of_ms(FRAME_MS), len(reply.backlog) // SAMPLE_BYTES * SAMPLE_BYTES)
        frame = Frame(reply_id, bytes(reply.backlog[:length]))
        del reply.backlog[:length]
        if reply.audible_from is None and (offset := _first_audible(frame.pcm)) is not None:
            reply.audible_from = reply.given + offset
        reply.given += length
        starts_at = max(now, self._dry_at)
        self._dry_at = starts_at + ms_of_bytes(len(frame.padded())) / 1000
        self._queue.append(_InQueue(frame, starts_at, self._dry_at))
        return frame

    def next_change(self, now: float) -> float | None:
        """When to look again even if nothing new comes; None: only when something does."""
        times = [item.ends_at for item in self._queue][:1]
        head = self._head()
        if head is not None and (head[1].ready() or head[1].under_way):
            times.append(self._room_at() if head[1].ready() else self._dry_at)
        return max(now, min(times)) if times else None

    def played_ms(self, reply_id: str, now: float) -> float:
        """How much of a reply that is not over has been played by `now`."""
        reply = self._replies.get(reply_id)
        return ms_of_bytes(reply.played + self._playing(reply_id, now)) if reply else 0.0

    def backlog_ms(self) -> float:
        """How much sound waits outside the room's queue."""
        return ms_of_bytes(sum(len(reply.backlog) for reply in self._replies.values()))

    def queued_ms(self, now: float) -> float:
        """How much sound lies in the room's queue."""
        return max(0.0, self._dry_at - now) * 1000

    def _progress(self, reply_id: str, reply: _Reply, played: int) -> Playing:
        return Playing(reply_id, ms_of_bytes(played), reply.audible_after(played))

    def _head(self) -> tuple[str, _Reply] | None:
        # Replies follow one another: the controller finishes one before it lets the next begin.
        return next(((key, reply) for key, reply in self._replies.items() if not reply.exhausted()), None)

    def _room_at(self) -> float:
        return self._dry_at - (self.queue_ms - FRAME_MS) / 1000 - 1e-9

    def _playing(self, reply_id: str, now: float) -> int:
        """Bytes of a reply that have left the queue by `now` and are not settled yet."""
        return sum(_left(item, now) for item in self._queue if item.frame.reply_id == reply_id)

    def _take_back(self, now: float) -> None:
        for item in reversed(self._queue):
            reply = self._replies.get(item.frame.reply_id)
            if reply is None:
                continue
            left = _left(item, now)
            reply.played += left
            unplayed = item.frame.pcm[left:]
            reply.given -= len(unplayed)
            reply.backlog[:0] = unplayed
        self._queue.clear()
        self._dry_at = now


def _first_audible(pcm: bytes) -> int | None:
    """Bytes before the first sample that a person could hear."""
    return next(
        (2 * at for at, sample in enumerate(memoryview(pcm).cast("h")) if abs(sample) > AUDIBLE), None
    )


def _left(item: _InQueue, now: float) -> int:
    """Bytes of an item that have left the queue by `now`, in whole samples."""
    if now >= item.ends_at:
        return len(item.frame.pcm)
    return min(len(item.frame.pcm), bytes_of_ms(max(0.0, now - item.starts_at) * 1000))
