"""When a session is renewed: near its end, when nobody speaks, thinks or is waited for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.renewing import ANSWER_WITHIN_S, QUIET_S, TOOL_WITHIN_S, WINDOW_S, Quiet, look_from
from channels.happenings import FloorHolder, FloorPassed, Happening
from channels.wire.events import ServerEvent, ToolCall
from channels.wire.messages import ToolResult

NOBODY, PERSON, ANSWER, AGENT = (FloorPassed(holder, 1, 0.0) for holder in FloorHolder)


@pytest.mark.parametrize(
    ("life_s", "from_s"),
    [
        (3595, 3595 - WINDOW_S),
        (10_800, 10_800 - WINDOW_S),
        (60, 30),  # a token's cap
        (29, math.inf),
        (0, math.inf),
        (-1e9, math.inf),  # it did not say, or its clock is another
    ],
)
def test_a_quiet_moment_is_looked_for_in_the_last_minutes(life_s: float, from_s: float) -> None:
    assert look_from(100.0, life_s) == (from_s if from_s == math.inf else 100 + from_s)


def quiet_at(*steps: tuple[float, ServerEvent | Happening | ToolResult]) -> float:
    quiet = Quiet()
    for now, step in steps:
        quiet.take(step, now)
    return quiet.at()


def test_a_call_in_which_nobody_ever_spoke_is_quiet() -> None:
    assert quiet_at() == -math.inf


def test_it_is_quiet_a_little_after_the_last_word_was_heard() -> None:
    assert quiet_at((1, ANSWER), (2, AGENT), (9, NOBODY)) == 9 + QUIET_S


@pytest.mark.parametrize("holder", [PERSON, ANSWER, AGENT])
def test_while_somebody_has_the_floor_it_is_not(holder: FloorPassed) -> None:
    assert quiet_at((1, AGENT), (2, NOBODY), (5, holder)) == math.inf


def test_a_tool_is_given_time_for_its_result_and_a_result_for_its_answer() -> None:
    turn = ((1.0, PERSON), (2.0, ANSWER), (2.5, AGENT), (2.9, NOBODY))
    assert quiet_at(*turn, (3, ToolCall("c", "f"))) == 3 + TOOL_WITHIN_S
    assert quiet_at(*turn, (3, ToolCall("c", "f")), (4, ToolResult("c", ""))) == 4 + ANSWER_WITHIN_S
    answered = (*turn, (3, ToolCall("c", "f")), (4, ToolResult("c", "")), (5, AGENT))
    assert quiet_at(*answered, (6, NOBODY)) == 6 + QUIET_S


def test_a_tool_is_still_waited_for_when_somebody_speaks_meanwhile() -> None:
    assert quiet_at((3, ToolCall("c", "f")), (4, PERSON), (5, NOBODY)) == 3 + TOOL_WITHIN_S


STEPS = st.sampled_from([NOBODY, PERSON, ANSWER, AGENT, ToolCall("c", "f"), ToolResult("c", "")])


@given(st.lists(STEPS))
def test_once_nobody_has_the_floor_nothing_is_waited_for_without_end(
    steps: list[ServerEvent | Happening | ToolResult],
) -> None:
    quiet = Quiet()
    for step in (*steps, NOBODY):
        quiet.take(step, 1.0)
    assert quiet.at() <= 1.0 + TOOL_WITHIN_S
