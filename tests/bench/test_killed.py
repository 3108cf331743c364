"""What a caller hears of a break, from the sound that arrived."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.guest import HeardFrame
from bench.killed import broken

VOICE = b"\x00\x10" * 240
SILENCE = bytes(480)


def heard(*spans: tuple[float, float, bytes]) -> list[HeardFrame]:
    """10 ms after 10 ms, from and to these seconds."""
    return [
        HeardFrame(start + step / 100, pcm)
        for start, end, pcm in spans
        for step in range(round((end - start) * 100))
    ]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 10, VOICE)], None),
        ([(0, 5, VOICE), (5.25, 10, VOICE)], None),
        ([(0, 5.1, VOICE), (7.1, 10, VOICE)], 2.0),
        ([(0, 5.1, VOICE), (5.1, 7.1, SILENCE), (7.1, 10, VOICE)], 2.0),
        ([(0, 4.9, VOICE), (7.1, 10, VOICE)], 2.2),
        ([(0, 5.1, VOICE), (6, 6.03, VOICE), (7.1, 10, VOICE)], 2.0),
        ([(0, 5.1, VOICE), (7.1, 8, VOICE), (9.5, 10, VOICE)], 2.0),
    ],
    ids=[
        "the voice goes on",
        "a pause is no break",
        "nothing comes",
        "silence comes",
        "killed in a pause",
        "a click is no voice",
        "the first break counts",
    ],
)
def test_how_long_a_caller_hears_nothing(
    spans: Sequence[tuple[float, float, bytes]], expected: float | None
) -> None:
    found = broken(heard(*spans), 5.0, 10.0)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.for_s == pytest.approx(expected, abs=0.03)


def test_a_voice_that_never_comes_back_is_said_to_have_broken() -> None:
    found = broken(heard((0, 5.1, VOICE)), 5.0, 10.0)
    assert found is not None
    assert found.for_s is None
    assert found.after_s == pytest.approx(0.1, abs=0.03)


def test_the_silence_of_a_dead_agent_does_not_hide_the_voice_of_its_successor() -> None:
    both = heard((0, 5.1, VOICE), (5.1, 10, SILENCE)) + heard((7.1, 10, VOICE))
    found = broken(sorted(both, key=lambda frame: frame.at), 5.0, 10.0)
    assert found is not None
    assert found.for_s == pytest.approx(2.0, abs=0.03)
