"""`python runner.py config` and the flags that configure, as a person meets them."""

from __future__ import annotations

import json

import jwt
import pytest

from tests.test_runner_cli import ACCOUNT, KEY, SECRET, Shell, shell

__all__ = ["shell"]


def table(printed: str) -> dict[str, list[str]]:
    """The lines that were printed: by path, the rest of the words."""
    return {line.split()[0]: line.split()[1:] for line in printed.splitlines()}


def test_with_nothing_set_it_shows_every_setting_and_that_nothing_is_sent(shell: Shell) -> None:
    outcome = shell.run("config")
    assert (outcome.code, outcome.err) == (0, "")
    shown = table(outcome.out)
    assert shown["profile"] == ['"adaptive"', "default"]
    assert shown["session.input.turn_detection.min_silence"] == ["not", "sent", "default"]
    assert shown["barge_in.longest_hold_ms"] == ["20000", "default"]
    assert shown["livekit.url"] == ["none", "default"]


def test_it_shows_where_each_value_comes_from_and_masks_what_is_secret(shell: Shell) -> None:
    (shell.folder / "agent.toml").write_text('profile = "deliberate"\nbarge_in.linger_ms = 900\n')
    outcome = shell.run(
        *"config --config agent.toml --voice anna --template support --var company=Acme".split(),
        *("--set", "speaker.queue_size_ms=200"),
        env=ACCOUNT,
        dotenv="ROOM_NAME=tea\n",
    )
    assert (outcome.code, outcome.err) == (0, "")
    shown = table(outcome.out)
    assert shown["profile"] == ['"deliberate"', "agent.toml"]
    assert shown["session.input.turn_detection.max_silence"] == ["2500", "profile", "deliberate"]
    assert shown["barge_in.linger_ms"] == ["900", "agent.toml"]
    assert shown["session.output.voice"] == ['"anna"', "--voice"]
    assert shown["session.system_prompt"][-2:] == ["template", "support"]
    assert shown["speaker.queue_size_ms"] == ["200", "--set", "speaker.queue_size_ms"]
    assert shown["livekit.room_name"] == ['"tea"', ".env", "ROOM_NAME"]
    assert shown["livekit.api_secret"] == ["•••", "environment", "LIVEKIT_API_SECRET"]
    assert shown["api.api_key"] == ["•••", "environment", "ASSEMBLYAI_API_KEY"]
    assert shown["variables.company"] == ['"Acme"', "--var", "company"]


def test_in_json_every_value_is_whole_and_has_its_source(shell: Shell) -> None:
    outcome = shell.run("config", "--json", "--template", "support", "--var", "company=Acme", env=ACCOUNT)
    assert outcome.code == 0
    shown = json.loads(outcome.out)
    assert shown["session.system_prompt"]["source"] == "template"
    assert "Rules that always hold" in shown["session.system_prompt"]["value"]
    assert shown["api.api_key"] == {
        "value": "•••",
        "source": "environment",
        "where": "environment ASSEMBLYAI_API_KEY",
    }
    assert shown["session.output.voice"] == {"value": None, "source": "default", "where": "default"}


def test_flags_may_stand_before_and_behind_the_command(shell: Shell) -> None:
    outcome = shell.run(
        *"--profile standard --set barge_in.linger_ms=1".split(),
        *"config --set barge_in.longest_hold_ms=2 --voice eve".split(),
    )
    shown = table(outcome.out)
    assert shown["profile"] == ['"standard"', "--profile"]
    assert shown["barge_in.linger_ms"][0] == "1"
    assert shown["barge_in.longest_hold_ms"][0] == "2"
    assert shown["session.output.voice"][0] == '"eve"'


@pytest.mark.parametrize("command", [[], ["config"], ["token", "--identity", "alice"]])
def test_a_voice_of_the_articles_is_answered_before_any_connection_is_made(
    shell: Shell, command: list[str]
) -> None:
    outcome = shell.run("--voice", "sophie", *command, env=ACCOUNT)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.lines == [
        "--voice is a voice of earlier days, which the service now refuses (found 'sophie'); "
        "use anna (English, UK, female) instead"
    ]


def test_every_mistake_is_a_line_and_the_exit_code_is_2(shell: Shell) -> None:
    (shell.folder / "agent.json").write_text(
        json.dumps({"livekit": {"api_secret": SECRET}, "session": {"output": {"volume": 101}}})
    )
    outcome = shell.run(
        *"config --config agent.json --profile fast --template nurse".split(),
        env={"ASSEMBLYAI_API_KEY": f"{KEY} x"},
    )
    assert (outcome.code, outcome.out) == (2, "")
    assert [line.split(" ")[0] for line in outcome.lines] == [
        "livekit.api_secret",
        "ASSEMBLYAI_API_KEY",
        "session.output.volume",
        "--profile",
        "--template",
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--var", "company"], "--var company has no value; write --var NAME=VALUE"),
        (["--config", "nowhere.toml"], "there is no file nowhere.toml; check the name and the folder"),
        (
            ["--template", "support"],
            "the template support needs company (the company's name, as it is spoken); ",
        ),
    ],
)
def test_a_mistake_in_a_flag_is_one_line(shell: Shell, arguments: list[str], line: str) -> None:
    outcome = shell.run("config", *arguments)
    assert outcome.code == 2
    assert len(outcome.lines) == 1
    assert outcome.lines[0].startswith(line)


def test_a_token_is_for_the_room_of_the_configuration_file(shell: Shell) -> None:
    (shell.folder / "agent.toml").write_text('livekit.room_name = "tea room"\n')
    outcome = shell.run("token", "--identity", "alice", "--config", "agent.toml", env=ACCOUNT)
    assert outcome.code == 0
    assert jwt.decode(outcome.out.strip(), SECRET, algorithms=["HS256"])["video"]["room"] == "tea room"


def test_the_secret_of_a_development_server_makes_a_token_without_a_warning(shell: Shell) -> None:
    outcome = shell.run("token", "--identity", "alice", env={**ACCOUNT, "LIVEKIT_API_SECRET": "secret"})
    assert (outcome.code, outcome.lines) == (0, [])


def test_a_misspelt_flag_is_named_with_the_one_that_was_meant(shell: Shell) -> None:
    outcome = shell.run("--profle", "deliberate", "config")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.lines[-1].endswith("there is no --profle; did you mean --profile?")
