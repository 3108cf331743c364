"""The soak's own arithmetic: what it calls growth is growth."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from bench.small_multiples import Line, Marks, Panel, small_multiples
from bench.soak_report import slope_of


def test_a_slope_is_told_for_a_hundred_rooms_and_two_odd_moments_do_not_move_it() -> None:
    points = [(rooms * 20.0, 23.0 + 0.2 * rooms) for rooms in range(9)]
    odd = [*points[:4], (75.0, 400.0), *points[4:], (170.0, 5.0)]
    assert round(slope_of(points).a_hundred, 6) == 1.0
    assert 0.9 < slope_of(odd).a_hundred < 1.1


def test_a_picture_is_an_svg_with_every_panel_and_its_unit() -> None:
    panels: list[Panel | Marks] = [
        Panel("memory", "MB", [Line("PSS", [(0, 180), (1, 190)])], [(1, 190)]),
        Marks("faults", [("a & b", [0.5])]),
    ]
    told = "".join(ET.fromstring(small_multiples("Held", "by a worker", panels, 1)).itertext())
    assert all(word in told for word in ("memory", "MB", "faults", "a & b", "minutes"))
