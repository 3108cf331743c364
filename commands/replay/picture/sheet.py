"""The rows of a call below one another: as pieces of a page, or as one SVG file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from attrs import frozen

from commands.replay.differences import Difference, clock
from commands.replay.picture.row import WIDTH, Row
from commands.replay.picture.scene import Scene
from commands.replay.picture.style import COLOURS, DEFINITIONS, PICTURE

__all__ = ["Drawn", "draw_rows", "svg_sheet"]

LEAST_SCALE_MS = 1000.0
"""A backlog of some 100 ms is none to speak of, and shall not look like one."""


@frozen
class Drawn:
    """A row, drawn."""

    elements: str
    height: float
    title: str
    told: str


def draw_rows(
    scene: Scene,
    replayed: Scene | None,
    differences: Sequence[Difference],
    *,
    seconds: int,
    width: float = WIDTH,
) -> Iterator[Drawn]:
    """The rows of a call, so many seconds each."""
    most_ms = max([LEAST_SCALE_MS, *(ms for _, ms in scene.backlog)])
    numbered = list(enumerate(differences, start=1))
    for number in range(max(1, math.ceil(scene.length / seconds))):
        begins = number * seconds
        row = Row(scene, replayed, numbered, begins, begins + seconds, most_ms, width)
        elements, height = row.draw()
        yield Drawn(elements, height, f"{clock(begins)} to {clock(begins + seconds)}", row.told())


def svg_sheet(
    title: str, scene: Scene, replayed: Scene | None, differences: Sequence[Difference], *, seconds: int = 30
) -> str:
    """A whole call as one SVG document."""
    y, rows = 34.0, []
    for drawn in draw_rows(scene, replayed, differences, seconds=seconds):
        rows.append(f'<g transform="translate(0 {y:.1f})"><title>{drawn.title}</title>{drawn.elements}</g>')
        y += drawn.height + 14
    told = f"{len(scene.turns)} turns, {len(scene.cuts)} cuts, {len(scene.holds)} holds"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {y:.0f}" role="img" '
        f'aria-labelledby="title desc"><title id="title">{escape(title)}</title><desc id="desc">{told}</desc>'
        f"<style>{COLOURS}{PICTURE}</style>{DEFINITIONS}"
        f'<rect width="100%" height="100%" fill="var(--paper)"/>'
        f'<text x="8" y="20" style="font-size:14px;font-weight:600">{escape(title)}</text>'
        f"{''.join(rows)}</svg>\n"
    )
