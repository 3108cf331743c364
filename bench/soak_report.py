"""What a worker holds over time, seen from outside, and whether that grows with the rooms it has served.

Levels say little: models are loaded, caches fill, and an allocator keeps what it was given back. So only
moments without a room are compared, those of the second half, and what counts is the slope over the rooms
served: the median of the slopes of all pairs (Theil and Sen), which a few odd moments do not move.
"""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from bench.cost import cpu_s, memory_mb
from bench.fleet import lags, quantile_ms
from bench.scraping import get, read_samples, value

__all__ = ["HELD", "Held", "Sample", "Slope", "Watcher", "slope_of", "table", "verdict"]

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1024**2


@attrs.frozen
class Sample:
    """What was seen at a moment."""

    minute: float
    """Of the run."""
    rooms: float
    """That are being served."""
    served: float
    """So far."""
    faults: int
    """So far."""
    pss_mb: float
    rss_mb: float
    descriptors: float
    threads: float
    tasks: float
    cpu_share: float
    """Of one core, since the sample before."""
    lag_p99_ms: float
    """Since the moment without a room before; the upper end of its bucket."""
    quiet: bool
    """No room is there, nor has been for a while."""


@attrs.frozen
class Held:
    """Something that a worker holds."""

    name: str
    unit: str
    of: Callable[[Sample], float]
    most_a_hundred: float
    """From this slope on, it grows."""


HELD = (
    Held("memory", "MB", lambda one: one.pss_mb, 2.0),
    Held("descriptors", "open", lambda one: one.descriptors, 1.0),
    Held("threads", "alive", lambda one: one.threads, 1.0),
    Held("tasks", "alive", lambda one: one.tasks, 1.0),
)
"""2 MB a hundred rooms are 20 kB a room: a day of a hundred calls an hour is 48 MB."""


@attrs.frozen
class Slope:
    """So much more for each hundred rooms."""

    a_hundred: float
    low: float
    """A quarter of the pairs rise less steeply than this,"""
    high: float
    """and a quarter more than this."""
    points: int


def slope_of(points: Sequence[tuple[float, float]]) -> Slope:
    """The slope of values over rooms.

    Args:
        points: rooms served so far, and the value.
    """
    slopes = sorted(
        (y2 - y1) / (x2 - x1) * 100 for (x1, y1), (x2, y2) in itertools.combinations(points, 2) if x1 != x2
    )
    if not slopes:
        return Slope(math.nan, math.nan, math.nan, len(points))
    quarter = len(slopes) // 4
    return Slope(statistics.median(slopes), slopes[quarter], slopes[-1 - quarter], len(points))


@attrs.define
class Watcher:
    """Looks at a process.

    Args:
        pid: of it.
        url: of its health endpoints.
        faults: how many there were so far.
    """

    pid: int
    url: str
    faults: Callable[[], int]
    samples: list[Sample] = attrs.field(factory=list, init=False)
    began: float = attrs.field(factory=time.monotonic, init=False)
    _cpu: tuple[float, float] | None = attrs.field(default=None, init=False)
    _lags: Mapping[float, float] = attrs.field(factory=dict, init=False)

    async def look(self, *, quiet: bool = False) -> Sample:
        """Takes a sample.

        Raises:
            OSError: it does not answer, or has ended.
            TooSlowError: it does not answer in time.
        """
        told = read_samples((await get(self.url, "/metrics")).body)
        now, used = time.monotonic(), cpu_s(self.pid)
        before, self._cpu = self._cpu or (now - 1, used), (now, used)
        counts = await lags(self.url)
        lag = quantile_ms(dict(self._lags), counts, 0.99)
        if quiet:
            self._lags = counts
        process = Path(f"/proc/{self.pid}")
        sample = Sample(
            minute=(now - self.began) / 60,
            rooms=value(told, "voice_agent_rooms"),
            served=value(told, "voice_agent_jobs_accepted_total"),
            faults=self.faults(),
            pss_mb=memory_mb(self.pid),
            rss_mb=int((process / "statm").read_text().split()[1]) * _PAGE_MB,
            descriptors=len(os.listdir(process / "fd")),
            threads=len(os.listdir(process / "task")),
            tasks=value(told, "voice_agent_tasks"),
            cpu_share=(used - before[1]) / max(0.001, now - before[0]),
            lag_p99_ms=lag,
            quiet=quiet,
        )
        self.samples.append(sample)
        return sample


def second_half(samples: Sequence[Sample]) -> list[Sample]:
    """The moments without a room of the second half of the rooms, or of all if there are few."""
    quiet = [one for one in samples if one.quiet]
    half = max((one.served for one in quiet), default=0) / 2
    late = [one for one in quiet if one.served >= half]
    return late if len(late) > 2 else quiet


def slopes(samples: Sequence[Sample]) -> dict[str, Slope]:
    """Of each thing that is held."""
    late = second_half(samples)
    return {held.name: slope_of([(one.served, held.of(one)) for one in late]) for held in HELD}


def table(samples: Sequence[Sample]) -> list[str]:
    """The moments without a room."""
    lines = [
        f"  {'minute':>6}{'rooms so far':>14}{'faults':>8}{'PSS MB':>8}{'RSS MB':>8}{'descriptors':>13}"
        f"{'threads':>9}{'tasks':>7}{'lag p99, ms':>13}"
    ]
    lines += [
        f"  {one.minute:>6.1f}{one.served:>14.0f}{one.faults:>8}{one.pss_mb:>8.1f}{one.rss_mb:>8.1f}"
        f"{one.descriptors:>13.0f}{one.threads:>9.0f}{one.tasks:>7.0f}{one.lag_p99_ms:>13.0f}"
        for one in samples
        if one.quiet
    ]
    return lines


def verdict(samples: Sequence[Sample]) -> list[str]:
    """What grows, and what does not."""
    late = second_half(samples)
    if len(late) < 3:
        return ["  too short for a verdict: it takes three moments without a room"]
    lines = [f"  for each hundred rooms, from room {late[0].served:.0f} to {late[-1].served:.0f}"]
    for held in HELD:
        slope = slopes(samples)[held.name]
        grows = slope.a_hundred > held.most_a_hundred
        lines.append(
            f"  {held.name:<12}{slope.a_hundred:>+8.2f} {held.unit:<6} half of the pairs {slope.low:+.2f} to "
            f"{slope.high:+.2f}{'   GROWS' if grows else ''}"
        )
    return lines
