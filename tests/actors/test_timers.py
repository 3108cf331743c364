"""The two timers of a turn, from what a person would say happened."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from actors.timers import Stopwatch
from channels.happenings import (
    Happening,
    Interrupted,
    PersonTyped,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SoundStarted,
    SoundStopped,
    TurnStarted,
    TurnStopped,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
)


def ended(at: float, outcome: ReplyOutcome = ReplyOutcome.PLAYED, reply_id: str = "r") -> ReplyEnded:
    return ReplyEnded(reply_id, outcome, 1000, "words", at)


def timed(happenings: Iterable[Happening]) -> list[TurnTimed]:
    watch = Stopwatch()
    return [turn for happening in happenings if (turn := watch.take(happening)) is not None]


def test_turn_latency_is_from_the_last_sound_of_the_person_to_the_first_audible_sound_of_the_agent() -> None:
    (turn,) = timed(
        [
            SoundStarted(10.0),
            TurnStarted(10.6),
            SoundStopped(12.0),  # told later: the order of the messages is not that of the sounds
            TurnStopped(12.9),
            ReplyBegan("r", 13.2),
            ended(15.0),
        ]
    )
    assert (turn.turn_latency_ms, turn.endpointing_ms, turn.barge_in_ms) == (1200, 900, None)


def test_a_pause_within_a_turn_does_not_count_as_its_end() -> None:
    (turn,) = timed(
        [
            SoundStarted(10.0),
            SoundStopped(11.0),
            SoundStarted(11.5),
            SoundStopped(12.0),
            TurnStopped(12.8),
            ReplyBegan("r", 13.0),
            ended(15.0),
        ]
    )
    assert turn.turn_latency_ms == 1000


def test_barge_in_is_from_the_first_sound_of_the_person_to_silence() -> None:
    (turn,) = timed(
        [ReplyBegan("r", 5.0), SoundStarted(7.0), Interrupted("r", 8.1), ended(8.1, ReplyOutcome.CUT)]
    )
    assert (turn.turn_latency_ms, turn.barge_in_ms) == (None, 1100)


def test_a_greeting_has_no_latency_and_two_replies_to_one_turn_have_one() -> None:
    greeting, first, second = timed(
        [
            ReplyBegan("r", 1.0),
            ended(2.0),
            SoundStarted(3.0),
            SoundStopped(4.0),
            TurnStopped(4.5),
            ReplyBegan("r", 5.0),
            ended(6.0),
            ReplyBegan("r", 6.5),
            ended(7.0),
        ]
    )
    assert [turn.turn_latency_ms for turn in (greeting, first, second)] == [None, 1000, None]


def test_what_is_typed_is_answered_without_a_latency_from_an_earlier_mm_hm() -> None:
    story, typed, spoken = timed(
        [
            ReplyBegan("r", 5.0),
            SoundStarted(7.0),
            VoiceHeld(7.1),
            VoiceResumed(7.5, 1000),  # a hum, by its sound; it goes on for a moment
            SoundStopped(7.6),
            TurnStopped(8.3),
            ended(60.0),
            PersonTyped("alice", "What time is it?"),
            ReplyBegan("r", 70.0),
            ended(72.0),
            SoundStarted(80.0),
            SoundStopped(81.0),
            TurnStopped(81.5),
            ReplyBegan("r", 82.0),
            ended(83.0),
        ]
    )
    assert [turn.turn_latency_ms for turn in (story, typed, spoken)] == [None, None, 1000]


def test_a_reply_that_was_never_audible_has_no_timers() -> None:
    (turn,) = timed([SoundStarted(1.0), SoundStopped(2.0), TurnStopped(2.5), ended(4.0)])
    assert (turn.turn_latency_ms, turn.barge_in_ms) == (None, None)


def test_a_held_voice_is_silent_long_before_the_service_decides() -> None:
    (turn,) = timed(
        [
            ReplyBegan("r", 5.0),
            SoundStarted(7.0),
            VoiceHeld(7.12),
            TurnStarted(8.4),
            SoundStopped(9.0),
            SoundStarted(9.3),  # they go on; it is the same interruption
            SoundStopped(10.0),
            TurnStopped(10.4),
            Interrupted("r", 10.41),
            ended(10.43, ReplyOutcome.CUT),
        ]
    )
    assert turn.barge_in_ms == 120


def test_a_word_thrown_in_is_no_interruption_and_no_question() -> None:
    first, second = timed(
        [
            ReplyBegan("r", 5.0),
            SoundStarted(7.0),
            VoiceHeld(7.1),
            SoundStopped(7.3),
            VoiceResumed(8.1, 1000),
            TurnStopped(8.3),
            ended(15.0),
            ReplyBegan("q", 20.0),
            ended(21.0, reply_id="q"),
        ]
    )
    assert (first.turn_latency_ms, first.barge_in_ms) == (None, None)
    assert second.turn_latency_ms is None, "it answers no sound that was over 13 s before"


@pytest.mark.parametrize("pause", [[], [SoundStopped(7.25)]], ids=["goes on", "pauses"])
def test_a_first_word_that_was_taken_for_agreement_is_the_beginning_of_the_interruption(
    pause: list[Happening],
) -> None:
    (turn,) = timed(
        [
            ReplyBegan("r", 5.0),
            SoundStarted(7.0),
            VoiceHeld(7.1),
            *pause,
            VoiceResumed(7.3, 200),  # "No" sounded like "mm-hm"
            VoiceHeld(7.4),  # and then came "stop it"
            Interrupted("r", 10.7),
            ended(10.7, ReplyOutcome.CUT),
        ]
    )
    assert turn.barge_in_ms == 400


def test_an_interruption_that_no_microphone_heard_is_not_counted_from_an_older_sound() -> None:
    first, second = timed(
        [
            SoundStarted(1.0),
            SoundStopped(2.0),
            TurnStopped(2.6),
            ReplyBegan("r", 3.0),
            VoiceHeld(6.0),  # for the service's word alone
            Interrupted("r", 7.0),
            ended(7.0, ReplyOutcome.CUT),
            ReplyBegan("q", 9.0),
            SoundStarted(10.0),
            SoundStopped(10.2),  # a cough that held nothing
            Interrupted("q", 16.0),
            ended(16.0, ReplyOutcome.CUT, "q"),
        ]
    )
    assert (first.turn_latency_ms, first.barge_in_ms) == (1000, None)
    assert second.barge_in_ms is None


def test_where_nothing_holds_the_voice_silence_comes_with_the_decision() -> None:
    (turn,) = timed(
        [
            ReplyBegan("r", 5.0),
            SoundStarted(7.0),
            SoundStopped(8.5),
            TurnStopped(9.3),
            Interrupted("r", 9.3),
            ended(9.4, ReplyOutcome.CUT),
        ]
    )
    assert turn.barge_in_ms == 2300


def test_a_turn_that_the_service_split_is_one_turn() -> None:
    unheard, answer, later = timed(
        [
            SoundStarted(1.0),
            TurnStarted(1.9, 1),
            SoundStopped(2.0),
            TurnStopped(2.6, 1),
            SoundStarted(3.0),  # before a sound of the answer
            VoiceHeld(3.1),
            TurnStarted(4.0, 1),
            SoundStopped(5.0),
            TurnStopped(5.6, 1),
            Interrupted("half", 5.61),
            ended(5.62, ReplyOutcome.CUT, "half"),
            ReplyBegan("whole", 6.2),
            ended(8.0, reply_id="whole"),
            ReplyBegan("more", 9.0),
            ended(10.0, reply_id="more"),
        ]
    )
    assert (unheard.turn, unheard.turn_latency_ms, unheard.barge_in_ms) == (1, None, None)
    assert (answer.turn, answer.turn_latency_ms, answer.endpointing_ms) == (1, 1200, 600)
    assert later.turn == 2


def test_an_answer_that_waited_for_the_floor_counts_from_the_last_sound() -> None:
    (turn,) = timed(
        [
            SoundStarted(1.0),
            SoundStopped(2.0),
            TurnStopped(2.2),
            VoiceHeld(2.3),  # its sound is there while the person may still go on
            VoiceResumed(2.8, 500),
            ReplyBegan("r", 2.9),
            ended(5.0),
        ]
    )
    assert turn.turn_latency_ms == 900


def test_the_last_frame_before_the_silence_may_be_told_of_after_it() -> None:
    (turn,) = timed(
        [
            SoundStarted(4.95),
            VoiceHeld(5.02),
            ReplyBegan("r", 5.0),
            Interrupted("r", 7.0),
            ended(7.0, ReplyOutcome.CUT),
        ]
    )
    assert turn.barge_in_ms == 70
