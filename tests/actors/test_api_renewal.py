"""When a session is renewed: near its end, when nobody speaks, thinks or is waited for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.renewal import QUIET_S, WINDOW_S, Quiet, look_from
from channels.happenings import Happening, ReplyEnded, ReplyOutcome, TurnStarted, TurnStopped
from channels.wire.events import ReplyStarted, ServerEvent, ToolCall
from channels.wire.messages import ToolResult


def ended(reply_id: str) -> ReplyEnded:
    return ReplyEnded(reply_id, ReplyOutcome.PLAYED, 1000, "", 0.0)


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
    assert quiet_at((1, ReplyStarted("a")), (9, ended("a"))) == 9 + QUIET_S


@pytest.mark.parametrize(
    "open_end",
    [[(5, TurnStarted(5))], [(5, ReplyStarted("b"))], [(4, ReplyStarted("b")), (5, ended("a"))]],
)
def test_while_somebody_speaks_it_is_not(open_end: list[tuple[float, ServerEvent | Happening]]) -> None:
    assert quiet_at((1, ReplyStarted("a")), (2, ended("a")), *open_end) == math.inf


def test_a_turn_is_given_time_for_its_answer_and_a_tool_for_its_result() -> None:
    turn = ((1.0, TurnStarted(1)), (2.0, TurnStopped(2)))
    assert quiet_at(*turn) == 12
    assert quiet_at(*turn, (3, ToolCall("c", "f"))) == 123
    assert quiet_at(*turn, (3, ToolCall("c", "f")), (4, ToolResult("c", ""))) == 14
    answered = (*turn, (3, ToolCall("c", "f")), (4, ToolResult("c", "")), (5, ReplyStarted("a")))
    assert quiet_at(*answered, (6, ended("a"))) == 6 + QUIET_S


@given(
    st.lists(
        st.sampled_from(
            [TurnStarted(0), TurnStopped(0), ReplyStarted("a"), ReplyStarted("b"), ended("a"), ended("b")]
        )
    )
)
def test_a_connection_that_broke_leaves_nothing_that_is_waited_for_without_end(
    steps: list[ServerEvent | Happening],
) -> None:
    quiet = Quiet()
    for step in steps:
        quiet.take(step, 1.0)
    quiet.forget()
    assert quiet.at() < 20
