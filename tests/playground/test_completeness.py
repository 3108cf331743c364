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
        "As soon as you can.",
        "As far as I know.",
        "Before noon.",
        "Before 9 in the morning.",
        "After Friday next week.",
        "Until Friday at nine.",
        "Until half past nine.",
        "Once a week or so.",
        "Once more with feeling.",
        "If you like.",
        "If you say so.",
        "If you don't mind.",
        "When I can.",
        "Whenever it suits you.",
        "While I wait.",
        "And after that we go home.",
        "When may I come.",
        "When am I going.",
        "When exactly does it open.",
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
        ("As far as I remember.", Ending.CLAUSE),
        ("Unless something happens.", Ending.CLAUSE),
        ("Once the water boils.", Ending.CLAUSE),
        ("Even though it is expensive.", Ending.CLAUSE),
        ("Until I hear from them.", Ending.CLAUSE),
        ("After the second crossing.", Ending.CLAUSE),
        ("The number is 472-", Ending.CLAUSE),
        ("Can you send it to my,", Ending.WORD),
        ("I went there because.", Ending.WORD),
    ],
)
def test_a_clause_says_less_than_the_last_word(text: str, how: Ending) -> None:
    assert ending(text) is how


@pytest.mark.parametrize("text", ["and ", "when a ", "a,", "' ", "as far as ", "if " + "a" * 1000])
def test_a_text_of_any_length_is_judged_at_once(text: str) -> None:
    assert ending(text * 100_000) in Ending
