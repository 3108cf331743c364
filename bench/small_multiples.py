"""A few plots below each other over one axis of time, as an SVG file that is read in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import attrs

__all__ = ["Line", "Marks", "Panel", "small_multiples"]

_WIDTH = 860
_LEFT = 250
_RIGHT = 20
_HEIGHT = 96
_ROW = 15
_GAP = 34
_TOP = 64

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2330;--faint:#5c6675;--line:#dfe3ea;--a:#2458b8;
--b:#9db4dd;--dot:#0f6b4f;--mark:#b3500a}
@media (prefers-color-scheme:dark){:root{--paper:#14171d;--ink:#e7eaf0;--faint:#9aa3b2;--line:#2f3540;
--a:#7da2f0;--b:#46587f;--dot:#5fd3aa;--mark:#f5a25f}}
text{font:12px system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--ink)}
.faint{fill:var(--faint);font-size:11px}.title{font-size:15px;font-weight:600}.name{font-weight:600}
.grid{stroke:var(--line);fill:none}.main{stroke:var(--a);fill:none;stroke-width:1.4}
.second{stroke:var(--b);fill:none;stroke-width:1.2}.dot{fill:var(--dot)}.mark{fill:var(--mark)}
"""


@attrs.frozen
class Line:
    """Values over time."""

    name: str
    points: Sequence[tuple[float, float]]
    """Minute and value."""
    second: bool = False
    """Drawn fainter."""


@attrs.frozen
class Panel:
    """One plot.

    Attributes:
        name: what it shows.
        unit: of its values.
        lines: what is drawn.
        dots: moments to look at, as minute and value.
        told: words below the name.
    """

    name: str
    unit: str
    lines: Sequence[Line]
    dots: Sequence[tuple[float, float]] = ()
    told: Sequence[str] = ()


@attrs.frozen
class Marks:
    """Kinds of things that happened, a row each.

    Attributes:
        name: of all.
        rows: by kind, the minutes.
    """

    name: str
    rows: Sequence[tuple[str, Sequence[float]]]


def small_multiples(title: str, subtitle: str, panels: Sequence[Panel | Marks], minutes: float) -> str:
    """The picture.

    Args:
        title: of it.
        subtitle: a line below.
        panels: from top to bottom.
        minutes: where the axis of time ends.
    """
    axis = _Axis(max(minutes, 0.1))
    y, drawn = float(_TOP), []
    for panel in panels:
        drawn.append(_panel(panel, y, axis) if isinstance(panel, Panel) else _marks(panel, y, axis))
        y += (_HEIGHT if isinstance(panel, Panel) else _ROW * len(panel.rows) + 8) + _GAP
    ticks = "".join(
        f'<text class="faint" x="{axis.x(at):.1f}" y="{y - _GAP + 18:.1f}" text-anchor="middle">{at:g}</text>'
        for at in axis.ticks
    )
    end = _WIDTH - _RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 14:.0f}" role="img" '
        f'aria-label="{escape(title)}: {escape(subtitle)}"><style>{_STYLE}</style>'
        f'<rect width="100%" height="100%" fill="var(--paper)"/>'
        f'<text class="title" x="16" y="26">{escape(title)}</text>'
        f'<text class="faint" x="16" y="44">{escape(subtitle)}</text>{"".join(drawn)}{ticks}'
        f'<text class="faint" x="{end}" y="{y + 2:.1f}" text-anchor="end">minutes</text></svg>\n'
    )


@attrs.frozen
class _Axis:
    minutes: float

    def x(self, minute: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * minute / self.minutes

    @property
    def ticks(self) -> list[float]:
        return _ticks(0, self.minutes, 8)


def _ticks(low: float, high: float, most: int) -> list[float]:
    rough = max(high - low, 1e-9) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _panel(panel: Panel, top: float, axis: _Axis) -> str:
    values = [value for line in panel.lines for _, value in line.points] or [0.0]
    low, high = min(values), max(values)
    room = max((high - low) * 0.08, 0.5)
    low, high = max(0.0, low - room), high + room

    def y(value: float) -> float:
        return top + _HEIGHT - _HEIGHT * (value - low) / (high - low)

    parts = [f'<text class="name" x="16" y="{top + 12:.1f}">{escape(panel.name)}</text>']
    parts.append(f'<text class="faint" x="16" y="{top + 28:.1f}">{escape(panel.unit)}</text>')
    parts += [
        f'<text class="faint" x="16" y="{top + 44 + 15 * row:.1f}">{escape(told)}</text>'
        for row, told in enumerate(panel.told)
    ]
    for tick in _ticks(low, high, 4):
        parts.append(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text class="faint" x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    parts += [_vertical(top, _HEIGHT, axis)]
    for line in sorted(panel.lines, key=lambda each: not each.second):
        way = " ".join(f"{axis.x(at):.1f},{y(value):.1f}" for at, value in line.points)
        kind = "second" if line.second else "main"
        parts.append(f'<polyline class="{kind}" points="{way}"><title>{escape(line.name)}</title></polyline>')
    parts += [
        f'<circle class="dot" cx="{axis.x(at):.1f}" cy="{y(value):.1f}" r="3"/>' for at, value in panel.dots
    ]
    return "".join(parts)


def _marks(marks: Marks, top: float, axis: _Axis) -> str:
    parts = [f'<text class="name" x="16" y="{top - 6:.1f}">{escape(marks.name)}</text>']
    height = _ROW * len(marks.rows)
    parts.append(_vertical(top, height, axis))
    for number, (name, minutes) in enumerate(marks.rows):
        y = top + _ROW * (number + 0.5)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="faint" x="16" y="{y + 4:.1f}">{escape(name)}</text>')
        parts += [f'<circle class="mark" cx="{axis.x(at):.1f}" cy="{y:.1f}" r="2.6"/>' for at in minutes]
    return "".join(parts)


def _vertical(top: float, height: float, axis: _Axis) -> str:
    lines = "".join(f"M{axis.x(at):.1f} {top:.1f}v{height:.1f}" for at in axis.ticks)
    return f'<path class="grid" d="{lines}"/>'
