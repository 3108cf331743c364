"""Whoever looks after an agent finds it without saying where it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from channels.errors import SettingsError
from channels.secret import Secret
from channels.settings import LiveKitAccount
from commands.agent_room import room_of_agent
from commands.agents_here import LiveKitRoom, agents_here, announced
from commands.arguments import parse
from tests.agent_process import ROOT


def agent(room: str, url: str = "ws://127.0.0.1:7880") -> LiveKitRoom:
    return LiveKitRoom(LiveKitAccount(url, "key", Secret("a-secret-of-thirty-two-characters")), room)


def nothing_set() -> LiveKitRoom:
    raise SettingsError("LIVEKIT_URL is not set", "set it")


def test_the_agent_that_runs_here_is_found_and_no_longer_when_it_has_ended(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with announced(agent("tea"), with_keys=True, environ=environ):
        assert [each.room() for each in agents_here(environ)] == [agent("tea")]
        room = room_of_agent(parse(["operate"]), nothing_set, "x", environ)
        assert room.url == "ws://127.0.0.1:7880"
        assert room.token().reveal()
    with pytest.raises(SettingsError, match="LIVEKIT_URL"):
        room_of_agent(parse(["operate"]), nothing_set, "x", environ)


@pytest.mark.parametrize("command", [["operate"], ["graph", "--live"]])
def test_of_several_one_is_asked_for_by_telling_which_there_are(tmp_path: Path, command: list[str]) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with (
        announced(agent("tea", "ws://127.0.0.1:1"), with_keys=True, environ=environ),
        announced(agent("coffee"), with_keys=True, environ=environ),
    ):
        with pytest.raises(SettingsError, match=r"'coffee' at .*'tea' at .*--room"):
            room_of_agent(parse(command), nothing_set, "x", environ)
        chosen = room_of_agent(parse([*command, "--room", "tea"]), nothing_set, "x", environ)
        assert chosen.url == "ws://127.0.0.1:1"
        with pytest.raises(SettingsError, match="'tea'"):
            room_of_agent(parse([*command, "--room", "milk"]), nothing_set, "x", environ)


def test_an_accounts_secret_is_not_written_and_its_agent_here_is_found_all_the_same(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with announced(agent("tea"), with_keys=False, environ=environ):
        (file,) = (tmp_path / "voice-agent").iterdir()
        assert "thirty-two" not in file.read_text()
        room = room_of_agent(parse(["operate"]), lambda: agent("room of .env"), "x", environ)
        assert '"tea"' in _claims(room.token())
        elsewhere = room_of_agent(parse(["operate"]), lambda: agent("other", "ws://else:1"), "x", environ)
        assert '"other"' in _claims(elsewhere.token())


def test_nobody_else_may_read_where_it_is_and_nobody_elses_word_is_taken(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    with announced(agent("tea"), with_keys=True, environ=environ):
        (file,) = (tmp_path / "voice-agent").iterdir()
        assert file.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_mode & 0o077 == 0
        file.chmod(0o644)
        assert agents_here(environ) == []


def test_one_that_was_killed_is_not_found_and_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import os, signal\n"
        "from commands.agents_here import announced\n"
        "from tests.commands.test_agents_here import agent\n"
        "with announced(agent('tea'), with_keys=True):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environ, cwd=ROOT, check=False)
    assert done.returncode < 0
    assert len(list((tmp_path / "voice-agent").iterdir())) == 1
    assert agents_here(environ) == []
    assert list((tmp_path / "voice-agent").iterdir()) == []


def test_where_no_file_can_be_the_agent_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "voice-agent").write_text("a file where the folder should be")
    with announced(agent("tea"), with_keys=True, environ={"XDG_RUNTIME_DIR": str(tmp_path)}):
        assert agents_here({"XDG_RUNTIME_DIR": str(tmp_path)}) == []


def _claims(token: Secret) -> str:
    import jwt

    return str(jwt.decode(token.reveal(), options={"verify_signature": False})["video"]).replace("'", '"')
