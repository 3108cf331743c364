"""Whether today's code makes the recorded decisions, and if not, what would have happened.

Two questions, one after the other. Does each decision come out the same when it is made again from the same
inputs? That comparison is exact. Only if one differs, or if other settings are requested, is the conversation
run again in virtual time, since one different decision changes everything after it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from actors.record.notes import Ended, RecordLine
from actors.record.reading import Record
from channels.settings import BargeInSettings, SpeakerSettings
from commands.replay.differences import SOUNDS, Comparison, compare, decisions_of
from commands.replay.fed import conversation_ends, knows_what_was_seen
from commands.replay.hearing import hear_again
from commands.replay.judging import judge
from commands.replay.rerun import rerun
from commands.wired import Wiring

__all__ = ["Verdict", "judge_again"]

EXACT_MS = 1.0
"""Times are recorded to the microsecond, and lengths to the millisecond."""

UNWRITTEN_S = 1.5
"""Of a record that breaks off, so much of what was fed may be missing, beside decisions that it led to."""


@frozen
class Verdict:
    """What came out."""

    comparison: Comparison
    rerun: Sequence[RecordLine] | None
    """The conversation as it would have been, if it would have been another."""
    remarks: Sequence[str]
    """What a person should know about it, one line each."""


def judge_again(
    record: Record, wiring: Wiring, barge_in: BargeInSettings, speaker: SpeakerSettings, tolerance_ms: float
) -> Verdict:
    """Compares the record with what today's code makes of it.

    Args:
        record: of a conversation.
        wiring: of a room.
        barge_in: settings to judge with.
        speaker: likewise.
        tolerance_ms: how far two times may be apart, where a real run is beside one in virtual time.

    Raises:
        RecordUnreadable: the sound file that belongs to it cannot be read.
    """
    header, until = record.header, conversation_ends(record)
    whole = any(isinstance(entry.what, Ended) for entry in record.entries)
    if not whole:
        until -= UNWRITTEN_S
    heard = hear_again(record, wiring) if header.sound else None
    sounds = _of_sounds(record, heard, tolerance_ms, until)
    others = heard if sounds.differences else None

    def run(barge_in: BargeInSettings, speaker: SpeakerSettings) -> list[RecordLine]:
        return rerun(record, wiring, barge_in, speaker, slack_s=tolerance_ms / 1000, sounds=others)

    def known(entries: Sequence[RecordLine]) -> Sequence[RecordLine]:
        return entries if whole else [entry for entry in entries if entry.t <= until]

    def differ(one: Sequence[RecordLine], other: Sequence[RecordLine], within_ms: float) -> Comparison:
        return compare(decisions_of(one), decisions_of(other), tolerance_ms=within_ms, until=until)

    if (barge_in, speaker) != (header.barge_in, header.speaker):
        # Both in virtual time: what this machine delayed then is no difference.
        before, after = run(header.barge_in, header.speaker), run(barge_in, speaker)
        comparison = differ(before, after, EXACT_MS) + sounds
        late = len(differ(record.entries, before, tolerance_ms).differences)
        return Verdict(comparison, after if comparison.differences else None, _lateness(late))
    remarks: list[str] = []
    if knows_what_was_seen(record):
        exact = differ(known(record.entries), known(judge(record, barge_in)), EXACT_MS)
        if not (exact.differences or sounds.differences):
            return Verdict(exact + sounds, None, [])
    else:
        exact = None
        remarks.append(
            "this older record does not say when its inputs were taken, so anything that was late may differ"
        )
    again = run(barge_in, speaker)
    comparison = differ(record.entries, again, tolerance_ms)
    if exact is not None and not comparison.differences:
        comparison = exact  # other decisions, of which nothing came that anybody would notice
    comparison += sounds
    return Verdict(comparison, again if comparison.differences else None, remarks)


def _of_sounds(
    record: Record, heard: Sequence[RecordLine] | None, within_ms: float, until: float
) -> Comparison:
    """What the onset detector decided, if its sound was kept: measured anew, so never to the sample."""
    if heard is None:
        return Comparison([], {}, 0.0)
    one, other = (decisions_of(each, SOUNDS) for each in (record.entries, heard))
    return compare(one, other, tolerance_ms=within_ms, until=until)


def _lateness(late: int) -> list[str]:
    """What virtual time alone changes."""
    if not late:
        return []
    return [f"in virtual time the recorded settings decide differently {late} times, because nothing is late"]
