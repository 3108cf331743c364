"""The lists of short words: what stops the agent and what does not, ours and a user's."""

from __future__ import annotations

import pytest

from channels.settings.short_words import LONGEST_TEXT, plain, words_of
from channels.settings.short_words_file import read_short_words
from tests.channels.configuring import Person

WORDS = read_short_words(())


@pytest.mark.parametrize(
    "text", ["Mm-hmm,", "Uh-huh.", "uh huh", "Yeah, yeah, yeah.", "Okay, I see.", "Right? Right.", "OK!"]
)
def test_who_only_listens_is_understood_however_it_is_written(text: str) -> None:
    assert words_of(WORDS, None).are_back_channels(plain(text))


@pytest.mark.parametrize("text", ["", "Yeah, but", "I see a ship", "Nova", "okay stop"])
def test_whatever_else_is_said_is_more(text: str) -> None:
    assert not words_of(WORDS, None).are_back_channels(plain(text))


@pytest.mark.parametrize("text", ["Stop!", "No, no, no.", "okay, hold on", "Wait..."])
def test_who_wants_it_to_stop_is_understood_anywhere(text: str) -> None:
    assert words_of(WORDS, None).stops_in(plain(text))


def test_a_word_within_another_stops_nobody() -> None:
    assert not words_of(WORDS, None).stops_in(plain("I know, unstoppable"))


@pytest.mark.parametrize("code", WORDS)
def test_no_language_says_both_of_one_word(code: str) -> None:
    words = WORDS[code]
    assert words.stops
    assert words.back_channels
    both = [phrase for phrase in words.back_channels if words.stops_in(phrase)]
    assert both == []


def test_the_words_are_those_of_the_sessions_languages() -> None:
    both = words_of(WORDS, ["de", "en-GB"])
    assert both.languages == ("de", "en")
    assert both.are_back_channels(plain("Genau, yeah."))
    assert words_of(WORDS, ["xx"]).stops == frozenset()


def test_a_name_of_the_agents_can_be_added(person: Person) -> None:
    person.write("short_words.toml", '[en]\nstops = ["Nova"]\n')
    words = words_of(person.configure("").short_words, None)
    assert words.stops_in(plain("Nova?"))
    assert words.stops_in(plain("Stop."))


def test_a_list_that_cannot_be_is_told_in_a_line(person: Person) -> None:
    person.write("short_words.toml", 'stops = ["Nova"]\n[en]\nstop = ["Nova"]\n')
    wrong, misspelt = person.problems("")
    assert "'stops' in" in wrong
    assert "stop" in misspelt


@pytest.mark.parametrize("code", ["EN", "en-GB", "en_US", '"en-gb"'])
def test_a_language_is_known_however_its_code_is_written(person: Person, code: str) -> None:
    person.write("short_words.toml", f'[{code}]\nstops = ["Nova"]\n')
    words = person.configure("").short_words
    assert words_of(words, None).stops_in(plain("Nova?"))
    assert set(words) == set(WORDS)


@pytest.mark.parametrize("code", ["english", "eng", "xx", '""', '"e n"'])
def test_a_language_that_is_none_is_told_with_those_that_there_are(person: Person, code: str) -> None:
    person.write("short_words.toml", f'[{code}]\nstops = ["Nova"]\n')
    problem = person.problem("")
    assert repr(code.strip('"')) in problem
    assert "the service understands en, es" in problem


def test_our_lists_are_of_languages_that_the_service_understands(person: Person) -> None:
    assert set(WORDS) <= set(person.configure("").matrix.understood)


def test_a_phrase_without_a_word_is_told(person: Person) -> None:
    person.write("short_words.toml", '[en]\nback_channels = ["Nova", "..."]\n')
    problem = person.problem("")
    assert "back_channels" in problem
    assert "number 2" in problem
    assert "'...'" in problem


@pytest.mark.parametrize("said", ["mm ", "aa, ", "-" * 50])
def test_of_a_text_of_any_length_the_beginning_is_looked_at(said: str) -> None:
    words = words_of(WORDS, None)
    text = plain(said * 500_000)
    assert len(text) <= LONGEST_TEXT
    assert words.are_back_channels(text) is (said == "mm ")
    assert not words.stops_in(text)
