"""Turn-taking on judged windows alone: `x` is a loud window (speech), `~` a faint one, `.` a quiet one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.errors import SettingsError
from playground.completeness import Ending
from playground.turns import (
    ADAPTIVE,
    EndOfTurn,
    Lull,
    Onset,
    Pause,
    Stir,
    TurnDetector,
    TurnEvent,
    TurnRules,
)
from sound.vad import WINDOW_MS, Window

PROBABILITY = {"x": 0.9, "~": 0.4, ".": 0.02}
QUICK = TurnRules(min_silence=320, max_silence=960, interruption_delay=0)


def told(detector: TurnDetector, pattern: str, start: int = 0) -> list[tuple[int, TurnEvent]]:
    """The events and the number of windows heard when each was told."""
    events: list[tuple[int, TurnEvent]] = []
    for count, sign in enumerate(pattern, start + 1):
        window = Window(PROBABILITY[sign], count.to_bytes(2, "little") * 512)
        events += [(count, event) for event in detector.hear(window)]
    return events


def kinds(events: list[tuple[int, TurnEvent]]) -> list[type[TurnEvent]]:
    """Without what only says that a turn is open."""
    return [type(event) for _, event in events if not isinstance(event, Stir)]


def at(events: list[tuple[int, TurnEvent]], kind: type[TurnEvent]) -> list[int]:
    return [count for count, event in events if isinstance(event, kind)]


def windows_in(utterance: bytes) -> list[int]:
    return [int.from_bytes(utterance[i : i + 2], "little") for i in range(0, len(utterance), 1024)]


def test_one_loud_window_is_a_click_and_two_are_speech() -> None:
    assert told(TurnDetector(QUICK), "..x...x.~x....") == []
    assert kinds(told(TurnDetector(QUICK), "..xx")) == [Onset]


def test_a_turn_has_an_onset_a_lull_a_pause_and_an_end_in_that_order() -> None:
    events = told(TurnDetector(QUICK), "....xxxxx" + "." * 40)
    assert kinds(events) == [Onset, Lull, Pause, EndOfTurn]


def test_the_silences_are_honoured_to_the_window() -> None:
    events = told(TurnDetector(QUICK), "xxxx" + "." * 40)
    assert at(events, Pause) == [4 + 320 // WINDOW_MS]
    assert at(events, EndOfTurn) == [4 + 960 // WINDOW_MS]


def test_speech_that_resumes_before_the_end_belongs_to_the_same_turn() -> None:
    events = told(TurnDetector(QUICK), "xxxx" + "." * 20 + "xxxx" + "." * 40)
    assert kinds(events) == [Onset, Lull, Pause, Lull, Pause, EndOfTurn]
    end = events[-1][1]
    assert isinstance(end, EndOfTurn)
    assert windows_in(end.utterance) == list(range(1, 28 + 6 + 1))


def test_a_click_in_a_pause_does_not_prolong_it() -> None:
    with_click = told(TurnDetector(QUICK), "xxxx" + "....x" + "." * 40)
    assert at(with_click, EndOfTurn) == at(told(TurnDetector(QUICK), "xxxx" + "." * 40), EndOfTurn)


def test_a_turn_does_not_end_on_a_window_that_may_be_its_next_word() -> None:
    silence = 960 // WINDOW_MS - 1
    events = told(TurnDetector(QUICK), "xxxx" + "." * silence + "xxxx")
    assert EndOfTurn not in kinds(events)


def test_a_faint_window_keeps_speech_going_and_does_not_begin_it() -> None:
    assert told(TurnDetector(QUICK), "~~~~~~~~x~~~") == []
    assert kinds(told(TurnDetector(QUICK), "xx" + "~" * 100)) == [Onset]


def test_the_onset_waits_for_as_much_speech_as_the_interruption_delay_says() -> None:
    slow = TurnRules(interruption_delay=500)
    assert at(told(TurnDetector(slow), "x" * 40), Onset) == [16]
    assert at(told(TurnDetector(slow), "xxxxx....." + "x" * 40), Onset) == [21]


def test_a_short_word_is_a_turn_whose_onset_is_brief() -> None:
    events = told(TurnDetector(ADAPTIVE), "xxxxxxxx" + "." * 80)
    assert [event for _, event in events if isinstance(event, Onset)] == [Onset(brief=True)]
    assert kinds(events)[-2:] == [Onset, EndOfTurn]


def test_the_owner_may_end_a_turn_at_a_pause() -> None:
    detector = TurnDetector(QUICK)
    told(detector, "xxxx" + "." * 12)
    assert [type(event) for event in detector.end_turn()] == [EndOfTurn]
    assert detector.end_turn() == []
    assert detector.turn_ms == 0


def test_the_owner_may_say_how_long_the_silence_has_to_last_and_speech_makes_it_forget() -> None:
    detector = TurnDetector(QUICK)
    told(detector, "xxxx" + "." * 8)
    assert detector.end_after(16 * WINDOW_MS) == []
    assert kinds(told(detector, "." * 7)) == []
    assert kinds(told(detector, "x" * 4 + "." * 29)) == [Lull, Pause]
    assert kinds(told(detector, ".")) == [EndOfTurn]


def test_a_silence_that_has_lasted_long_enough_ends_the_turn_at_once() -> None:
    detector = TurnDetector(QUICK)
    told(detector, "xxxx" + "." * 8)
    assert [type(event) for event in detector.end_after(8 * WINDOW_MS)] == [EndOfTurn]
    assert told(detector, "." * 40) == []


def test_a_turn_stirs_before_its_onset_is_due() -> None:
    slow = TurnDetector(TurnRules(interruption_delay=500))
    assert told(slow, "..xx") == [(4, Stir())]


@pytest.mark.parametrize("words", list(Ending))
@pytest.mark.parametrize("complete", [None, 0.0, 1.0])
def test_a_client_that_sets_silences_gets_them_whatever_the_sound_says(
    words: Ending, complete: float | None
) -> None:
    rules = TurnRules(min_silence=700, max_silence=2000)
    assert rules.patience_ms(words, complete) == (700 if words is Ending.SENTENCE else 2000)


def test_a_surer_end_is_never_waited_for_longer() -> None:
    by_sound = [[ADAPTIVE.patience_ms(words, sure) for words in Ending] for sure in (1.0, 0.0)]
    assert all(row == sorted(row) for row in by_sound)
    assert all(now <= later for now, later in zip(*by_sound, strict=True))
    assert ADAPTIVE.patience_ms(Ending.SENTENCE, 1.0) < ADAPTIVE.min_silence
    assert max(by_sound[1]) == ADAPTIVE.max_silence


def test_the_words_of_one_turn_do_not_open_the_next() -> None:
    detector = TurnDetector(TurnRules(min_silence=64, max_silence=64, interruption_delay=0))
    events = told(detector, "xxxx..xxxx..")
    first, second = (windows_in(e.utterance) for _, e in events if isinstance(e, EndOfTurn))
    assert not set(first) & set(second)


def test_an_utterance_begins_320_ms_before_the_onset() -> None:
    detector = TurnDetector(QUICK)
    told(detector, "." * 20 + "xx")
    assert windows_in(detector.utterance()) == list(range(11, 23))


def test_max_silence_is_a_ceiling_even_below_min_silence() -> None:
    detector = TurnDetector(TurnRules(min_silence=1000, max_silence=320, interruption_delay=0))
    assert at(told(detector, "xx" + "." * 40), EndOfTurn) == [12]


def test_settings_change_in_the_middle_of_a_turn() -> None:
    detector = TurnDetector(TurnRules(min_silence=3000, max_silence=5000, interruption_delay=0))
    told(detector, "xxxx" + "." * 20)
    detector.detection = QUICK
    assert at(told(detector, "." * 40, start=24), EndOfTurn) == [34]


def test_a_radio_does_not_make_a_turn_without_end() -> None:
    events = told(TurnDetector(QUICK), "x" * (10 * 60_000 // WINDOW_MS))
    assert kinds(events).count(EndOfTurn) == 3
    lively = told(TurnDetector(QUICK), ("x" * 50 + "." * 8) * 200)
    assert kinds(lively).count(EndOfTurn) >= 2


@given(st.text("x~.", max_size=300))
def test_every_turn_has_one_onset_before_its_end(pattern: str) -> None:
    detector = TurnDetector(QUICK)
    events = [event for _, event in told(detector, pattern)] + detector.end_turn()
    marks = [event for event in events if isinstance(event, (Onset, EndOfTurn))]
    assert [type(mark) for mark in marks] == [Onset, EndOfTurn] * (len(marks) // 2)


@given(st.text("x~.", max_size=200), st.integers(0, 20), st.integers(0, 20))
def test_sound_goes_into_at_most_one_turn_and_in_order(pattern: str, low: int, high: int) -> None:
    settings = TurnRules(min_silence=low * 32, max_silence=high * 32, interruption_delay=0)
    ends = [e for _, e in told(TurnDetector(settings), pattern) if isinstance(e, EndOfTurn)]
    heard = [count for end in ends for count in windows_in(end.utterance)]
    assert heard == sorted(set(heard))


@pytest.mark.parametrize(
    ("setting", "value", "allowed"),
    [
        ("vad_threshold", 1.5, "0 to 1"),
        ("vad_threshold", "high", "0 to 1"),
        ("min_silence", -1, "0 to 60000 ms"),
        ("max_silence", True, "0 to 60000 ms"),
        ("max_silence", 12.5, "whole number"),
        ("interruption_delay", 1001, "0 to 1000 ms"),
        ("interrupt_response", "yes", "true or false"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_range(setting: str, value: object, allowed: str) -> None:
    with pytest.raises(SettingsError) as caught:
        TurnRules(**{setting: value})  # type: ignore[arg-type]
    assert setting in str(caught.value)
    assert repr(value) in str(caught.value)
    assert allowed in str(caught.value)
