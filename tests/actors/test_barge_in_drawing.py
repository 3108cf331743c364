"""The documentation shows the tables that are in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.barge_in.drawing import draw_floor, draw_life

PAGE = Path(__file__).parents[2] / "docs" / "barge-in.md"


@pytest.mark.parametrize("picture", [draw_life(), draw_floor()], ids=["life", "floor"])
def test_the_page_shows_the_tables_as_they_are(picture: str) -> None:
    assert f"```mermaid\n{picture}\n```" in PAGE.read_text(), "see python -m actors.barge_in.drawing"
