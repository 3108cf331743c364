"""One setting names a path of its own for each room, and no room's name leads out of its folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import SettingsError
from channels.named_paths import PathNames

NOON = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)


def test_a_path_names_the_room_and_the_time() -> None:
    names = PathNames("tea room", NOON)
    assert names.path("calls/{room}/{time}.jsonl") == Path("calls/tea room/20261126T120000Z.jsonl")
    assert names.path(Path("call.jsonl")) == Path("call.jsonl")


def test_a_name_that_stands_for_nothing_is_said() -> None:
    with pytest.raises(SettingsError, match=r"has \{rom\} in it.*\{room\} and \{time\}"):
        PathNames("tea", NOON).path("{rom}.jsonl")


@pytest.mark.parametrize(
    "name", ["..", ".", "../../etc/passwd", "/etc/passwd", "a\0b", "x" * 5000, "é" * 256]
)
def test_the_name_of_a_room_leads_nowhere_else(name: str) -> None:
    path = PathNames(name, NOON).path("calls/{room}.jsonl")
    assert path.parent == Path("calls")
    assert len(path.name.encode()) < 150
    assert "\0" not in path.name
    assert PathNames(name, NOON).path("calls/{room}/x").parts[1] not in ("..", ".")


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_two_rooms_never_share_a_path(one: str, other: str) -> None:
    paths = {PathNames(name, NOON).path("calls/{room}.jsonl") for name in (one, other)}
    assert (len(paths) == 1) == (one == other)
    assert all(path.parent == Path("calls") for path in paths)
