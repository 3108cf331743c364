"""The inputs of the deciding actors in a recorded call: each with its time, in order."""

from __future__ import annotations

from collections.abc import Iterator

from actors.record.notes import PlayingRun, RecordLine, ReplyAudioRun
from actors.record.reading import Record
from actors.record.sound_reference import stand_in
from channels.happenings import Happening
from channels.messages import Playing
from channels.seen import On
from channels.wire.events import ReplyAudio

__all__ = ["FROM_OUTSIDE", "conversation_ends", "fed_to_controller", "happened", "knows_what_was_seen"]

FROM_OUTSIDE = frozenset({On.SERVICE, On.SOUNDS, On.ROOM, On.FILLS, On.TOOLS})
"""What the controller is fed with whatever it decides."""

TO_ITSELF = frozenset({On.REPORTS, On.DEADLINE})
"""What follows from its decisions: how the speaker obeyed, and its own deadlines."""


def knows_what_was_seen(record: Record) -> bool:
    """Whether inputs have the times at which they were taken, not those at which they were sent."""
    return record.header.version >= 2


def conversation_ends(record: Record) -> float:
    """Until when the deciding actors were at work, as far as the record tells (s).

    On the way out, others still are. Of a record that breaks off, the last runs are missing.
    """
    at_work = (*FROM_OUTSIDE, On.ORDERS, On.REPORTS)
    return max((entry.t for entry in record.entries if entry.on in at_work), default=0.0)


def fed_to_controller(record: Record, channels: frozenset[On] = FROM_OUTSIDE | TO_ITSELF) -> list[RecordLine]:
    """Its inputs that came on those channels, one entry each."""
    fed = [each for entry in record.entries if entry.on in channels for each in _each(entry)]
    return sorted(fed, key=lambda entry: entry.t)


def happened(record: Record, *kinds: type[Happening]) -> list[RecordLine]:
    """The happenings of some kinds."""
    return [entry for entry in record.entries if entry.on == On.HAPPENINGS and isinstance(entry.what, kinds)]


def _each(entry: RecordLine) -> Iterator[RecordLine]:
    match entry.what:
        case ReplyAudioRun(reply_id=reply_id, pieces=pieces):
            for at, length, audible_from in pieces:
                yield RecordLine(at, entry.on, ReplyAudio(stand_in(length, audible_from), reply_id))
        case PlayingRun(reply_id=reply_id, audible=audible, reports=reports):
            for at, played_ms in reports:
                yield RecordLine(at, entry.on, Playing(reply_id, played_ms, audible))
        case _:
            yield entry
