"""Who is heard when, on a line of time, with brackets: as an SVG picture."""

from __future__ import annotations

import html
from collections.abc import Sequence

import attrs

__all__ = ["Bar", "Bracket", "Mark", "draw"]

WIDTH, LEFT, RIGHT = 900, 70, 20
ROWS = {"person": 86, "agent": 150, "held": 150}
COLOURS = {"person": "#b45309", "agent": "#1d4ed8", "held": "#c7d2fe"}
BAR = 26


@attrs.frozen
class Bar:
    """Somebody is heard, or held, from one time to another (s)."""

    who: str
    begins: float
    ends: float


@attrs.frozen
class Mark:
    """Something that the service says (s)."""

    at: float
    text: str


@attrs.frozen
class Bracket:
    """A time that is measured (s)."""

    text: str
    begins: float
    ends: float


def draw(lasts_s: float, bars: Sequence[Bar], marks: Sequence[Mark], brackets: Sequence[Bracket]) -> str:
    """The picture, as a block of its own."""

    def x(at: float) -> float:
        return round(LEFT + at / lasts_s * (WIDTH - LEFT - RIGHT), 1)

    height = 226 + 30 * len(brackets)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="arial,helvetica,sans-serif" font-size="14" fill="#111827">',
        *(
            f'<text x="0" y="{ROWS[who] + 18}">{who}</text>'
            f'<path d="M{LEFT} {ROWS[who] + BAR}H{WIDTH - RIGHT}" stroke="#d1d5db"/>'
            for who in ("person", "agent")
        ),
    ]
    for bar in bars:
        parts.append(
            f'<rect x="{x(bar.begins)}" y="{ROWS[bar.who]}" width="{round(x(bar.ends) - x(bar.begins), 1)}" '
            f'height="{BAR}" rx="4" fill="{COLOURS[bar.who]}"/>'
        )
        if bar.who == "held":
            parts.append(f'<text x="{x(bar.begins) + 8}" y="{ROWS["held"] + 18}">held</text>')
    for number, mark in enumerate(marks):
        above = 20 + 18 * (number % 3)
        anchor = "end" if x(mark.at) > WIDTH - 160 else "start"
        parts.append(
            f'<line x1="{x(mark.at)}" x2="{x(mark.at)}" y1="{above + 4}" y2="190" stroke="#6b7280" '
            f'stroke-dasharray="3 3"/><text x="{x(mark.at) - 4}" y="{above}" text-anchor="{anchor}" '
            f'font-size="12">{html.escape(mark.text)}</text>'
        )
    for number, bracket in enumerate(brackets):
        y = 206 + 30 * number
        parts.append(
            f'<path d="M{x(bracket.begins)} {y - 6}v12M{x(bracket.begins)} {y}H{x(bracket.ends)}'
            f'M{x(bracket.ends)} {y - 6}v12" stroke="#111827" fill="none" stroke-width="2"/>'
            f'<text x="{x(bracket.ends) + 8}" y="{y + 5}">{html.escape(bracket.text)}</text>'
        )
    parts.append(
        "".join(
            f'<text x="{x(second)}" y="{height - 6}" font-size="11" fill="#6b7280">{second} s</text>'
            for second in range(int(lasts_s) + 1)
        )
    )
    return "\n".join(["```svg", *parts, "</svg>", "```", ""])
