"""What the service is told: exactly what somebody set, each value within its range, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.secret import Secret
from channels.settings import SessionSettings, Webhook
from channels.settings.catalogue import CATALOGUE, Setting
from channels.settings.rules import Choice, Flag, Number, OneLine, Rule, Text, Texts, Whole
from channels.settings.voices import read_voices
from channels.wire.codec import write_message
from channels.wire.messages import SessionUpdate
from playground.voice_agent.session_config import configured
from tests.channels.configuring import Person
from tests.wire_schema import part

MATRIX = read_voices([])
TURNS = "session.input.turn_detection."
words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]) | st.just(" "), max_size=30)


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Tables, as a file has them, from paths."""
    content: dict[str, Any] = {}
    for path, value in values.items():
        *tables, name = path.split(".")
        table = content
        for each in tables:
            table = table.setdefault(each, {})
        table[name] = value
    return content


def of_rule(rule: Rule) -> st.SearchStrategy[Any]:
    match rule:
        case Whole(low=low, high=high):
            return st.integers(low, high)
        case Number(low=low, high=high):
            return st.floats(low, high)
        case Flag():
            return st.booleans()
        case Choice(names=names):
            return st.sampled_from(names)
        case Texts(most=most, item=item):
            return st.lists(of_rule(item), max_size=min(most, 4))
        case OneLine(longest=longest) | Text(longest=int(longest)):
            return words.map(lambda text: text.strip()[:longest].strip()).filter(bool)
        case Text():
            return words.map(str.strip).filter(bool)
        case _:
            raise AssertionError(rule)


def is_free(setting: Setting) -> bool:
    return (
        setting.path.startswith("session.")
        and not setting.rule.private
        and setting.path != "session.agent_id"
    )


@st.composite
def sessions(draw: st.DrawFn) -> dict[str, Any]:
    """Any session that can be, by path."""
    free = [setting for setting in CATALOGUE.values() if is_free(setting)]
    values = {
        setting.path: draw(of_rule(setting.rule))
        for setting in draw(st.lists(st.sampled_from(free), unique=True))
    }
    if "session.output.voice" in values:
        values["session.output.voice"] = draw(st.sampled_from(MATRIX.served))
    if "session.input.language_codes" in values:
        values["session.input.language_codes"] = draw(st.lists(st.sampled_from(MATRIX.understood)))
    low, high = (values.get(TURNS + name) for name in ("min_silence", "max_silence"))
    if low is not None and high is not None:
        values[TURNS + "min_silence"], values[TURNS + "max_silence"] = sorted((low, high))
    for way in ("input", "output"):
        if f"session.{way}.format.sample_rate" in values:
            values[f"session.{way}.format.encoding"] = "audio/pcm"
    if any(path.startswith("session.webhook") for path in values):
        values |= {"session.webhook.url": "https://example.com/hook", "session.webhook.events": ["ended"]}
    return values


def test_the_service_is_told_nothing_that_nobody_set(person: Person) -> None:
    assert set(person.session().as_wire()) == {"system_prompt", "greeting"}
    assert person.configure().profile.name == "adaptive"
    assert person.warnings == []


@given(sessions())
def test_what_is_set_is_what_is_sent_and_what_is_sent_reads_back_as_what_was_set(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    person = Person(tmp_path_factory.mktemp("session"))
    session = person.session(nested(values))
    wire = person.sent(nested(values))
    sent_anyway = {"system_prompt": session.system_prompt, "greeting": session.greeting}
    assert wire == {**sent_anyway, **nested(values).get("session", {})}
    assert person.sent({"session": wire}) == wire
    assert person.session({"session": wire}) == session
    assert part("session").is_valid(wire)
    # Our own service, which is as strict as the real one was seen to be, takes all of it.
    configured(None, wire, voices=MATRIX.served, agents={})


def on_a_command_line(value: Any) -> str:
    match value:
        case bool() | list():
            return json.dumps(value)
        case float():
            return f"{value:.17f}"
        case _:
            return str(value)


@given(sessions())
def test_flags_say_the_same_as_a_file(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    person = Person(tmp_path_factory.mktemp("session"))
    written = {path: on_a_command_line(value) for path, value in values.items()}
    for path, value in values.items():
        if isinstance(value, float):  # what is below the last digit cannot be written
            values[path] = float(written[path])
    assert person.session(flags=written) == person.session(nested(values))


numbers = [setting for setting in CATALOGUE.values() if isinstance(setting.rule, Whole | Number)]


def beside(setting: Setting, value: Any) -> dict[str, Any]:
    """A file with a number, and what has to stand with it."""
    values = {setting.path: value}
    if setting.path.endswith("sample_rate"):
        values[setting.path.replace("sample_rate", "encoding")] = "audio/pcm"
    return nested(values)


@pytest.mark.parametrize("setting", numbers, ids=lambda setting: setting.path)
def test_a_number_may_be_as_low_and_as_high_as_its_range_and_no_lower_and_no_higher(
    person: Person, setting: Setting
) -> None:
    rule = setting.rule
    assert isinstance(rule, Whole | Number)
    for value in (rule.low, rule.high):
        assert person.configure(beside(setting, value)).values[setting.path].value == value
    step = 1 if isinstance(rule, Whole) else 0.001
    for value in (rule.low - step, rule.high + step):
        line = person.problem(beside(setting, value))
        assert line.startswith(f"{setting.path} in agent.json is not ")
        assert f"{rule.low}" in line
        assert f"{rule.high}" in line
        assert f"(found {value})" in line


@pytest.mark.parametrize("setting", numbers, ids=lambda setting: setting.path)
@pytest.mark.parametrize("wrong", ["600", True, None, [600], {"ms": 600}, float("nan")], ids=repr)
def test_what_is_no_number_is_refused_where_a_number_belongs(
    person: Person, setting: Setting, wrong: Any
) -> None:
    line = person.problem(beside(setting, wrong))
    assert line.startswith(f"{setting.path} in agent.json is not ")


def test_every_field_of_the_protocols_configuration_can_be_set() -> None:
    # The reference's section 5.1 and 5.2, without what the service takes from stored agents only.
    fields = """agent_id system_prompt greeting input.type input.format.encoding input.format.sample_rate
        input.keyterms input.transcription_mode input.transcription_prompt input.language_codes
        input.voice_focus input.voice_focus_threshold input.continuous_partials
        input.turn_detection.vad_threshold input.turn_detection.min_silence input.turn_detection.max_silence
        input.turn_detection.interrupt_response input.turn_detection.interruption_delay
        input.turn_detection.type input.turn_detection.uninterruptible_turns
        output.type output.voice output.format.encoding output.format.sample_rate output.volume
        webhook.url webhook.events webhook.secret""".split()
    assert {path for path in CATALOGUE if path.startswith("session.")} == {f"session.{f}" for f in fields}


def test_a_stored_agent_is_named_alone(person: Person) -> None:
    assert person.session('session.agent_id = "agent_1"').as_wire() == {"agent_id": "agent_1"}


def test_a_stored_agent_and_anything_else_of_the_session_is_said_to_be_one_too_many(person: Person) -> None:
    lines = person.problems(
        'session.agent_id = "agent_1"\nsession.greeting = "Hi"\ntools.modules = ["my_tools.py"]',
        flags={"session.output.voice": "eve"},
    )
    assert len(lines) == 3
    assert lines[0].startswith(
        "session.greeting in agent.toml cannot be set together with session.agent_id in agent.toml; "
    )
    assert lines[1].startswith("--set session.output.voice cannot be set together with")
    assert lines[2].startswith("tools.modules in agent.toml cannot be set together with")


@pytest.mark.parametrize("file", ['session.greeting = ""', 'session.greeting = "  "'])
def test_an_empty_greeting_is_none_and_the_person_begins(person: Person, file: str) -> None:
    assert "greeting" not in person.session(file).as_wire()
    assert "greeting" not in person.session(flags={"session.greeting": ""}).as_wire()


def test_the_secret_of_a_webhook_is_sent_and_shown_nowhere(person: Person) -> None:
    sent = person.sent(
        'session.webhook = { url = "https://example.com", events = ["session.ended"] }',
        env={"VOICE_AGENT_WEBHOOK_SECRET": "hook-secret-0123456789"},
    )
    update = SessionUpdate(sent)
    assert "hook-secret-0123456789" not in repr(update) + repr(sent)
    assert '"secret":"hook-secret-0123456789"' in write_message(update)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (
            'session.webhook.url = "https://example.com"',
            "session.webhook.url in agent.toml is set without session.webhook.events; ",
        ),
        (
            'session.webhook = { url = "http://example.com", events = [] }',
            "session.webhook.url in agent.toml is not an https:// address; ",
        ),
        (
            "session.input.turn_detection = { min_silence = 900, max_silence = 600 }",
            "session.input.turn_detection.min_silence in agent.toml is 900 ms, more than "
            "session.input.turn_detection.max_silence in agent.toml with 600 ms; ",
        ),
        (
            'session.output.format = { encoding = "audio/pcmu", sample_rate = 24000 }',
            "session.output.format.sample_rate in agent.toml is set without the encoding audio/pcm; ",
        ),
    ],
)
def test_what_does_not_go_together_is_said(person: Person, file: str, line: str) -> None:
    assert person.problem(file).startswith(line)


def test_the_model_by_itself_sends_what_it_was_given() -> None:
    wire = SessionSettings(None, None).as_wire(Webhook("https://example.com", (), Secret("s")))
    assert wire == {"webhook": {"url": "https://example.com", "events": [], "secret": Secret("s")}}
