"""What the small dialogue says: conversations as tables, and what holds for any text at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.speech import spoken
from playground.dialogue import book
from playground.dialogue.book import BOOK, BookEntry, read_book
from playground.dialogue.table import answer, checked
from playground.dialogue.turn import Memory, Turn
from playground.dialogue.words import plain

NOW = datetime(2026, 11, 3, 20, 5)
"""A Tuesday."""


def reply(said: str, memory: Memory | None = None, luck: float = 0.3) -> str:
    return " ".join(answer(Turn(said, memory or Memory(), NOW, luck)).sentences)


def talk(*said: str, memory: Memory | None = None) -> list[str]:
    """The answers to several turns in a row."""
    memory = memory or Memory()
    answers = []
    for turn in said:
        given = answer(Turn(turn, memory, NOW, 0.3))
        memory = attrs.evolve(given.memory or memory, said=given.sentences)
        answers.append(" ".join(given.sentences))
    return answers


SUMS = [
    ("What is twelve times seven?", "12 times 7 is 84."),
    ("whats 12 x 7", "12 times 7 is 84."),
    ("Um, what's two hundred and five plus, uh, six?", "205 plus 6 is 211."),
    ("What is a hundred divided by four?", "100 divided by 4 is 25."),
    ("Divide ten by three.", "10 divided by 3 is about 3.3333."),
    ("Subtract three from ten", "10 minus 3 is 7."),
    ("What is 20% of 80?", "20 percent of 80 is 16."),
    ("what percent of eighty is twenty", "20 is 25 percent of 80."),
    ("What is to times for?", "2 times 4 is 8."),
    ("What is seven squared plus one?", "7 squared plus 1 is 50."),
    ("How much is the sum of four and five?", "4 plus 5 is 9."),
    ("What is 3.5 million plus one?", "3,500,000 plus 1 is 3,500,001."),
    ("Twice forty", "Twice 40 is 80."),
    ("A quarter of a hundred", "A quarter of 100 is 25."),
    ("The square root of two", "The square root of 2 is about 1.4142."),
    ("What's two to the power of ten?", "2 to the power of 10 is 1,024."),
    ("What is one plus two times three?", "1 plus 2 times 3 is 7."),
    ("What is minus five plus three?", "Minus 5 plus 3 is -2."),
    ("How much is half of ninety?", "Half of 90 is 45."),
    ("What is three point five times two?", "3.5 times 2 is 7."),
    ("What is a million times a million?", "1,000,000 times 1,000,000 is 1,000,000,000,000."),
    ("What is five divided by zero?", "Nobody can divide by zero, and neither can I."),
    ("What is nine to the power of ninety nine?", "That is too large a number for me to say."),
]


@pytest.mark.parametrize(("said", "expected"), SUMS, ids=[said for said, _ in SUMS])
def test_it_does_sums_and_says_how_it_understood_them(said: str, expected: str) -> None:
    assert reply(said) == expected


CALENDAR = [
    ("What time is it?", "It is 8:05 PM."),
    ("whats the time please", "It is 8:05 PM."),
    ("Could you tell me the time?", "It is 8:05 PM."),
    ("What's the date today?", "Today is Tuesday, 3 November 2026."),
    ("What day is it to-day?", "Today is Tuesday, 3 November 2026."),
    ("what day is it", "Today is Tuesday, 3 November 2026."),
    ("What day is tomorrow?", "Tomorrow is Wednesday, 4 November 2026."),
    ("What weekday was the first of May twenty twenty?", "1 May 2020 was a Friday."),
    ("What day is May 3rd, 2027?", "3 May 2027 is a Monday."),
    ("What day is Christmas?", "25 December 2026 is a Friday."),
    ("How many days until Christmas?", "52 days until 25 December 2026."),
    ("When is Halloween?", "31 October 2027 is a Sunday."),
    ("Is it Monday?", "No, today is Tuesday."),
    ("What month is it?", "It is November."),
    ("what year is it", "It is 2026."),
]


@pytest.mark.parametrize(("said", "expected"), CALENDAR, ids=[said for said, _ in CALENDAR])
def test_it_knows_the_time_and_the_days(said: str, expected: str) -> None:
    assert reply(said) == expected


SMALL_TALK = [
    ("Hello.", "Good evening."),
    ("Thank you very much.", "You're welcome."),
    ("Okay, stop it please.", "Okay."),
    ("Be quiet!", "Okay."),
    ("Never mind.", "Okay."),
    ("Goodbye.", "Goodbye."),
    ("Can you hear me?", "Yes, I hear you."),
    ("Spell lighthouse.", "Lighthouse: L, I, G, H, T, H, O, U, S, E."),
    ("How do you spell 'yes'?", "Yes: Y, E, S."),
    ("How many letters are in banana?", "Banana has 6 letters."),
    ("Count to seven.", "1, 2, 3, 4, 5. 6, 7."),
    ("Count down from three", "3, 2, 1."),
    ("Flip a coin.", "Heads."),
    ("Say good luck, Anton.", "good luck, Anton."),
    ("Repeat after me: the rain in Spain.", "the rain in Spain."),
]


@pytest.mark.parametrize(("said", "expected"), SMALL_TALK, ids=[said for said, _ in SMALL_TALK])
def test_it_keeps_company(said: str, expected: str) -> None:
    assert reply(said) == expected


@pytest.mark.parametrize(
    "said", ["Who are you?", "What are you?", "Are you a human?", "Am I talking to a robot?"]
)
def test_it_says_what_it_is_and_that_there_is_no_language_model(said: str) -> None:
    assert "no language model" in reply(said)


@pytest.mark.parametrize("said", ["What can you do?", "Help.", "How can you help me?", "What can I say?"])
def test_it_says_what_it_can_do(said: str) -> None:
    assert reply(said).startswith("I can tell you the time and the date, do sums,")


def test_it_remembers_a_name_until_it_is_told_to_forget_it() -> None:
    assert talk(
        "What's my name?", "My name is anton.", "Do you know my name?", "Hello", "Forget my name", "Who am I?"
    ) == [
        "You haven't told me your name yet.",
        "Nice to meet you, Anton.",
        "Your name is Anton.",
        "Good evening, Anton.",
        "Forgotten.",
        "You haven't told me your name yet.",
    ]


def test_it_remembers_what_it_is_told() -> None:
    assert talk(
        "My favourite colour is green.",
        "Remember that I parked on level three.",
        "What is my favourite colour?",
        "What is my shoe size?",
        "What do you know about me?",
    ) == [
        "I will remember that your favourite colour is green.",
        "I will remember: I parked on level three.",
        "Your favourite colour is green.",
        "You haven't told me about your shoe size.",
        "Your favourite colour is green and you said: I parked on level three.",
    ]


def test_being_tired_is_no_name() -> None:
    assert talk("I am tired.", "What's my name?")[1] == "You haven't told me your name yet."
    assert talk("I am Anton.", "What's my name?")[1] == "Your name is Anton."


BEHIND_SOMETHING_KNOWN = [
    ("Stop. What is twelve times seven?", "12 times 7 is 84."),
    ("No, stop, what is twelve times seven?", "12 times 7 is 84."),
    ("Hello. How are you? Spell the word owl.", "Owl: O, W, L."),
]


@pytest.mark.parametrize(("said", "expected"), BEHIND_SOMETHING_KNOWN)
def test_a_question_with_a_gap_is_answered_behind_something_that_is_known(said: str, expected: str) -> None:
    assert reply(said) == expected


def test_what_is_not_understood_behind_a_stop_is_offered_something_that_is() -> None:
    assert "You can say" in reply("Stop. Brillig and the slithy toves?")


def test_it_says_the_last_thing_again() -> None:
    assert talk("What is three times three?", "Say that again.", "Pardon?") == ["3 times 3 is 9."] * 3


def offers_in(fallback: str) -> list[str]:
    return re.findall('"([^"]+)"', fallback.partition("You can say")[2])


def test_what_it_does_not_understand_it_quotes_and_admits_why_once() -> None:
    first, second, third = talk(*["Who won the cup?"] * 3)
    assert first.startswith('I heard "Who won the cup", but that\'s beyond me without a language model.')
    assert "language model" not in second + third


@pytest.mark.parametrize("said", ["Who won the cup?", "", "   ", "...", "?!", "\u2026"])
def test_whoever_is_not_understood_is_offered_two_things_that_are_and_then_two_others(said: str) -> None:
    fallbacks = talk(*[said] * 5)
    offers = [offer for fallback in fallbacks for offer in offers_in(fallback)]
    assert len(offers) == len(set(offers)) == 10
    assert not any("You can say" in reply(offer) for offer in offers)


@pytest.mark.parametrize("said", ["", "   ", "...", "?!", "\u2026"])
def test_a_sound_without_words_is_called_so(said: str) -> None:
    assert reply(said).startswith("I heard a sound, but no words.")


STEERED = [
    ("Stop, wait a moment please.", "Okay. Take your time."),
    ("stop wait a moment please", "Okay. Take your time."),
    ("Stop way to moment please.", "Okay. Take your time."),
    ("Hang on. No, no, stop!", "Okay."),
    ("No, stop it please, I have heard enough of that now.", "Okay."),
    ("No, stop it, please. I have heard enough of that story now.", "Okay."),
    ("That's enough of that story.", "Okay."),
    ("Stop. What time is it?", "It is 8:05 PM."),
    ("Wait, what?", "3 times 3 is 9."),
    ("Hang on.", "Okay. Take your time."),
    ("Wait a second, please.", "Okay. Take your time."),
    ("Never mind.", "Okay."),
    ("What?", "3 times 3 is 9."),
    ("Sorry, what was that?", "3 times 3 is 9."),
    ("I didn't catch that.", "3 times 3 is 9."),
    ("Could you speak more slowly, please?", "3 times 3. is 9."),
    ("You're too fast.", "3 times 3. is 9."),
    ("Go on.", "I was not in the middle of anything. Ask me for a story or a joke, if you like."),
]


@pytest.mark.parametrize(("said", "answered"), STEERED, ids=[said for said, _ in STEERED])
def test_it_understands_what_people_say_to_somebody_who_is_speaking(said: str, answered: str) -> None:
    assert talk("What is three times three?", said)[1].endswith(answered)


ALMOST = [
    ("Hello, how are you?", "Quite well"),
    ("Thanks. Goodbye!", "Goodbye."),
    ("Tell me a nice storey.", "This is"),
    ("What time is it in the kitchen?", "It is 8:05 PM."),
    ("What time?", "It is 8:05 PM."),
    ("What is your age?", 'I heard "'),
    ("Who are you voting for in May?", 'I heard "'),
    ("What is the name of that river?", 'I heard "'),
]


@pytest.mark.parametrize(("said", "answered"), ALMOST, ids=[said for said, _ in ALMOST])
def test_a_question_may_be_put_a_little_differently_but_not_be_another(said: str, answered: str) -> None:
    assert reply(said).startswith(answered)


def test_jokes_differ_until_all_are_told() -> None:
    first, second, third, fourth = talk(*["Tell me a joke."] * 4)
    assert len({first, second, third}) == 3
    assert fourth == first


@pytest.mark.parametrize("entry", [*BOOK.file.steering, *BOOK.file.talk], ids=lambda entry: entry.asked[0])
def test_every_question_in_the_file_is_understood(entry: BookEntry) -> None:
    for question in entry.asked:
        if "{" not in question:
            assert BOOK.whole(plain(question)) is entry, f"{question!r} is asked higher up in talk.toml, too"


FILE = Path(book.__file__).with_name("talk.toml").read_text("utf-8")
MISTAKES = [
    ('answer = ["Fine."]', "unknown field `answer`"),
    ('does = "dance"', "'dance'"),
    ('answers = ["It is {weather}."]', "{weather}"),
    ('means = "tell me about {it}"', "{it}"),
    ('answers = ["You are {person}."]', "one of its answers must work without anything that may be unknown"),
    ("by_chance = true", "it needs `answers`"),
    ('does = "spell"', "needs the gap {word}"),
    ('answers = ["Yes."]\n[[talk]]\nasked = ["I\'m {x}"]\nanswers = ["No."]', "'i am x'"),
    ('answers = ["Yes."]\n[[talk]]\nasked = ["is {x} {x}"]\nanswers = ["No."]', "cannot be told apart"),
]


@pytest.mark.parametrize(("line", "complaint"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_whoever_adds_to_the_file_is_told_of_a_mistake_before_anybody_calls(
    line: str, complaint: str, tmp_path: Path
) -> None:
    file = tmp_path / "talk.toml"
    file.write_text(FILE.replace("[[story]]", f'[[talk]]\nasked = ["do you dance"]\n{line}\n\n[[story]]', 1))
    with pytest.raises(ValueError, match=re.escape(complaint)) as told:
        checked(read_book(file))
    assert "talk" in str(told.value)


def test_what_an_author_adds_is_said_by_its_question(tmp_path: Path) -> None:
    file = tmp_path / "talk.toml"
    added = '[[talk]]\nasked = ["do you dance"]\nanswers = ["Only in circles."]\n\n[[story]]'
    file.write_text(FILE.replace("[[story]]", added, 1))
    entry = read_book(file).whole(plain("So, do you dance?"))
    assert entry is not None
    assert entry.answers == ("Only in circles.",)


def test_the_stories_differ_and_each_is_long_enough_to_be_interrupted() -> None:
    told = talk(*["Tell me a story."] * (len(BOOK.file.story) + 1))
    assert len(set(told[:-1])) == len(BOOK.file.story)
    assert told[-1] == told[0], "when all are told, the oldest comes again"
    for story in told:
        assert len(spoken(story, "lola")) / 48_000 >= 45, "the quickest of the voices takes this many seconds"


def test_a_story_can_be_asked_for_by_what_it_is_about() -> None:
    assert reply("Tell me a story about robots").startswith("This is the robot and the rain.")
    assert reply("Tell me a story about dragons").startswith("I don't know one about that, but this is")


@pytest.mark.parametrize(
    "noise", ["Um, {}", "{} please", "so, {}", "OKAY {}", "{}?", "can you tell me {}", "  {}\n"]
)
def test_fillers_and_manners_change_nothing(noise: str) -> None:
    assert reply(noise.format("what time is it")) == "It is 8:05 PM."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("What's five-and-twenty?", "what is five and twenty"),
        ("I don\u2019t know, 1,234.5!", "i do not know 1234.5"),
        ("Could you, um, please stop", "stop"),
    ],
)
def test_plain_words_are_what_a_recogniser_might_as_well_have_written(said: str, words: str) -> None:
    assert plain(said) == words


TRIGGERS = """what is times divided by percent of to the power squared root my name remember that spell count
story go on stop say repeat until day may third tomorrow 12 3.5 1e9 0 minus and a hundred million point x ^ %
- ' are you forget how many letters in flip coin roll dice""".split()


@given(
    st.one_of(st.text(max_size=300), st.lists(st.sampled_from(TRIGGERS), max_size=25).map(" ".join)),
    st.floats(0, 1),
    st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2120, 1, 1)),
)
def test_there_is_something_to_say_to_anything(said: str, luck: float, now: datetime) -> None:
    memory = Memory()
    for _ in range(2):  # the second time it is remembered
        given_answer = answer(Turn(said, memory, now, luck))
        assert any(letter.isalnum() for letter in "".join(given_answer.sentences))
        memory = attrs.evolve(given_answer.memory or memory, said=given_answer.sentences)


@given(st.lists(st.sampled_from(TRIGGERS), min_size=2, max_size=2), st.integers(1, 1500))
def test_a_very_long_turn_is_answered_too(words: Sequence[str], times: int) -> None:
    assert reply(" ".join(words) * times)
