"""What a person would notice in a voice: that it says what it should, when, and as itself."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.speech import at_16_khz, silence, spoken, word_errors
from channels.errors import PlaygroundFault
from playground.voices import VOICES, Speech, sentences, voice
from sound.pcm import ms_of_bytes
from sound.recogniser import Recogniser

SAYINGS = (
    "The last train to the airport leaves a little after midnight.",
    "You will need a passport and two photographs.",
    "Her brother repairs old clocks in a shop behind the market.",
    "Remember to water the plants while we are away.",
    "There is a small problem with your order, but we can fix it.",
    "It rained all week, so the river is very high.",
    "Turn left at the second traffic light.",
    "The children built a castle out of sand.",
    "How long does it take to learn to play the piano?",
    "That restaurant is closed on Mondays.",
)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


def heard(recogniser: Recogniser, pcm: bytes) -> str:
    return recogniser.transcribe(at_16_khz(silence(300) + pcm + silence(200)))


def check(text: str, speech: Speech) -> None:
    """What holds for all speech."""
    assert len(speech.pcm) % 2 == 0
    assert [word.text for word in speech.words] == text.split()
    at = 0
    for word in speech.words:
        assert at <= word.start_ms <= word.end_ms
        at = word.end_ms
    assert at <= ms_of_bytes(len(speech.pcm))


@pytest.mark.parametrize("name", VOICES)
def test_what_a_voice_says_is_understood(recogniser: Recogniser, name: str) -> None:
    errors = [word_errors(text, heard(recogniser, spoken(text, name))) for text in SAYINGS]
    assert sum(errors) / len(errors) < 0.06


@pytest.mark.parametrize("name", ["alba", "george", "lola"])
def test_words_are_where_they_are_said_to_be(recogniser: Recogniser, name: str) -> None:
    text = "Monday seven purple elephant window garden"
    speech = voice(name).say(text)
    for count in range(2, 6):
        cut = speech.pcm[: speech.words[count - 1].end_ms * 48]
        words = heard(recogniser, cut).lower().replace(",", "").replace(".", "").replace("7", "seven").split()
        assert words[:count] == text.lower().split()[:count]
        assert len(words) == count


def test_every_word_has_a_length_and_the_pause_between_sentences_belongs_to_none() -> None:
    speech = voice("alba").say("First this. Then that, and 5 km more!")
    assert all(word.end_ms - word.start_ms >= 50 for word in speech.words)
    this, then = speech.words[1:3]
    assert then.start_ms - this.end_ms >= 100


def pitch_hz(pcm: bytes) -> float:
    """The median pitch of the louder frames, by autocorrelation."""
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1920)[::480]
    loud = frames[(frames**2).mean(axis=1) > (samples**2).mean()]
    spectrum = np.fft.rfft(loud * np.hanning(1920), 8192, axis=1)
    alike = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, 24_000 // 350 : 24_000 // 65]
    return float(np.median(24_000 / (24_000 // 350 + alike.argmax(axis=1))))


def test_neighbours_in_the_catalogue_do_not_sound_alike() -> None:
    pitches = {name: pitch_hz(spoken(SAYINGS[0], name)) for name in VOICES}
    cards = list(VOICES.values())
    for one, other in itertools.pairwise(cards):
        semitones = abs(12 * np.log2(pitches[one.name] / pitches[other.name]))
        tract = abs(one.timbre.tract / other.timbre.tract - 1)
        assert semitones > 1.5 or tract > 0.05, (one.name, other.name)
    assert max(pitches[name] for name in ("charles", "george", "paul")) < 135
    assert min(pitches[name] for name in ("alba", "anna", "lola")) > 150


def test_the_catalogue_is_that_of_the_service() -> None:
    assert " ".join(VOICES) == (
        "alba anna charles estelle eve george giovanni iris jane jean juergen lola mary michael paul rafael "
        "reid vera"
    )
    assert VOICES["estelle"].at_the_service == "French"
    assert VOICES["estelle"].here == "American English"


def test_an_unknown_voice_is_answered_with_the_right_spelling() -> None:
    with pytest.raises(PlaygroundFault, match="there is no voice 'Gorge'; did you mean 'george'"):
        voice("Gorge")
    with pytest.raises(PlaygroundFault, match="take one of alba, anna"):
        voice("qqqq")


def test_a_voice_says_the_same_thing_the_same_way_from_any_thread() -> None:
    once = [voice("eve").say(text) for text in SAYINGS[:4]]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(voice("eve").say, SAYINGS[:4] * 2)) == once * 2


@pytest.mark.parametrize("text", ["", " \n\t ", "🙂🎉", "...", "—", "\x00", "你好 世界", "()[]{}"])
def test_what_has_no_sound_is_silent_and_harmless(text: str) -> None:
    speech = voice("alba").say(text)
    assert speech.pcm == b""
    check(text, speech)


@pytest.mark.parametrize(
    "text",
    [
        "It costs $9.99 on 10/12/2019 — 5 km away 🙂, **isn't** it?",
        "See [the page](https://example.com/a?b=c) `now`, C++ & C#!",
        "1" * 300,
        "a" * 700,
        "word " * 300,
        "٣٤ ➇ ½ ﷺ 😀a Привет été \ud800",
        "[x](/y/) [text](/fənˈimz/)",
        "1. Milk\n2. Bread\n\n- eggs",
    ],
)
def test_odd_text_is_spoken_somehow(text: str) -> None:
    speech = voice("george").say(text)
    assert len(speech.pcm) > 0
    check(text, speech)


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30))
@example("Dr. 3.5%-IV's")
def test_no_text_at_all_can_break_a_voice(text: str) -> None:
    check(text, voice("alba").say(text))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ("Dr. Smith paid $3.50. Mrs. Jones did not.", ["Dr. Smith paid $3.50.", "Mrs. Jones did not."]),
        ("J. K. Rowling, e.g. at 5 p.m. sharp.", ["J. K. Rowling, e.g. at 5 p.m. sharp."]),
        ("“Really?” she asked. “Yes.” He left.", ["“Really?” she asked.", "“Yes.”", "He left."]),
        ("So do I. You too.", ["So do I.", "You too."]),
        (
            "Wait... what? No. 5 is alive. No. He is not.",
            ["Wait... what?", "No. 5 is alive.", "No.", "He is not."],
        ),
        ("1. Milk\n2. Bread\n\nThat is all", ["1. Milk", "2. Bread", "That is all"]),
        ("Visit example.com. It is 2.5 km away.", ["Visit example.com.", "It is 2.5 km away."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_reply_is_cut_into_its_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@given(st.text("aB1 .!?…\n\"'’)(*5", max_size=60))
def test_no_word_is_lost_between_sentences(text: str) -> None:
    assert " ".join(sentences(text)).split() == text.split()
