"""The command itself: reads, runs again, compares, prints, draws."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from time import perf_counter

from attrs import asdict, evolve

from actors.record.reading import Record, RecordUnreadable, read_record
from channels.printable import complain, tell
from channels.settings import BargeInSettings, SpeakerSettings
from commands.replay.differences import clock
from commands.replay.picture import html_page, scene_of, svg_sheet
from commands.replay.verdict import Verdict, judge_again
from commands.wired import Wiring

__all__ = ["replay"]

SAME, DIFFERENT, UNREADABLE = 0, 1, 2


def replay(options: argparse.Namespace, wiring: Wiring) -> int:
    """Prints where today's code decides differently.

    Gives the exit code: 0 for nowhere, 1 for somewhere, 2 for a file that cannot be read.
    """
    try:
        record = read_record(options.file)
        if not options.listen_again:
            record = evolve(record, header=evolve(record.header, sound=None))
        barge_in, speaker = _settings(options, record)
        started = perf_counter()
        verdict = judge_again(record, wiring, barge_in, speaker, options.tolerance_ms)
        took_s = perf_counter() - started
    except RecordUnreadable as error:
        complain(error)
        return UNREADABLE
    _print(record, barge_in, speaker, verdict, took_s)
    picture = options.picture or record.path.with_suffix(".html")
    try:
        _draw(picture, record, verdict)
    except OSError as error:
        complain(f"--picture {picture} cannot be written ({error.strerror}); name another file")
        return UNREADABLE
    tell(f"picture: {picture}")
    return DIFFERENT if verdict.comparison.differences else SAME


def _settings(options: argparse.Namespace, record: Record) -> tuple[BargeInSettings, SpeakerSettings]:
    barge_in, speaker = record.header.barge_in, record.header.speaker
    if options.hold_ms is not None:
        barge_in = evolve(barge_in, longest_hold_ms=options.hold_ms)
    if options.linger_ms is not None:
        barge_in = evolve(barge_in, linger_ms=options.linger_ms)
    if options.queue_size_ms is not None:
        speaker = evolve(speaker, queue_size_ms=options.queue_size_ms)
    return barge_in, speaker


def _draw(picture: Path, record: Record, verdict: Verdict) -> None:
    scene = scene_of(record.entries, until=record.length_s)
    different = verdict.comparison.differences
    replayed = scene_of(verdict.rerun, until=record.length_s) if verdict.rerun is not None else None
    header = record.header
    title = f"{record.path.name}: {clock(record.length_s)[:-4]} in room {header.room}"
    if picture.suffix == ".svg":
        content = svg_sheet(title, scene, replayed, different)
    else:
        told = f"recorded {header.started} by version {header.project}"
        result = _count(len(different)) if different else "The replay makes the same decisions."
        content = html_page(title, told, result, scene, replayed, different)
    # It contains what was said, so it is as private as the record.
    descriptor = os.open(picture, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        if sys.platform != "win32":
            os.fchmod(descriptor, 0o600)  # one of an earlier run may have been let open
        file.write(content)


def _changes(recorded: BargeInSettings | SpeakerSettings, replayed: BargeInSettings | SpeakerSettings) -> str:
    after = asdict(replayed)
    changed = [(name, was, after[name]) for name, was in asdict(recorded).items() if was != after[name]]
    return ", ".join(f"{name} {now} instead of {was}" for name, was, now in changed)


def _print(
    record: Record,
    barge_in: BargeInSettings,
    speaker: SpeakerSettings,
    verdict: Verdict,
    took_s: float,
) -> None:
    header, comparison = record.header, verdict.comparison
    tell(
        f"{record.path}: {clock(record.length_s)} from {header.started}, room {header.room}, "
        f"recorded by version {header.project}; replayed in {took_s:.1f} s"
    )
    both = (("barge_in", header.barge_in, barge_in), ("speaker", header.speaker, speaker))
    for name, recorded, replayed in both:
        if recorded != replayed:
            tell(f"  replayed with another {name}: {_changes(recorded, replayed)}")
    for remark in (*record.remarks, *verdict.remarks):
        tell(f"  note: {remark}")
    for difference in comparison.differences:
        tell(f"{clock(difference.at)}  {difference.text}")
    counts = ", ".join(f"{count} × {kind}" for kind, count in comparison.compared.items() if count)
    if comparison.differences:
        tell(f"{_count(len(comparison.differences))}; the record has {counts or 'no decisions'}")
    else:
        tell(
            f"no difference; the record has {counts or 'no decisions'}; times agree within "
            f"{comparison.farthest_ms:.0f} ms"
        )


def _count(differences: int) -> str:
    return "1 difference" if differences == 1 else f"{differences} differences"
