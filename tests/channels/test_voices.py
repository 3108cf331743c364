"""The voice matrix: all that ever were are known, the ones that left are answered with who replaced them."""

from __future__ import annotations

import pytest

from channels.settings.voices import Era, Voice, read_voices
from playground.voice_agent.options import ServerOptions
from playground.voices import VOICES
from tests.channels.configuring import Person

MATRIX = read_voices([])
LEGACY = [voice for voice in MATRIX.voices.values() if voice.era is Era.LEGACY]
# The protocol reference, section 11.
OLD = """claire dawn josh grace pete autumn ivy james tyler winter sam mia bella david jack kyle helen martha
    river emma victor eleanor sophie oliver arjun ethan mei dmitri lukas lena pierre mina joon ren hana giulia
    luca lucia mateo diego""".split()


def test_the_voices_are_the_ones_that_the_service_lists() -> None:
    assert set(MATRIX.served) == set(VOICES) == set(ServerOptions().voices)


def test_every_voice_that_ever_was_is_known() -> None:
    assert {voice.name for voice in LEGACY} == set(OLD)


@pytest.mark.parametrize("voice", LEGACY, ids=lambda voice: voice.name)
def test_a_voice_that_left_is_replaced_by_the_nearest_that_is_there(voice: Voice) -> None:
    assert voice.replaced_by is not None
    new = MATRIX.voices[voice.replaced_by]
    assert new.era is Era.CURRENT
    if not MATRIX.languages[voice.language].spoken:
        assert new.name == MATRIX.default
        return
    assert new.language == voice.language
    assert (new.accent == "UK") == (voice.accent == "UK")
    served = [MATRIX.voices[name] for name in MATRIX.served]
    same_language = [each for each in served if each.language == new.language]
    if voice.gender is not None and voice.gender in {each.gender for each in same_language}:
        assert new.gender == voice.gender


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "james",
            "session.output.voice in agent.toml is a voice of earlier days, which the service now refuses "
            "(found 'james'); use michael (English, male) instead",
        ),
        ("sophie", "(found 'sophie'); use anna (English, UK, female) instead"),
        ("diego", "(found 'diego'); use lola (Spanish, female) instead"),
        (
            "arjun",
            "(found 'arjun'); use alba (English, female) instead (no voice speaks Hindi any more)",
        ),
        ("ivy", "(found 'ivy'); use alba (English, female) instead"),
    ],
)
def test_the_voices_of_the_articles_are_answered_with_who_replaced_them(
    person: Person, name: str, line: str
) -> None:
    assert person.problem(f'session.output.voice = "{name}"').endswith(line)


def test_a_voice_written_with_a_capital_is_answered_with_the_one_that_was_meant(person: Person) -> None:
    assert "use michael (English, male) instead" in person.problem('session.output.voice = "James"')
    assert "did you mean 'anna'?" in person.problem('session.output.voice = "Anna"')


def test_a_voice_that_nobody_knows_is_answered_with_the_nearest_name_and_with_all(person: Person) -> None:
    line = person.problem('session.output.voice = "georg"')
    assert line.startswith(
        "session.output.voice in agent.toml is not a known voice (found 'georg'); "
        "did you mean 'george'? Else, the voices are alba, "
    )
    assert line.endswith("a newer one goes into a voices.toml")


def test_a_voices_file_beside_the_configuration_adds_voices_and_brings_old_ones_back(person: Person) -> None:
    person.write(
        "voices.toml",
        '[languages]\nhi = { name = "Hindi", spoken = true }\n'
        '[voices]\narjun = { language = "hi" }\nzelda = { language = "en", accent = "Irish" }\n',
    )
    assert person.session('session.output.voice = "arjun"').output.voice == "arjun"
    assert person.session('session.output.voice = "zelda"').output.voice == "zelda"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("[voice]", "voices.toml has a table 'voice'; it has languages and voices only"),
        ("voices = 3", "voices.toml is not a table of tables; see voices.toml of ours"),
        ('voices.x.era = "new"', "era in voices.x of "),
        ("voices.x.gendre = 'male'", "voices.toml); did you mean gender?"),
        ("voices.x.accent = 3", "accent in voices.x of "),
        ("voices.x.language = 'xx'", "voices.x in voices.toml speaks 'xx'; the languages are en, "),
        ("voices.x.era = 'legacy'", "voices.x in voices.toml is legacy and has no voice that replaces it; "),
    ],
)
def test_what_a_voices_file_cannot_have_is_said(person: Person, content: str, line: str) -> None:
    person.write("voices.toml", content)
    assert line in person.problem("")


def test_what_is_understood_is_more_than_what_is_spoken() -> None:
    assert set(MATRIX.spoken) == set("en es it de pt fr".split())
    assert set(MATRIX.understood) == set("en es de fr pt it tr nl sv no da fi hi vi ar he ja zh".split())
    assert {MATRIX.voices[name].language for name in MATRIX.served} == set(MATRIX.spoken)


def test_a_language_that_is_understood_and_not_spoken_is_warned_of(person: Person) -> None:
    person.configure('session.input.language_codes = ["en", "hi"]')
    (warning,) = person.warnings
    assert warning.startswith(
        "session.input.language_codes in agent.toml: Hindi is understood, and no voice speaks it; spoken are"
    )


@pytest.mark.parametrize(("code", "meant"), [("english", "en"), ("ko", None), ("en-US", None)])
def test_a_language_that_is_not_understood_is_refused(person: Person, code: str, meant: str | None) -> None:
    line = person.problem({"session": {"input": {"language_codes": [code]}}})
    assert f"has a language that is not understood (found '{code}'); " in line
    assert (f"did you mean '{meant}'? " in line) == (meant is not None)
    assert "The service understands en, es, de" in line


def test_a_template_and_a_voice_of_different_languages_are_warned_of(person: Person) -> None:
    file = 'template = "support"\nvariables.company = "Acme"\nsession.output.voice = "lola"'
    person.configure(file)
    (warning,) = person.warnings
    assert warning.startswith(
        "the template support is written in English, and the voice lola (Spanish, female) does not speak it; "
        "take alba or "
    )
    person.write("prompts/own.toml", 'language = "hi"\nsystem_prompt = "Namaste."')
    person.configure('template = "own"')
    (warning,) = person.warnings
    assert warning == (
        "the template own is written in Hindi, and the voice alba (English, female) does not speak it; "
        "no voice does"
    )
