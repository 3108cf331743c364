"""What a person can set, how they learn what is wrong with it, and that no secret is ever quoted."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.errors import SettingsError
from channels.secret import Secret
from channels.settings import (
    ACCOUNT,
    DEFAULT_ROOM_NAME,
    DEFAULT_VOICE_AGENT_URL,
    LIVEKIT_ACCOUNT,
    Accounts,
    LiveKitAccount,
    SessionSettings,
    Settings,
    gather,
    read_configuration,
)

GOOD = {
    "LIVEKIT_URL": "wss://our-project.livekit.cloud",
    "LIVEKIT_API_KEY": "APIabcdefgh",
    "LIVEKIT_API_SECRET": "livekit-secret-0123456789",
    "ASSEMBLYAI_API_KEY": "assembly-secret-0123456789",
}
NO_FILE = Path("/nonexistent/.env")


@attrs.frozen
class Read:
    accounts: Accounts
    settings: Settings


def read(found: Mapping[str, str]) -> tuple[Read, list[str]]:
    warnings: list[str] = []
    writings = gather(None, found, NO_FILE, {}, warnings.append)
    in_force = read_configuration(writings, warnings.append, required=ACCOUNT)
    return Read(in_force.accounts(), in_force.settings()), warnings


def read_livekit(found: Mapping[str, str]) -> LiveKitAccount:
    writings = gather(None, found, NO_FILE, {}, lambda line: None)
    return read_configuration(writings, lambda line: None, required=LIVEKIT_ACCOUNT).livekit()


def read_environment(environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """What is written there, by path."""
    writings = gather(None, environ, dotenv, {}, lambda line: None)
    return {path: written.value for path, written in writings.written.items()}


def problems(found: Mapping[str, str]) -> list[str]:
    """The lines that a person reads."""
    with pytest.raises(SettingsError) as raised:
        read(found)
    return str(raised.value).split("\n")


def test_four_settings_are_enough() -> None:
    found, warnings = read(GOOD)
    livekit, api = found.accounts.livekit, found.accounts.api
    assert livekit.url == GOOD["LIVEKIT_URL"]
    assert livekit.api_key == GOOD["LIVEKIT_API_KEY"]
    assert livekit.api_secret == Secret(GOOD["LIVEKIT_API_SECRET"])
    assert api.api_key == Secret(GOOD["ASSEMBLYAI_API_KEY"])
    assert api.url == DEFAULT_VOICE_AGENT_URL
    assert found.settings.room_name == DEFAULT_ROOM_NAME
    assert found.settings.speaker.queue_size_ms == 100
    assert warnings == []


def test_the_rest_can_be_set_too() -> None:
    found, _ = read(
        {**GOOD, "ROOM_NAME": "tea", "VOICE_AGENT_URL": "wss://eu.example/v1/ws", "QUEUE_SIZE_MS": "2000"}
    )
    assert found.settings.room_name == "tea"
    assert found.accounts.api.url == "wss://eu.example/v1/ws"
    assert found.settings.speaker.queue_size_ms == 2000


def test_the_service_is_not_told_how_to_detect_turns_since_that_would_make_it_worse() -> None:
    assert "input" not in SessionSettings().as_wire()


@pytest.mark.parametrize("missing", GOOD)
def test_a_missing_setting_is_one_line_that_names_it_and_says_where_to_get_it(missing: str) -> None:
    (line,) = problems({name: value for name, value in GOOD.items() if name != missing})
    assert line.startswith(f"{missing} is not set; ")
    assert len(line) > len(f"{missing} is not set; ") + 20


def test_everything_that_is_missing_is_said_in_one_go() -> None:
    lines = problems({})
    assert [line.split()[0] for line in lines] == list(GOOD)


def test_everything_that_is_malformed_is_said_in_one_go() -> None:
    wrong = {
        "LIVEKIT_URL": "our-project.livekit.cloud",
        "LIVEKIT_API_KEY": "API key",
        "LIVEKIT_API_SECRET": "<secret>",
        "ROOM_NAME": "two\nlines",
        "ASSEMBLYAI_API_KEY": "your_api_key",
        "VOICE_AGENT_URL": "https://agents.assemblyai.com",
        "QUEUE_SIZE_MS": "fast",
    }
    lines = problems(wrong)
    assert sorted(line.split()[0] for line in lines) == sorted(wrong)
    assert all(line.isprintable() for line in lines)
    assert all("; " in line for line in lines)


def test_those_who_need_livekit_only_are_asked_for_livekit_only() -> None:
    only = {name: value for name, value in GOOD.items() if name.startswith("LIVEKIT")}
    assert read_livekit(only).url == GOOD["LIVEKIT_URL"]
    with pytest.raises(SettingsError) as raised:
        read_livekit({})
    assert "ASSEMBLYAI" not in str(raised.value)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("blank", [" ", "\n", "\t", "\r\n"])
def test_white_space_around_a_value_is_left_out_and_warned_of(name: str, blank: str) -> None:
    found, warnings = read({**GOOD, name: f"{blank}{GOOD[name]}{blank}"})
    assert found == read(GOOD)[0]
    assert len(warnings) == 1
    assert name in warnings[0]
    assert GOOD[name] not in warnings[0]


@pytest.mark.parametrize("name", ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "ASSEMBLYAI_API_KEY"])
@pytest.mark.parametrize(
    "value",
    [
        "two words",
        "a\tb",
        "kéy",
        "k\x00y",
        "your-api-key",
        "YOUR_SECRET_HERE",
        "changeme",
        "<key>",
        '"half-quoted',
        "xxxx",
    ],
)
def test_what_cannot_be_a_key_is_refused_with_its_length_and_not_quoted(name: str, value: str) -> None:
    (line,) = problems({**GOOD, name: value})
    assert line.startswith(f"{name} ")
    assert f"{len(value)} characters" in line
    assert value not in line


@pytest.mark.parametrize(
    "url",
    [
        "ws://127.0.0.1:8765/v1/ws",
        "ws://localhost/v1/ws",
        "ws://LOCALHOST:1/v1/ws",
        "ws://[::1]:8765/v1/ws",
        "ws://127.8.9.1/v1/ws",
        "wss://agents.eu.assemblyai.com/v1/ws",
        "wss://10.0.0.1:8443/v1/ws",
    ],
)
def test_the_key_may_go_over_tls_anywhere_and_unencrypted_within_this_machine(url: str) -> None:
    assert read({**GOOD, "VOICE_AGENT_URL": url})[0].accounts.api.url == url


@pytest.mark.parametrize(
    "url",
    [
        "ws://agents.assemblyai.com/v1/ws",
        "ws://10.0.0.1/v1/ws",
        "ws://0.0.0.0/v1/ws",
        "ws://localhost.example.com/v1/ws",
        "ws://127.0.0.1.example.com/v1/ws",
        "ws://[2001:db8::1]/v1/ws",
    ],
)
def test_the_key_is_never_sent_unencrypted_to_another_machine(url: str) -> None:
    (line,) = problems({**GOOD, "VOICE_AGENT_URL": url})
    assert "unencrypted" in line
    assert line.startswith("VOICE_AGENT_URL ")


@pytest.mark.parametrize(
    "url",
    [
        "agents.assemblyai.com/v1/ws",
        "wss:/v1/ws",
        "wss://",
        "wss:///v1/ws",
        "https://agents.assemblyai.com/v1/ws",
        "ftp://agents.assemblyai.com",
        "wss://host:port/v1/ws",
        "wss://host:99999/v1/ws",
        "wss://[::1/v1/ws",
        "wss://ho st/v1/ws",
        "wss://host/v1/ws?token=abc",
        "wss://host/v1/ws#abc",
        "wss://user:pass@host/v1/ws",
        "wss://host/ü/v1/ws",
    ],
)
def test_what_is_no_address_of_a_websocket_is_refused(url: str) -> None:
    (line,) = problems({**GOOD, "VOICE_AGENT_URL": url})
    assert line.startswith("VOICE_AGENT_URL ")


@pytest.mark.parametrize(
    "url",
    ["ws://localhost:7880", "wss://x.livekit.cloud", "http://127.0.0.1:7880", "https://x.livekit.cloud"],
)
def test_livekit_may_be_written_as_a_websocket_or_as_a_web_address(url: str) -> None:
    assert read({**GOOD, "LIVEKIT_URL": url})[0].accounts.livekit.url == url


@pytest.mark.parametrize("url", ["x.livekit.cloud", "redis://x", "wss://x.livekit.cloud?access_token=abc"])
def test_what_is_no_address_of_livekit_is_refused(url: str) -> None:
    (line,) = problems({**GOOD, "LIVEKIT_URL": url})
    assert line.startswith("LIVEKIT_URL ")
    assert "abc" not in line


@pytest.mark.parametrize(
    "value", ["39", "2001", "-100", "100.0", "1e2", "abc", "١٠٠", "9" * 5000, "100ms", "0x64"]
)
def test_a_queue_that_no_speaker_can_have_is_refused(value: str) -> None:
    (line,) = problems({**GOOD, "QUEUE_SIZE_MS": value})
    assert "from 40 to 2000" in line
    assert len(line) < 200


@pytest.mark.parametrize("value", ["40", "100", "2000"])
def test_a_queue_that_a_speaker_can_have_is_taken(value: str) -> None:
    assert read({**GOOD, "QUEUE_SIZE_MS": value})[0].settings.speaker.queue_size_ms == int(value)


@pytest.mark.parametrize("value", ["-1", "60001", "3000.0", "3 s", "٣٠٠٠", "9" * 5000])
def test_a_hold_that_nobody_would_wait_for_is_refused(value: str) -> None:
    (line,) = problems({**GOOD, "HOLD_MS": value})
    assert "from 0 to 60000" in line
    assert len(line) < 200


@pytest.mark.parametrize("value", ["0", "3000", "60000"])
def test_holding_can_be_made_shorter_or_switched_off(value: str) -> None:
    assert read({**GOOD, "HOLD_MS": value})[0].settings.barge_in.longest_hold_ms == int(value)


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ROOM_NAME=from the file\nLIVEKIT_API_KEY=APIfile\n")
    found = read_environment({"ROOM_NAME": "from the environment", "HOME": "/"}, dotenv)
    assert found == {"livekit.room_name": "from the environment", "livekit.api_key": "APIfile"}


@pytest.mark.parametrize("blank", ["", " ", "\t"])
def test_what_is_blank_in_the_environment_does_not_hide_what_the_file_says(
    tmp_path: Path, blank: str
) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ROOM_NAME=tea\n")
    assert read_environment({"ROOM_NAME": blank}, dotenv) == {"livekit.room_name": "tea"}


def test_what_is_blank_everywhere_is_not_set(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("ROOM_NAME=\nLIVEKIT_URL='  '\nLIVEKIT_API_KEY\n")
    assert read_environment({}, dotenv) == {}
    assert read_environment({}, NO_FILE) == {}
    assert read({**GOOD, "ROOM_NAME": " "})[0].settings.room_name == DEFAULT_ROOM_NAME


def test_a_secret_with_a_dollar_in_it_is_not_taken_for_a_variable(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("LIVEKIT_API_SECRET=ab${HOME}cd$USER\n")
    assert read_environment({}, dotenv) == {"livekit.api_secret": "ab${HOME}cd$USER"}


def test_the_mark_that_windows_puts_before_a_text_does_not_hide_the_first_setting(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("LIVEKIT_API_KEY=APIfile\nROOM_NAME=tea\n", encoding="utf-8-sig")
    assert read_environment({}, dotenv) == {"livekit.api_key": "APIfile", "livekit.room_name": "tea"}


def test_a_file_in_another_encoding_is_an_error_that_names_it_and_quotes_nothing(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("LIVEKIT_API_SECRET=my-secret-secret\n", encoding="utf-16")
    with pytest.raises(SettingsError) as raised:
        read_environment({}, dotenv)
    assert str(dotenv) in str(raised.value)
    assert "UTF-8" in str(raised.value)
    assert "secret-secret" not in str(raised.value)


def test_a_folder_called_env_is_no_file_of_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert read_environment({}, tmp_path / ".env") == {}


@given(st.binary(max_size=200))
def test_whatever_the_file_contains_reading_it_gives_settings_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    dotenv = tmp_path_factory.mktemp("env") / ".env"
    dotenv.write_bytes(content)
    try:
        found = read_environment({}, dotenv)
    except SettingsError:
        return
    assert all(value.strip() for value in found.values())


@given(st.fixed_dictionaries({}, optional={name: st.text(max_size=60) for name in [*GOOD, "ROOM_NAME"]}))
def test_whatever_is_set_the_answer_is_settings_or_lines_that_name_what_is_wrong(
    found: dict[str, str],
) -> None:
    try:
        read(found)
    except SettingsError as error:
        for line in str(error).split("\n"):
            assert line.split()[0] in {*GOOD, "ROOM_NAME"}


# A secret as people have them, and the ways in which it gets into the wrong place or the wrong shape.
# Each begins with what no other text has, since hypothesis likes to try words of the program itself.
secrets = st.text(
    alphabet=string.ascii_letters + string.digits + "-_.+/=~!$%&*", min_size=8, max_size=60
).map("Q7zX{}".format)
shapes = st.sampled_from(
    [
        "{}",
        " {}\n",
        "{} {}",
        '"{}"',
        "<{}>",
        "{}\x00",
        "é{}",
        "key={}",
        "Bearer {}",
        "wss://user:{}@host/v1/ws",
        "wss://user:{}@host:99999/v1/ws",
        "wss://user:{}@ho st/v1/ws",
        "wss://{}@[::1/v1/ws",
        "ftp://{}@host",
        "ws://host/v1/ws?token={}",
        "wss://host/v1/ws?token={}",
        "https://host/?api_key={}",
        "wss://host/v1/ws#{}",
    ]
)
places = st.sampled_from([*GOOD, "ROOM_NAME", "VOICE_AGENT_URL", "QUEUE_SIZE_MS", "HOLD_MS"])


@given(secrets, secrets, st.lists(st.tuples(places, shapes, st.booleans()), max_size=7))
@example("a" * 12, "b" * 12, [("LIVEKIT_URL", "{}", True)])
@example("a" * 12, "b" * 12, [("QUEUE_SIZE_MS", "{}", True)])
@example("Q7zX0000000/", "b" * 12, [("LIVEKIT_URL", "wss://user:{}@host/v1/ws", True)])
def test_no_secret_is_ever_in_an_error_a_warning_or_the_repr_of_the_settings(
    first: str, second: str, pasted: list[tuple[str, str, bool]]
) -> None:
    found = {**GOOD, "LIVEKIT_API_SECRET": first, "ASSEMBLYAI_API_KEY": second}
    for place, shape, which in pasted:
        found[place] = shape.replace("{}", first if which else second)
    warnings: list[str] = []
    texts: list[str] = []
    try:
        writings = gather(None, found, NO_FILE, {}, warnings.append)
        in_force = read_configuration(writings, warnings.append, required=ACCOUNT)
        settings, accounts = in_force.settings(), in_force.accounts()
        # What is no secret by its name is shown: the key's id is in every token, a room's name on the screen.
        shown = accounts.livekit.api_key + settings.room_name
        texts += [repr(settings), str(settings), repr(accounts), str(accounts)]
    except SettingsError as error:
        shown = ""
        texts += [str(error), repr(error)]
    for text in [*texts, *warnings]:
        for secret in (first, second):
            assert secret not in text or secret in shown
