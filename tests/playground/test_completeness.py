"""Whether words are all that somebody wanted to say."""

from __future__ import annotations

import pytest

from playground.completeness import Ending, ending


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "What is the weather like?",
        "Where are you from?",
        "Really?",
        "I like it here.",
        "Thank you",
        "It is 5.",
        "Tell me a story, please.",
        "Yes please.",
        "After lunch.",
        "As soon as possible.",
        "When do you open.",
        "When I came home, the door was open.",
        "If it rains tomorrow we will stay at home.",
    ],
)
def test_a_finished_sentence(text: str) -> None:
    assert ending(text) is Ending.SENTENCE


@pytest.mark.parametrize(
    "text",
    [
        "I would like to, um,",
        "I would like to, um.",
        "Can you tell me the.",
        "I went there because.",
        "Well, I think\u2026",
        "My name is",
        "It\u2019s.",
        "I was wondering",
        "So first -",
        "Can you send it to my?",
        "And?",
        "Please.",
        "Could you please,",
        "And please.",
    ],
)
def test_a_sentence_that_waits_for_its_end(text: str) -> None:
    assert ending(text) is not Ending.SENTENCE


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("I take the bus to work,", Ending.CLAUSE),
        ("In the morning, I take the bus to work,", Ending.CLAUSES),
        ("When I came home yesterday evening.", Ending.CLAUSE),
        ("But if it rains tomorrow", Ending.CLAUSE),
        ("After the second crossing.", Ending.CLAUSE),
        ("The number is 472-", Ending.CLAUSE),
        ("Can you send it to my,", Ending.WORD),
        ("I went there because.", Ending.WORD),
    ],
)
def test_a_clause_says_less_than_the_last_word(text: str, how: Ending) -> None:
    assert ending(text) is how
