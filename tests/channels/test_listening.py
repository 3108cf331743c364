"""Whom to listen to, as people write it."""

from __future__ import annotations

import pytest

from channels.settings import ListenMode, ListenSettings
from channels.settings.listening import Listen
from channels.settings.rules import Malformed


@pytest.mark.parametrize(
    ("written", "mode", "identity"),
    [
        ("first", ListenMode.FIRST, None),
        ("active", ListenMode.ACTIVE, None),
        (" mix ", ListenMode.MIX, None),
        ("identity:alice", ListenMode.IDENTITY, "alice"),
        ("identity: sip:+49 123", ListenMode.IDENTITY, "sip:+49 123"),
    ],
)
def test_every_way_to_listen_can_be_written(written: str, mode: ListenMode, identity: str | None) -> None:
    settings = ListenSettings(Listen().parse(written))
    assert (settings.mode, settings.identity) == (mode, identity)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("actve", "did you mean 'active'?"),
        ("MIX", "did you mean 'mix'?"),
        ("identiy:bob", "did you mean 'identity:NAME'?"),
        ("identity:", "identity:NAME"),
        ("first:bob", "did you mean 'first'?"),
        ("nobody", "first, identity:NAME, active, mix"),
    ],
)
def test_a_wrong_one_is_told_with_the_nearest_that_is_right(written: str, says: str) -> None:
    with pytest.raises(Malformed) as wrong:
        Listen().parse(written)
    assert says in f"{wrong.value.wrong}; {wrong.value.fix}"


def test_in_a_file_it_is_a_text() -> None:
    with pytest.raises(Malformed, match="is not one of"):
        Listen().read(["first"])
