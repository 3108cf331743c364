"""A file, `.env`, the environment and flags: who wins, and what is said of each mistake, word for word."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest

from channels.errors import SettingsError
from channels.settings import ACCOUNT, from_flags, gather
from channels.settings.profiles import OUR_FOLDER
from channels.settings.sources import Source
from tests.channels.configuring import Person

TURNS = "session.input.turn_detection"


def test_each_source_wins_over_the_one_before_it(person: Person) -> None:
    file = (
        "barge_in.longest_hold_ms = 1000\nspeaker.queue_size_ms = 200\n"
        'profile = "standard"\nlivekit.room_name = "a"'
    )
    in_force = person.configure(
        file,
        dotenv="HOLD_MS=2000\nQUEUE_SIZE_MS=300\nVOICE_AGENT_PROFILE=deliberate\n",
        env={"HOLD_MS": "4000", "QUEUE_SIZE_MS": "400"},
        flags={"barge_in.longest_hold_ms": "5000"},
    )
    found = {path: (value.value, str(value.origin)) for path, value in in_force.values.items()}
    assert found["barge_in.longest_hold_ms"] == (5000, "--set barge_in.longest_hold_ms")
    assert found["speaker.queue_size_ms"] == (400, "environment QUEUE_SIZE_MS")
    assert found["profile"] == ("deliberate", ".env VOICE_AGENT_PROFILE")
    assert found["livekit.room_name"] == ("a", "agent.toml")
    assert found["barge_in.linger_ms"] == (800, "default")
    assert found[f"{TURNS}.max_silence"] == (2500, "profile deliberate")


def test_what_is_set_by_itself_wins_over_the_profile_wherever_that_was_named(person: Person) -> None:
    in_force = person.configure(f"{TURNS}.max_silence = 2000", flags={"profile": "standard"})
    assert in_force.values[f"{TURNS}.max_silence"].value == 2000
    assert in_force.values[f"{TURNS}.min_silence"].value == 600
    assert in_force.values[f"{TURNS}.max_silence"].origin.source is Source.FILE


def test_a_file_may_be_toml_or_json_and_says_the_session_as_the_wire_does(person: Person) -> None:
    session = {"greeting": "Hi", "input": {"keyterms": ["LiveKit"]}, "output": {"voice": "eve"}}
    toml = '[session]\ngreeting = "Hi"\ninput.keyterms = ["LiveKit"]\n[session.output]\nvoice = "eve"\n'
    assert person.session(toml) == person.session({"session": session})
    wire = person.session(toml).as_wire()
    assert {name: wire[name] for name in session} == session


def test_actors_get_what_was_configured(person: Person) -> None:
    settings = person.configure(
        'profile = "fast-paced"\nbarge_in.longest_hold_ms = 0\nsession.output.voice = "eve"\n'
        'livekit.room_name = "tea"\napi.resume = false'
    ).settings()
    assert settings.room_name == "tea"
    assert settings.api.resume is False
    assert settings.barge_in.longest_hold_ms == 0
    assert settings.api.session.output.voice == "eve"
    assert settings.api.session.as_wire()["input"]["turn_detection"]["min_silence"] == 300
    assert settings.front_end.profile == "fast-paced"
    assert set(settings.front_end.profiles) >= {"adaptive", "fast-paced", "standard", "deliberate"}
    assert "alba" in settings.front_end.voices
    assert "james" not in settings.front_end.voices


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (
            {"session": {"input": {"turn_detection": {"vad_threshold": 1.5}}}},
            f"{TURNS}.vad_threshold in agent.json is not a number from 0 to 1 (found 1.5); "
            "leave it out for the service's own default",
        ),
        (
            {"barge_in": {"longest_hold_ms": "3 s"}},
            "barge_in.longest_hold_ms in agent.json is not a whole number of ms from 0 to 60000 "
            "(found '3 s'); "
            "leave it out for 20000; 0 switches holding off",
        ),
        (
            {"session": {"input": {"transcription_mode": "min-latency"}}},
            "session.input.transcription_mode in agent.json is not one of min_latency, balanced, "
            "max_accuracy (found 'min-latency'); did you mean 'min_latency'?",
        ),
        (
            {"session": {"input": {"turn_detection": {"interrupt_response": "no"}}}},
            f"{TURNS}.interrupt_response in agent.json is neither true nor false (found 'no'); "
            "leave it out for the service's own default",
        ),
        (
            {"session": {"input": {"turn_detecton": {"min_silence": 300}}}},
            f"there is no setting session.input.turn_detecton (in agent.json); did you mean {TURNS}?",
        ),
        (
            {"session": {"input": {"turn_detection": {"min_silense": 300}}}},
            f"there is no setting {TURNS}.min_silense (in agent.json); did you mean {TURNS}.min_silence?",
        ),
        (
            {"voice": "eve"},
            "there is no setting voice (in agent.json); did you mean session.output.voice?",
        ),
        (
            {"input": {"keyterms": []}},
            "there is no setting input (in agent.json); did you mean session.input?",
        ),
        (
            {"barge_in": 3},
            "barge_in in agent.json is not a table (found 3); write [barge_in] above its settings",
        ),
        (
            {"session": {"llm": []}},
            "there is no setting session.llm (in agent.json); the service takes a model of one's own from a "
            "stored agent only; name one in agent_id",
        ),
        (
            {"session": {"tools": []}},
            "there is no setting session.tools (in agent.json); tools are Python functions; "
            "name their files in tools.modules",
        ),
        (
            {"session": {"input": {"keyterms": ["fine", "x" * 51]}}},
            "session.input.keyterms in agent.json has a text, number 2 of its list, that is not one line of "
            "up to 50 printable characters (found 51 characters); leave it out for the service's own default",
        ),
        (
            {"session": {"input": {"keyterms": ["x"] * 101}}},
            "session.input.keyterms in agent.json is not a list of up to 100 texts (found 101); "
            "leave it out for the service's own default",
        ),
        (
            {"session": {"system_prompt": ["Be brief."]}},
            "session.system_prompt in agent.json is not a text (found a list); leave it out for the usual",
        ),
        (
            {"profile": "fast"},
            "profile in agent.json names no profile (found 'fast'); did you mean 'fast-paced'? "
            "Else, there are adaptive, deliberate, fast-paced, standard",
        ),
        (
            {"template": "suport", "variables": {}},
            "template in agent.json names no template (found 'suport'); did you mean 'support'? "
            "Else, there are eldercare, healthcare-triage, interactive-assistant, support",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_path_the_value_the_range_and_the_fix(
    person: Person, file: Mapping[str, object], line: str
) -> None:
    assert person.problem(file) == line


def test_all_mistakes_are_said_in_one_go_wherever_they_are(person: Person) -> None:
    lines = person.problems(
        'profile = "hasty"\nsession.output.voice = "james"\n'
        "barge_in.longest_hold_ms = -1\nbarge_in.lingr_ms = 5",
        dotenv="QUEUE_SIZE_MS=fast\n",
        env={"LIVEKIT_URL": "nowhere"},
        flags={f"{TURNS}.vad_threshold": "2"},
        required=ACCOUNT,
    )
    starts = [
        "there is no setting barge_in.lingr_ms",
        "LIVEKIT_URL ",
        "LIVEKIT_API_KEY is not set",
        "LIVEKIT_API_SECRET is not set",
        "ASSEMBLYAI_API_KEY is not set",
        f"--set {TURNS}.vad_threshold is not a number",
        "QUEUE_SIZE_MS is not",
        "barge_in.longest_hold_ms in agent.toml",
        "profile in agent.toml",
        "session.output.voice in agent.toml",
    ]
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


@pytest.mark.parametrize(
    ("path", "env"),
    [
        ("livekit.api_key", "LIVEKIT_API_KEY"),
        ("livekit.api_secret", "LIVEKIT_API_SECRET"),
        ("api.api_key", "ASSEMBLYAI_API_KEY"),
        ("session.webhook.secret", "VOICE_AGENT_WEBHOOK_SECRET"),
    ],
)
def test_a_secret_in_a_file_or_in_a_flag_is_told_to_go_into_dotenv_and_not_quoted(
    person: Person, path: str, env: str
) -> None:
    secret = "Q7zX-a-secret-0123456789"
    line = person.problem(f'{path} = "{secret}"')
    assert line == (
        f"{path} in agent.toml belongs to your account, and that file is meant to be shared; "
        f"put it into .env as {env}"
    )
    line = person.problem(flags={path: secret})
    assert line.startswith(f"--set {path} would show it to everybody")
    assert line.endswith(f"put it into .env as {env}")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("agent.toml", b"hold = = 3", "agent.toml is not TOML (line 1, column 8); fix it there"),
        ("agent.toml", b"\xff\xfe\x00", "agent.toml cannot be read; save it as plain text in UTF-8"),
        ("agent.json", b'{"hold": }', "agent.json is not JSON (line 1 column 10); fix it there"),
        ("agent.json", b"[" * 100_000, "agent.json is not JSON; fix it there"),
        ("agent.json", b"[]", 'agent.json is not a table of settings; write {"session": {…}}'),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(
    person: Person, name: str, content: bytes, line: str
) -> None:
    path = person.folder / name
    path.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        gather(path, {}, person.folder / ".env", {}, person.warnings.append)
    assert str(raised.value).endswith(line)


def test_a_folder_in_place_of_a_file_is_named(person: Person) -> None:
    with pytest.raises(SettingsError, match=r"is a folder; name the file in it"):
        gather(person.folder, {}, person.folder / ".env", {}, person.warnings.append)


def test_a_file_that_is_not_there_is_named(person: Person) -> None:
    with pytest.raises(SettingsError, match=r"there is no file .*agnt\.toml; check the name and the folder"):
        gather(person.folder / "agnt.toml", {}, person.folder / ".env", {}, person.warnings.append)


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        (
            "barge_in.longest_hold=3",
            "there is no setting barge_in.longest_hold (in --set); did you mean barge_in.longest_hold_ms?",
        ),
        (
            "input.turn_detection.min_silence=3",
            "there is no setting input.turn_detection.min_silence (in --set); "
            f"did you mean {TURNS}.min_silence?",
        ),
        ("barge_in.longest_hold_ms", "--set barge_in.longest_hold_ms gives no value; write --set PATH=VALUE"),
    ],
)
def test_a_mistyped_flag_is_one_line(assignment: str, line: str) -> None:
    with pytest.raises(SettingsError) as raised:
        from_flags([], [assignment])
    assert str(raised.value) == line


def test_a_variable_of_ours_that_is_mistyped_is_warned_of_and_those_of_others_are_not(person: Person) -> None:
    person.configure(env={"VOICE_AGENT_PROFIL": "standard", "VOICE": "x", "VOICE_AGENTS": "7"})
    assert person.warnings == ["VOICE_AGENT_PROFIL is no setting; did you mean VOICE_AGENT_PROFILE?"]


def test_every_setting_has_a_variable_of_its_own_and_the_first_ones_keep_their_names(person: Person) -> None:
    env = {
        "VOICE_AGENT_INPUT_TURN_DETECTION_MIN_SILENCE": "700",
        "VOICE_AGENT_INPUT_KEYTERMS": "LiveKit, Universal-3 Pro",
        "VOICE_AGENT_OUTPUT_VOICE": "eve",
        "VOICE_AGENT_INPUT_TURN_DETECTION_INTERRUPT_RESPONSE": "off",
        "ROOM_NAME": "tea",
    }
    in_force = person.configure(env=env)
    assert in_force.settings().api.session.input.turn_detection.min_silence == 700
    assert in_force.settings().api.session.input.turn_detection.interrupt_response is False
    assert in_force.settings().api.session.input.keyterms == ("LiveKit", "Universal-3 Pro")
    assert in_force.settings().api.session.output.voice == "eve"
    assert in_force.values["livekit.room_name"].value == "tea"


@pytest.mark.parametrize(
    "text", ["LiveKit,AssemblyAI", " LiveKit , AssemblyAI, ", '["LiveKit", "AssemblyAI"]']
)
def test_a_list_is_written_with_commas_or_as_json(person: Person, text: str) -> None:
    assert person.session(env={"VOICE_AGENT_INPUT_KEYTERMS": text}).input.keyterms == (
        "LiveKit",
        "AssemblyAI",
    )


EXAMPLE = OUR_FOLDER / "docs" / "agent.example.toml"


def test_the_example_of_a_file_is_right_as_it_is_and_with_everything_in_it_set(person: Person) -> None:
    example = EXAMPLE.read_text(encoding="utf-8")
    assert person.session(example).output.voice == "alba"
    assert person.warnings == []
    everything = re.sub(r"(?m)^#(?=\w+ = )(?!agent_id)", "", example)
    assert everything.count("=") > 25
    in_force = person.configure(everything)
    assert in_force.settings().api.session.input.turn_detection.interruption_delay == 500
    assert in_force.values["livekit.url"].origin.source is Source.FILE


def test_turn_detection_that_is_sent_is_warned_of_since_it_switches_adaptive_endpointing_off(
    person: Person,
) -> None:
    person.configure(f"{TURNS}.vad_threshold = 0.6")
    (warning,) = person.warnings
    assert "switches the service's adaptive endpointing off" in warning
    person.configure(f'profile = "standard"\n{TURNS}.vad_threshold = 0.6')
    assert person.warnings == []


@pytest.mark.parametrize(
    ("name", "value", "said"), [("min_silence", 299, "cut short"), ("max_silence", 2501, "unnatural")]
)
def test_silences_outside_of_the_sane_range_are_warned_of(
    person: Person, name: str, value: int, said: str
) -> None:
    person.configure(f'profile = "standard"\n{TURNS}.{name} = {value}')
    (warning,) = person.warnings
    assert said in warning
    person.configure(f'profile = "standard"\n{TURNS}.min_silence = 300\n{TURNS}.max_silence = 2500')
    assert person.warnings == []


def test_a_value_that_may_be_a_secret_in_the_wrong_place_is_not_quoted(person: Person) -> None:
    secret = "Q7zX0123456789abcdef0123"
    everywhere = {
        "profile": secret,
        "template": secret,
        "session": {
            "output": {"voice": secret, "volume": secret, "format": {"encoding": secret}},
            "input": {"language_codes": [secret[:20]], "transcription_mode": secret, "type": secret},
        },
        "barge_in": {"longest_hold_ms": secret},
        "livekit": {"url": secret},
    }
    lines = person.problems(everywhere)
    assert len(lines) == 10
    assert secret not in "\n".join(lines)
    assert secret not in "\n".join(person.problems(json.loads(json.dumps({"barge_in": {secret * 4: 1}}))))
