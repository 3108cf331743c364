"""Settings that were there and right, and were not taken as they were meant."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from channels.errors import SettingsError
from channels.settings import gather, read_configuration
from channels.settings.dotenv import Silent, read_dotenv, unquoted
from channels.settings.listening import Listen
from channels.settings.rules import Malformed, OneLine, Texts

ACCOUNT = """
LIVEKIT_URL=ws://localhost:7880
LIVEKIT_API_KEY=APIabc
LIVEKIT_API_SECRET=a-secret-of-thirty-two-characters
ASSEMBLYAI_API_KEY=0123456789abcdef0123456789abcdef
"""


def read(environ: dict[str, str], dotenv: Path) -> tuple[dict[str, object], list[str]]:
    warnings: list[str] = []
    configuration = read_configuration(gather(None, environ, dotenv, {}, warnings.append), warnings.append)
    return {path: value.value for path, value in configuration.values.items()}, warnings


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_dotenv_that_a_password_manager_writes_into_a_named_pipe_is_read(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    os.mkfifo(dotenv)
    # It opens the pipe when somebody reads, writes, and closes it.
    manager = threading.Thread(target=lambda: dotenv.write_text(ACCOUNT + "ROOM_NAME=tea\n" + "#\n" * 50_000))
    manager.start()
    writings = gather(None, {}, dotenv, {}, lambda line: None)
    manager.join()
    assert writings.name_an_account
    assert writings.written["livekit.room_name"].value == "tea"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_that_nobody_writes_into_is_told_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / ".env")
    told: list[str] = []
    monkeypatch.setattr("channels.settings.dotenv.TOLD_AFTER_S", 0.01)
    with pytest.raises(Silent, match="into which nobody writes"):
        read_dotenv(tmp_path / ".env", told.append, patience_s=0.05)
    assert len(told) == 1, "why nothing happens is told while it is waited for"


def test_a_dotenv_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="leads nowhere"):
        read_dotenv(tmp_path / "link", print)
    assert read_dotenv(tmp_path / "none", print) == {}


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_that_docker_left_around_a_value_are_left_out(tmp_path: Path, quote: str) -> None:
    environ = {"ROOM_NAME": f"{quote}demo{quote}", "ASSEMBLYAI_API_KEY": f"{quote}{'0a1b' * 8}{quote}"}
    values, warnings = read(environ, tmp_path / "none")
    assert values["livekit.room_name"] == "demo"
    assert values["api.api_key"].reveal() == "0a1b" * 8  # type: ignore[attr-defined]
    assert warnings == [f"{name} has quotes around it, which were left out" for name in environ]


def test_quotes_that_belong_to_a_text_are_left_in() -> None:
    for text in ('"Hello," she said, "you"', "it's", '"', "'a\"", ""):
        assert unquoted(text) == text


def test_empty_quotes_mean_that_nothing_is_set(tmp_path: Path) -> None:
    values, _ = read({"ROOM_NAME": '""'}, tmp_path / "none")
    assert values["livekit.room_name"] == "voice-agent-demo"


@pytest.mark.parametrize("name", ["نرم\u200cافزار", "क्\u200dष", "👩\u200d👧", "M.\u00a0Dupont", "10\u202fkg"])
def test_names_and_key_terms_are_taken_in_every_script(name: str) -> None:
    assert OneLine(64).read(name) == name
    assert Texts(5, OneLine(64)).read([name]) == (name,)
    assert Listen().read(f"identity:{name}") == f"identity:{name}"


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\nb", "a\u202eb", "a\u200bb", "\x00"])
def test_what_nobody_can_see_in_a_name_is_still_refused(name: str) -> None:
    with pytest.raises(Malformed):
        OneLine(64).read(name)
    with pytest.raises(Malformed):
        Listen().read(f"identity:{name}")


def test_somebody_elses_variable_decides_nothing(tmp_path: Path) -> None:
    values, warnings = read({"LISTEN": "0.0.0.0:8080"}, tmp_path / "none")
    assert values["listen.to"] == "first"
    assert warnings == []
    values, _ = read({"VOICE_AGENT_LISTEN": "mix"}, tmp_path / "none")
    assert values["listen.to"] == "mix"


def test_the_former_name_in_a_dotenv_is_told_its_new_one(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LISTEN=mix\n")
    values, warnings = read({}, tmp_path / ".env")
    assert values["listen.to"] == "first"
    assert warnings == ["LISTEN is no setting; did you mean VOICE_AGENT_LISTEN?"]
