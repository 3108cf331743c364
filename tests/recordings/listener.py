"""What a listener in the room hears of each reply: which parts of it, when, and what twice.

The replies of the scripts are glides, so that any 10 ms of one are like no others. A piece that the room
hears is looked for where the voice was last, or else anywhere. The fade at the end of a held or cut one is
known by the signs of its samples; it is not taken for heard, since the voice goes on at its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from sound.pcm import SAMPLE_BYTES, bytes_of_ms, ms_of_bytes
from tests.simulation.marked_sound import is_faded_from, is_lowered_from, is_risen_from, unpadded

__all__ = ["Part", "ReplyHeard", "replies_heard"]

_KNOWN_BYTES = bytes_of_ms(10)
_ROUNDED_BYTES = 4 * SAMPLE_BYTES
"""The agent and the room each cut times down to whole samples."""


@frozen
class Part:
    """A part of a reply, heard in one go."""

    at: float
    """When it began, in s."""
    from_ms: float
    to_ms: float

    @property
    def ends(self) -> float:
        """When it had been heard, in s."""
        return self.at + (self.to_ms - self.from_ms) / 1000


@frozen
class ReplyHeard:
    """What was heard of one reply."""

    length_ms: float
    """What the service sent of it."""
    parts: Sequence[Part] = field(factory=list)

    @property
    def heard_ms(self) -> float:
        """How long it was heard, what was heard twice counted twice."""
        return sum(part.to_ms - part.from_ms for part in self.parts)

    @property
    def missed_ms(self) -> float:
        """What of it was never heard."""
        return self.missed_before_ms(self.length_ms)

    def missed_before_ms(self, place_ms: float) -> float:
        """What of it, up to a place in it, was never heard."""
        reached = missed = 0.0
        for part in sorted(self.parts, key=lambda part: part.from_ms):
            missed += max(0.0, min(part.from_ms, place_ms) - reached)
            reached = max(reached, min(part.to_ms, place_ms))
        return missed + max(0.0, place_ms - reached)

    def after_ms(self, moment: float) -> float:
        """How long it was heard after that moment."""
        return sum(1000 * max(0.0, part.ends - max(part.at, moment)) for part in self.parts)

    @property
    def begins(self) -> float:
        """When it was heard first, in s."""
        return min((part.at for part in self.parts), default=float("inf"))

    @property
    def ends(self) -> float:
        """When it was heard last, in s."""
        return max((part.ends for part in self.parts), default=float("-inf"))


def replies_heard(
    pieces: Iterable[tuple[float, bytes]], sent: Mapping[str, bytes]
) -> Mapping[str, ReplyHeard]:
    """What was heard of each reply.

    Args:
        pieces: of the agent's track, with the times at which they were heard.
        sent: the whole sound of each reply.
    """
    parts: dict[str, list[Part]] = {reply_id: [] for reply_id in sent}
    last, place = "", 0
    for at, pcm in pieces:
        pcm = unpadded(pcm)
        if not any(pcm):
            continue
        found = _find(pcm, sent, last, place)
        if found is None:
            assert _is_fade(pcm, sent, last, place), f"at {at:.3f} s something is heard that is of no reply"
            continue
        last, begins = found
        place = begins + len(pcm)
        parts[last].append(Part(at, ms_of_bytes(begins), ms_of_bytes(place)))
    return {
        reply_id: ReplyHeard(ms_of_bytes(len(sound)), parts[reply_id]) for reply_id, sound in sent.items()
    }


def _find(pcm: bytes, sent: Mapping[str, bytes], last: str, place: int) -> tuple[str, int] | None:
    if last and sent[last].startswith(pcm, place):
        return last, place
    for reply_id, sound in sent.items():
        begins = sound.find(pcm[:_KNOWN_BYTES])
        if begins >= 0 and (len(pcm) >= _KNOWN_BYTES or begins == 0):
            return reply_id, begins
        # Where a voice goes on it rises, and is itself again after that.
        if reply_id == last and (soft := _lowered_at(pcm, sound, place)) is not None:
            return reply_id, soft
        begins = sound.find(pcm[_KNOWN_BYTES:]) - _KNOWN_BYTES if len(pcm) > _KNOWN_BYTES else -1
        if begins >= 0 and is_risen_from(pcm, sound[begins:]):
            return reply_id, begins
    return None


def _lowered_at(pcm: bytes, sound: bytes, place: int) -> int | None:
    """Where the voice goes on more softly, give or take a few samples."""
    near = range(max(0, place - _ROUNDED_BYTES), place + _ROUNDED_BYTES + 1, SAMPLE_BYTES)
    return next((at for at in near if is_lowered_from(pcm, sound[at : at + len(pcm)])), None)


def _is_fade(pcm: bytes, sent: Mapping[str, bytes], last: str, place: int) -> bool:
    near = range(max(0, place - _ROUNDED_BYTES), place + _ROUNDED_BYTES + 1, SAMPLE_BYTES)
    return any(is_faded_from(pcm, sent[last][at:]) for at in near if last) or any(
        is_faded_from(pcm, sound) for sound in sent.values()
    )
