"""The figures of a run, as a table for a person and as JSON for a machine.

Percentiles are by nearest rank: each is a value that was measured. With ten tries, p95 is the maximum.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs

from bench.interruption import Conditions, Try

__all__ = ["Case", "Machine", "Report", "heading", "percentile"]

_PACKAGES = ("livekit", "trio", "trio-asyncio", "trio-websocket", "aiohttp")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def heading(title: str, load_before: float, more: str = "") -> str:
    """What stands above the figures: what was measured, on which machine, and what else it did.

    Args:
        title: of the run.
        load_before: as `os.getloadavg` gave it when the run began.
        more: of the conditions.
    """
    machine = f"{os.cpu_count() or 0} cores, {_processor()}"
    return (
        f"{title}\n\n  {'; '.join(filter(None, (machine, more)))}\n"
        f"  load {load_before:.1f} before the run, {os.getloadavg()[0]:.1f} after it"
    )


@attrs.frozen
class Machine:
    """What the figures were measured on."""

    processor: str
    cores: int
    system: str
    python: str
    livekit_server: str
    packages: dict[str, str]

    @classmethod
    def this(cls, livekit_server: str) -> Machine:
        """The machine that runs this."""
        return cls(
            processor=_processor(),
            cores=os.cpu_count() or 0,
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=platform.python_version(),
            livekit_server=livekit_server,
            packages={name: version(name) for name in _PACKAGES},
        )


@attrs.frozen
class Case:
    """All tries of one way to be interrupted."""

    name: str
    tries: tuple[Try, ...]
    late: tuple[Try, ...] = ()
    """Those in which a person spoke and the service decided late; their event is the person's first sound."""

    @property
    def counted(self) -> list[Try]:
        """Those in which there was something to interrupt."""
        return _counted(self.tries)

    def stale_ms(self, percent: float) -> float | None:
        """A percentile of the sound heard after the person's first sound; None without such tries."""
        late = _counted(self.late)
        return percentile([one.heard.reply_ms for one in late], percent) if late else None

    def silence_ms(self, percent: float) -> float:
        """A percentile of the time to silence."""
        return percentile([one.heard.silence_ms for one in self.counted], percent)

    def figures(self) -> dict[str, float]:
        """The figures of the table, in ms unless the name says otherwise."""
        heard = [one.heard for one in self.counted]
        return {
            "tries": len(self.tries),
            "tries_left_out": len(self.tries) - len(heard),
            "tries_at_cap": sum(one.at_cap for one in self.counted),
            "silence_p50": self.silence_ms(50),
            "silence_p95": self.silence_ms(95),
            "silence_max": self.silence_ms(100),
            "heard_after_event_p50": percentile([one.reply_ms for one in heard], 50),
            "heard_after_event_max": max(one.reply_ms for one in heard),
            "heard_after_first_silence_max": max(one.again_ms for one in heard),
            "late_sound_heard_p50": percentile([one.late_ms for one in heard], 50),
            "late_sound_heard_max": max(one.late_ms for one in heard),
            "tries_with_late_sound_heard": sum(one.late_ms > 0 for one in heard),
            "holes_before_event_p50": percentile([one.holes_ms for one in heard], 50),
            "holes_before_event_max": max(one.holes_ms for one in heard),
            "listener_stall_max": max(one.stall_ms for one in heard),
            "form_2_tries": len(_counted(self.late)),
            **{
                f"form_2_stale_{name}": stale
                for name, percent in (("p50", 50), ("max", 100))
                if (stale := self.stale_ms(percent)) is not None
            },
        }


@attrs.frozen
class Report:
    """One run."""

    machine: Machine
    conditions: Conditions
    seed: int
    load_before: float
    """Processes that wanted to run, over the minute before: what else the machine did."""
    load_after: float
    """The same over the run's last minute, the run included: some 0.7 if it was alone."""
    lasted_s: float
    floor: Case
    cases: tuple[tuple[Case, Case], ...]
    """For each pacing, the agent's case and the article's."""

    def as_json(self) -> dict[str, Any]:
        """Everything, each try included."""
        every = [self.floor, *(case for pair in self.cases for case in pair)]
        return {
            "machine": attrs.asdict(self.machine),
            "conditions": attrs.asdict(self.conditions),
            "seed": self.seed,
            "load_before": self.load_before,
            "load_after": self.load_after,
            "lasted_s": round(self.lasted_s, 1),
            "cases": {
                case.name: {
                    "figures": {name: round(value, 1) for name, value in case.figures().items()},
                    "silence_p50_in_floors": _ratio(case, self.floor),
                    "tries": [_rounded(attrs.asdict(one)) for one in case.tries],
                    "form_2_tries": [_rounded(attrs.asdict(one)) for one in case.late],
                }
                for case in every
            },
            "article_in_ours_p50": {ours.name: _ratio(theirs, ours) for ours, theirs in self.cases},
            "article_stale_in_ours_p50": {
                ours.name: _stale_ratio(theirs, ours) for ours, theirs in self.cases
            },
        }

    def as_text(self) -> str:
        """The table."""
        rows = [self._row(self.floor, None)]
        for ours, theirs in self.cases:
            rows += [self._row(ours, None), self._row(theirs, ours)]
        lines = [*_HEAD, *rows, "", *self._notes(), ""]
        return "\n".join([*self._title(), "", *lines])

    def _title(self) -> list[str]:
        machine, conditions = self.machine, self.conditions
        packages = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
        return [
            "Barge-in: from the service's event to silence at a listener in the room",
            "",
            f"  machine     {machine.cores} cores, {machine.processor}, {machine.system}; "
            f"load {self.load_before:.1f} before the run, {self.load_after:.1f} at its end",
            f"  versions    Python {machine.python}, {packages}, LiveKit server {machine.livekit_server}",
            f"  conditions  a reply of {conditions.reply_s:g} s in chunks of {conditions.chunk_ms} ms, "
            f"interrupted 1 to 3 s after its first sound; {conditions.late_ms} ms of it come even after that",
            f"  run         seed {self.seed}, {self.lasted_s:.0f} s",
        ]

    def _row(self, case: Case, ours: Case | None) -> str:
        figures = case.figures()
        cells = [
            f"{figures['tries'] - figures['tries_left_out']:.0f}",
            *(f"{figures[name]:,.0f}" for name in ("silence_p50", "silence_p95", "silence_max")),
            *(f"{figures[name]:,.0f}" for name in ("heard_after_event_p50", "heard_after_event_max")),
            f"{figures['heard_after_first_silence_max']:,.0f}",
            f"{figures['late_sound_heard_p50']:,.0f}",
            f"{figures['late_sound_heard_max']:,.0f}",
            f"{figures['holes_before_event_p50']:,.0f}",
            f"{figures['tries_at_cap']:.0f}",
            f"{_ratio(case, self.floor):.2f}",
            "" if ours is None else f"{_ratio(case, ours):.2f}",
            *("" if (stale := case.stale_ms(percent)) is None else f"{stale:,.0f}" for percent in (50, 100)),
            "" if ours is None or (ratio := _stale_ratio(case, ours)) is None else f"{ratio:.2f}",
        ]
        return f"  {case.name:<30}" + "".join(
            f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)
        )

    def _notes(self) -> list[str]:
        every = [self.floor, *(case for pair in self.cases for case in pair)]
        left_out = sum(len(case.tries) - len(case.counted) for case in every)
        stall = max(case.figures()["listener_stall_max"] for case in every)
        notes = [
            "  silence     from the sending of the event to the arrival of the reply's last audible 10 ms",
            "  heard       sound of the interrupted reply that came after the event; again: after a silence",
            "  late        sound heard that the service sent after the interruption; it should be 0",
            "  holes       silence in the reply between its first sound and the event",
            "  form 2      a person speaks; the service says so after 1.2 to 1.8 s, decides 1.5 to 2.1 s on",
            "              and sends the reply on until then: what is heard of it after their first sound"
            f" ({min((len(_counted(case.late)) for case in every[1:]), default=0)} tries or more)",
            f"  cap         tries that were not silent {self.conditions.cap_s:g} s after the event",
            f"  listener    the widest gap between two of its 10 ms frames around an event: {stall:.0f} ms",
        ]
        if left_out:
            notes.append(f"  left out    {left_out} tries: the reply had fallen silent before the event")
        return notes


_WIDTHS = (6, 9, 8, 8, 9, 8, 7, 8, 7, 8, 6, 9, 9, 9, 8, 8)
_HEAD = [
    "  times in ms                    tries   silence after event     heard after it  again      late sound"
    "   holes   cap       p50 ÷ p50 of    form 2: stale sound",
    "                                              p50     p95     max      p50     max    max     p50"
    "    max     p50           floor     ours      p50     max  ÷ ours",
]


def _counted(tries: Sequence[Try]) -> list[Try]:
    return [one for one in tries if one.heard.playing or one.heard.reply_ms]


def _stale_ratio(case: Case, other: Case) -> float | None:
    stale, of = case.stale_ms(50), other.stale_ms(50)
    return None if stale is None or of is None else round(stale / max(1.0, of), 2)


def _ratio(case: Case, other: Case) -> float:
    return round(case.silence_ms(50) / max(1.0, other.silence_ms(50)), 3)


def _rounded(content: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _rounded(value)
        if isinstance(value, dict)
        else round(value, 1)
        if isinstance(value, float)
        else value
        for name, value in content.items()
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or "processor unknown"
