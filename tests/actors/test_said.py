"""What a person says is one turn, however the service cuts it up."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from actors.barge_in.machine import Event
from actors.barge_in.said import LONGEST_TEXT, PersonTurn
from channels.happenings import PersonSaid, TurnStarted
from channels.messages import Finished, Playing, SessionOver
from channels.wire.events import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SpeechStarted,
    SpeechStopped,
    UserTranscript,
    UserTranscriptDelta,
)
from tests.actors.machine_in_time import Steps, told

SOUND = b"\x00\x10" * 2400


def said(*events: Event | float) -> list[PersonSaid]:
    return [one for one in told(*events) if isinstance(one, PersonSaid)]


def finals(*events: Event | float) -> list[tuple[int, str]]:
    return [(one.turn, one.text) for one in said(*events) if one.final]


def speaks(text: str, item_id: str, *, s: float = 1.0) -> Steps:
    return [SpeechStarted(), s, SpeechStopped(), 0.05, UserTranscript(text, item_id), 0.4]


def answer(reply_id: str) -> Steps:
    """A reply that is played to the end."""
    begins: Steps = [ReplyStarted(reply_id), ReplyAudio(SOUND, reply_id), Playing(reply_id, 50, audible=True)]
    return [*begins, 0.1, ReplyDone(reply_id), Finished(reply_id, 100), 0.5]


def test_a_turn_is_told_as_final_once_when_the_agent_is_heard_again() -> None:
    talk: Steps = [*speaks("What is the time?", "i1"), *answer("r1")]
    assert [(one.text, one.final, one.certain) for one in said(*talk)] == [
        ("What is the time?", False, True),
        ("What is the time?", True, True),
    ]
    assert len(said(*talk[:-4])) == 2, "as soon as it is heard"


def test_a_sentence_that_the_service_took_for_two_is_one() -> None:
    talk: Steps = [
        *speaks("I would like", "i1"),
        ReplyStarted("r1"),  # no word of it was heard
        *speaks("a table for two.", "i2"),
        ReplyDone("r1", "interrupted"),
        *answer("r2"),
        *speaks("Thanks.", "i3"),
        *answer("r3"),
    ]
    assert finals(*talk) == [(1, "I would like a table for two."), (2, "Thanks.")]
    starts = [one.turn for one in told(*talk) if isinstance(one, TurnStarted)]
    assert starts == [1, 1, 2]


def test_the_second_part_may_begin_with_the_first() -> None:
    talk: Steps = [*speaks("I would like", "i1"), *speaks("I would like, erm, a table.", "i2"), *answer("r1")]
    assert finals(*talk) == [(1, "I would like, erm, a table.")]


@pytest.mark.parametrize(
    "order",
    [
        [SpeechStarted(), 1.0, SpeechStopped(), UserTranscript("Stop.", "i1")],
        [SpeechStarted(), 1.0, UserTranscript("Stop.", "i1"), SpeechStopped()],
        [1.0, SpeechStopped(), UserTranscript("Stop.", "i1"), SpeechStarted(), SpeechStopped()],
        [UserTranscriptDelta("St"), SpeechStarted(), 1.0, SpeechStopped(), UserTranscript("Stop.", "i1")],
        [SpeechStarted(), 1.0, SpeechStopped(), UserTranscript("Stop.", "i1"), UserTranscript("Stop.", "i1")],
    ],
)
def test_words_and_ends_may_come_in_any_order(order: Steps) -> None:
    assert finals(*order, 0.4, *answer("r1")) == [(1, "Stop.")]


def test_what_is_understood_so_far_is_all_of_the_turn_so_far() -> None:
    talk: Steps = [
        *speaks("I would like", "i1"),
        SpeechStarted(),
        UserTranscriptDelta("a"),
        UserTranscriptDelta("a table"),
    ]
    assert [(one.text, one.certain) for one in said(*talk)] == [
        ("I would like", True),
        ("I would like a", False),
        ("I would like a table", False),
    ]


def test_final_words_that_are_late_still_belong_to_their_turn() -> None:
    talk: Steps = [
        SpeechStarted(),
        UserTranscriptDelta("What is the"),
        1.0,
        SpeechStopped(),
        0.4,
        *answer("r1"),
    ]
    assert finals(*talk) == [], "its words are not final yet"
    assert finals(*talk, UserTranscript("What is the time?", "i1")) == [(1, "What is the time?")]


@pytest.mark.parametrize("then", [[SpeechStarted()], [SessionOver()]])
def test_final_words_that_never_come_are_not_waited_for_beyond_the_next_turn(then: list[Event]) -> None:
    talk: Steps = [
        SpeechStarted(),
        UserTranscriptDelta("What is the"),
        1.0,
        SpeechStopped(),
        0.4,
        *answer("r1"),
    ]
    assert finals(*talk, *then) == [(1, "What is the")]


def test_a_word_thrown_in_is_a_turn_of_its_own_that_waits_for_no_answer() -> None:
    talk: Steps = [
        *speaks("Tell me a story.", "i1"),
        ReplyStarted("r1"),
        ReplyAudio(SOUND, "r1"),
        Playing("r1", 50, audible=True),
        *speaks("mm-hm", "i2", s=0.3),
    ]
    assert finals(*talk) == [(1, "Tell me a story."), (2, "mm-hm")]


def test_words_that_were_told_are_not_withdrawn() -> None:
    talk: Steps = [
        SpeechStarted(),
        UserTranscriptDelta("Stop"),
        UserTranscriptDelta(" "),
        1.0,
        SpeechStopped(),
    ]
    assert finals(*talk, UserTranscript("", "i1"), 0.4, *answer("r1")) == [(1, "Stop")]


def test_nothing_understood_is_nothing_said() -> None:
    assert said(SpeechStarted(), 0.5, SpeechStopped(), 0.4, *answer("r1")) == []


def test_a_turn_of_any_length_is_bounded_and_keeps_its_end() -> None:
    turn = PersonTurn().begin()
    for number in range(500):
        turn = turn.settle(f"i{number}", f"{'word ' * 900}{number}")
    turn = turn.understand("x" * 10_000_000 + " and the end")
    assert len(turn.text) <= LONGEST_TEXT
    assert turn.text.endswith("and the end")
    assert sum(len(words) for _, words in turn.parts) <= 32 * LONGEST_TEXT


PARTS = st.lists(
    st.one_of(
        st.just(SpeechStarted()),
        st.just(SpeechStopped()),
        st.builds(UserTranscriptDelta, st.text(max_size=8)),
        st.builds(UserTranscript, st.text(max_size=8), st.sampled_from(["", "i1", "i2", "i3"])),
        st.sampled_from([0.05, 0.5, 3.0]),
        st.sampled_from(["r1", "r2"]).map(ReplyStarted),
        st.sampled_from(["r1", "r2"]).map(lambda reply_id: ReplyAudio(SOUND, reply_id)),
        st.sampled_from(["r1", "r2"]).map(lambda reply_id: Playing(reply_id, 50, audible=True)),
        st.sampled_from(["r1", "r2"]).map(lambda reply_id: ReplyDone(reply_id, "interrupted")),
    ),
    max_size=40,
)


@given(PARTS)
def test_whatever_comes_each_turn_is_final_once_and_nothing_is_told_of_it_after_that(
    events: Steps,
) -> None:
    latest, over = 0, 0
    for one in said(*events, SessionOver()):
        assert one.text, "nothing is told of nothing"
        assert one.turn >= latest
        assert one.turn > over, "it is over"
        latest, over = one.turn, one.turn if one.final else over
    assert latest == over, "all that was told of is final when the session is over"
