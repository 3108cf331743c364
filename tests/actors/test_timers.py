"""The two timers of a turn, from what a person would say happened."""

from __future__ import annotations

from collections.abc import Iterable

from actors.timers import Stopwatch
from channels.happenings import (
    Happening,
    Interrupted,
    ReplyBegan,
    ReplyEnded,
    ReplyOutcome,
    SoundStarted,
    SoundStopped,
    TurnStarted,
    TurnStopped,
    TurnTimed,
)


def ended(at: float, outcome: ReplyOutcome = ReplyOutcome.PLAYED) -> ReplyEnded:
    return ReplyEnded("r", outcome, 1000, "words", at)


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


def test_a_reply_that_was_never_audible_has_no_timers() -> None:
    (turn,) = timed([SoundStarted(1.0), SoundStopped(2.0), TurnStopped(2.5), ended(4.0)])
    assert (turn.turn_latency_ms, turn.barge_in_ms) == (None, None)
