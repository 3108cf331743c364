"""What the small dialogue says when its application, and not the person, asks for something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.instructions import GO_ON, PRESSED, SAY_GOODBYE, STILL_THERE, VERBATIM, ends_in, quoted
from playground.dialogue.instructions import obeyed

OPERATOR = VERBATIM + "{}"


@pytest.mark.parametrize(
    ("instructions", "said"),
    [
        (
            OPERATOR.format("One moment, please. Is 3:15 all right?"),
            ["One moment, please.", "Is 3:15 all right?"],
        ),
        (OPERATOR.format("Two lines\nof it"), ["Two lines", "of it"]),
        (OPERATOR.format("Say goodbye to Ann: she leaves!"), ["Say goodbye to Ann: she leaves!"]),
        ("Please say: Welcome to the hotel!", ["Welcome to the hotel!"]),
        ("Repeat the following: Mind the gap.", ["Mind the gap."]),
        (STILL_THERE, ["Are you still there?"]),
        (f'{GO_ON}\nThe last words were "say goodbye": go on.', ["I'm back.", "Where were we?"]),
        (ends_in(30), ["This call will end in about 30 seconds."]),
        ("The call ends in 2 minutes.", ["This call will end in 2 minutes."]),
        (SAY_GOODBYE, ["We have come to the end of our time.", "Goodbye!"]),
        ("Say goodbye in one short sentence.", ["Goodbye!"]),
        (PRESSED + quoted("1 2 #"), ["You pressed 1 2 #."]),
        ("  ", ["I was asked to say something, but not what."]),
        (OPERATOR.format("\u2026"), None),
        ("Say this to Ann in French: hello.", None),
        ("Ask for their name.", None),
    ],
)
def test_what_is_asked_for_is_done_or_admitted_not_to_be(instructions: str, said: list[str] | None) -> None:
    if said is None:
        assert obeyed(instructions)[-1] == "I don't have a language model to do it with."
    else:
        assert list(obeyed(instructions)) == said


@given(st.text(st.characters(categories=["L", "N", "Zs", "P"]), min_size=1).filter(lambda t: t.isascii()))
def test_every_word_of_a_text_to_be_said_is_said(text: str) -> None:
    said = obeyed(OPERATOR.format(text))
    if any(letter.isalnum() for letter in text):
        assert " ".join(said).split() == text.split()


@given(st.text())
def test_something_is_said_to_whatever_is_asked(instructions: str) -> None:
    assert all(sentence.strip() for sentence in obeyed(instructions))
