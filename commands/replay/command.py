"""The command itself: reads, runs again, compares, prints, draws."""

from __future__ import annotations

import argparse
import sys
from time import perf_counter

from attrs import evolve

from actors.record.reading import Record, RecordUnreadable, read_record
from channels.settings import HoldSettings, SpeakerSettings
from commands.replay.differences import Comparison, clock, compare, decisions_of
from commands.replay.rerun import Wiring, conversation_ends, rerun

__all__ = ["replay"]

SAME, DIFFERENT, UNREADABLE = 0, 1, 2


def replay(options: argparse.Namespace, wiring: Wiring) -> int:
    """Prints where today's code decides otherwise.

    Gives the exit code: 0 for nowhere, 1 for somewhere, 2 for a file that cannot be read.
    """
    try:
        record = read_record(options.file)
        if options.without_sound:
            record = evolve(record, header=evolve(record.header, sound=None))
        hold, speaker = _settings(options, record)
        started = perf_counter()
        again = rerun(record, wiring, hold, speaker, slack_s=options.tolerance_ms / 1000)
        took_s = perf_counter() - started
    except RecordUnreadable as error:
        print(error, file=sys.stderr)
        return UNREADABLE
    ends = conversation_ends(record)
    comparison = compare(
        decisions_of(record.entries, sounds=again.judged_anew),
        decisions_of(again.entries, sounds=again.judged_anew),
        tolerance_ms=options.tolerance_ms,
        until=ends,
    )
    _print(record, hold, speaker, comparison, options.tolerance_ms, took_s)
    return DIFFERENT if comparison.differences else SAME


def _settings(options: argparse.Namespace, record: Record) -> tuple[HoldSettings, SpeakerSettings]:
    hold, speaker = record.header.hold, record.header.speaker
    if options.hold_ms is not None:
        hold = evolve(hold, longest_ms=options.hold_ms)
    if options.linger_ms is not None:
        hold = evolve(hold, linger_ms=options.linger_ms)
    if options.queue_size_ms is not None:
        speaker = evolve(speaker, queue_size_ms=options.queue_size_ms)
    return hold, speaker


def _print(
    record: Record,
    hold: HoldSettings,
    speaker: SpeakerSettings,
    comparison: Comparison,
    tolerance_ms: float,
    took_s: float,
) -> None:
    header = record.header
    print(
        f"{record.path}: {clock(record.length_s)} of {header.started}, room {header.room}, "
        f"written by version {header.project}; replayed in {took_s:.1f} s"
    )
    for name, recorded, replayed in (("hold", header.hold, hold), ("speaker", header.speaker, speaker)):
        if recorded != replayed:
            print(f"  replayed with another {name}: {replayed}")
    for remark in record.remarks:
        print(f"  note: {remark}")
    for difference in comparison.differences:
        print(f"{clock(difference.at)}  {difference.text}")
    counts = ", ".join(f"{count} × {kind}" for kind, count in comparison.compared.items() if count)
    if comparison.differences:
        print(f"{len(comparison.differences)} differences; recorded were {counts or 'no decisions'}")
    else:
        print(
            f"no difference; recorded were {counts or 'no decisions'}; times agree within "
            f"{comparison.farthest_ms:.0f} ms (tolerance {tolerance_ms:.0f} ms)"
        )
