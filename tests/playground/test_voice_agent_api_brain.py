"""What the playground's agent answers: little, honestly, and sentence by sentence."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.brain import EchoBrain, reply_text

NOW = datetime(2026, 11, 3, 8, 5)


@pytest.mark.parametrize(
    "heard", ["What time is it?", "Could you tell me what's the time please", "what is the time"]
)
def test_it_tells_the_time(heard: str) -> None:
    assert reply_text(heard, NOW) == "It is 08:05."


@pytest.mark.parametrize(
    "heard", ["What's the date today?", "Which day is it?", "What day is it?", "what is today"]
)
def test_it_tells_the_date(heard: str) -> None:
    assert reply_text(heard, NOW) == "Today is Tuesday, 3 November 2026."


@pytest.mark.parametrize("heard", ["Who are you?", "What is your name?"])
def test_it_says_who_it_is_and_what_it_is_not(heard: str) -> None:
    assert (
        reply_text(heard, NOW, name="Ada") == "I'm Ada. I have no language model: I repeat what I understand."
    )


@pytest.mark.parametrize("heard", ["", "  ", "...", "?!"])
def test_it_says_so_if_there_were_no_words(heard: str) -> None:
    assert reply_text(heard, NOW) == "I heard a sound, but no words."


def test_a_scrap_is_not_taken_for_a_turn() -> None:
    assert reply_text("Th.", NOW) == "I only heard Th."


def test_it_repeats_everything_else() -> None:
    assert reply_text("My  favourite colour\nis green.", NOW) == "You said: My favourite colour is green."


@given(st.text())
def test_it_has_an_answer_to_everything(heard: str) -> None:
    assert reply_text(heard, NOW).strip()


async def test_it_answers_sentence_by_sentence() -> None:
    brain = EchoBrain(lambda: NOW)
    assert [sentence async for sentence in brain.answer("Who are you?")] == [
        "I'm the playground's stand-in agent.",
        "I have no language model: I repeat what I understand.",
    ]
    assert [sentence async for sentence in brain.instruct("")] == ["I was asked to say something."]
