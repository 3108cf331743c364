"""The command line as a person meets it: what is wrong is said in lines, and nothing ends in a traceback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import jwt
import pytest

RUNNER = Path(__file__).resolve().parent.parent / "runner.py"
SECRET = "livekit-secret-that-nobody-may-see-0123456789"
KEY = "assembly-key-that-nobody-may-see-0123456789"
LIVEKIT = {"LIVEKIT_URL": "ws://localhost:7880", "LIVEKIT_API_KEY": "APIabc", "LIVEKIT_API_SECRET": SECRET}
ACCOUNT = {**LIVEKIT, "ASSEMBLYAI_API_KEY": KEY}


@attrs.frozen
class Outcome:
    """What a run of the program left behind."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What a person reads on stderr."""
        return self.err.splitlines()


@attrs.frozen
class Shell:
    """Runs the program in a folder of its own, with an environment of its own."""

    folder: Path

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, dotenv: str | bytes = b""
    ) -> Outcome:
        content = dotenv.encode() if isinstance(dotenv, str) else dotenv
        if content:
            (self.folder / ".env").write_bytes(content)
        inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        done = subprocess.run(
            [sys.executable, str(RUNNER), *arguments],
            cwd=self.folder,
            env={**inherited, "HOME": str(self.folder), **(env or {})},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        outcome = Outcome(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in outcome.err
        assert SECRET not in outcome.out + outcome.err
        assert KEY not in outcome.out + outcome.err
        return outcome


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@contextmanager
def nobody_listens() -> Iterator[int]:
    """A port at which nobody listens, and nobody else can begin to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def read_token(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return decoded


@pytest.mark.parametrize(
    "given", [["LIVEKIT_URL"], ["ASSEMBLYAI_API_KEY"], ["LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"]]
)
def test_every_missing_setting_is_one_line_and_the_exit_code_is_2(shell: Shell, given: list[str]) -> None:
    outcome = shell.run(env={name: ACCOUNT[name] for name in given})
    assert outcome.code == 2
    assert outcome.out == ""
    missing = [name for name in ACCOUNT if name not in given]
    assert [line.split(" ")[0] for line in outcome.lines] == missing
    assert all(" is not set; " in line for line in outcome.lines)


def test_every_malformed_setting_is_one_line_and_the_exit_code_is_2(shell: Shell) -> None:
    wrong = {
        "LIVEKIT_URL": SECRET,
        "VOICE_AGENT_URL": f"ws://x/?token={KEY}",
        "ASSEMBLYAI_API_KEY": f"{KEY} {KEY}",
    }
    outcome = shell.run(env={**ACCOUNT, **wrong})
    assert outcome.code == 2
    assert [line.split(" ")[0] for line in outcome.lines] == list(wrong)


def test_settings_may_come_from_a_file(shell: Shell) -> None:
    outcome = shell.run(
        "token", "--identity", "alice", dotenv="".join(f"{n}={v}\n" for n, v in LIVEKIT.items())
    )
    assert outcome.code == 0
    assert read_token(outcome.out.strip())["sub"] == "alice"


def test_a_file_that_is_no_text_is_one_line_that_names_it(shell: Shell) -> None:
    outcome = shell.run(
        "token", "--identity", "alice", dotenv=f"LIVEKIT_API_SECRET={SECRET}".encode("utf-16")
    )
    assert outcome.code == 2
    assert len(outcome.lines) == 1
    assert ".env" in outcome.lines[0]


def test_a_token_lets_its_bearer_into_the_room_under_the_name_that_was_asked_for(shell: Shell) -> None:
    outcome = shell.run("token", "--identity", "alice", env={**LIVEKIT, "ROOM_NAME": "tea room"})
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.count("\n") == 1
    read = read_token(outcome.out.strip())
    assert read["sub"] == "alice"
    assert read["iss"] == "APIabc"
    assert read["video"]["roomJoin"] is True
    assert read["video"]["room"] == "tea room"
    assert not {"roomAdmin", "roomCreate", "roomList", "roomRecord", "ingressAdmin"} & set(read["video"])
    assert read["exp"] - read["nbf"] <= 3660


def test_a_token_needs_no_key_of_the_service(shell: Shell) -> None:
    outcome = shell.run("token", "--identity", "alice")
    assert outcome.code == 2
    assert [line.split(" ")[0] for line in outcome.lines] == list(LIVEKIT)


@pytest.mark.parametrize("identity", ["voice-agent", "", "  "])
def test_a_name_that_would_put_the_agent_out_or_is_none_is_refused(shell: Shell, identity: str) -> None:
    outcome = shell.run("token", "--identity", identity, env=LIVEKIT)
    assert (outcome.code, outcome.out) == (2, "")
    assert len(outcome.lines) == 1
    assert "identity" in outcome.lines[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["token"],
        ["tokens"],
        ["--log", "xml"],
        ["--nonsense"],
        ["--log", "conversation", "serve"],
        ["--log", "conversation", "--verbose"],
    ],
)
def test_a_mistyped_command_is_answered_with_how_it_is_used(shell: Shell, arguments: list[str]) -> None:
    outcome = shell.run(*arguments, env=LIVEKIT)
    assert outcome.code == 2
    assert outcome.lines[0].startswith("usage: python runner.py")


def test_it_tells_its_name_and_version_without_an_account(shell: Shell) -> None:
    project = tomllib.loads(RUNNER.with_name("pyproject.toml").read_text("utf-8"))["project"]
    outcome = shell.run("--version")
    assert (outcome.code, outcome.out) == (0, f"{project['name']} {project['version']}\n")


def test_help_says_what_there_is(shell: Shell) -> None:
    outcome = shell.run("--help")
    assert outcome.code == 0
    assert "token" in outcome.out
    assert "--log" in outcome.out


@pytest.mark.parametrize("form", ["text", "json"])
def test_white_space_around_a_setting_is_warned_of_in_the_log(shell: Shell, form: str) -> None:
    env = {**LIVEKIT, "LIVEKIT_API_SECRET": f" {SECRET}\n"}
    outcome = shell.run("--log", form, "token", "--identity", "alice", env=env)
    assert outcome.code == 0
    assert read_token(outcome.out.strip())["sub"] == "alice"
    (line,) = outcome.lines
    assert "LIVEKIT_API_SECRET has white space around it" in line
    if form == "json":
        assert json.loads(line)["level"] == "warning"


def test_with_a_log_in_json_every_line_is_json_from_the_start_to_the_reason_of_the_end(shell: Shell) -> None:
    with nobody_listens() as port:
        outcome = shell.run("--log", "json", env={**ACCOUNT, "LIVEKIT_URL": f"ws://127.0.0.1:{port}"})
    assert outcome.code == 1
    assert outcome.out == ""
    lines = [json.loads(line) for line in outcome.lines]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert lines[0]["event"] == "starting"
    # The SDK hands its own lines to a thread of its own: they may come late.
    last = [line for line in lines if line["event"] != "library"][-1]
    assert last["event"] == "ended"
    assert str(port) in last["why"]
    assert "LIVEKIT_URL" in last["fix"]


def test_a_livekit_server_that_is_not_there_is_one_line_with_a_fix(shell: Shell) -> None:
    with nobody_listens() as port:
        outcome = shell.run(env={**ACCOUNT, "LIVEKIT_URL": f"ws://127.0.0.1:{port}"})
    assert outcome.code == 1
    (ended,) = (line for line in outcome.lines if " ended " in line)
    assert "cannot be reached" in ended
    assert "LIVEKIT_URL" in ended


def test_a_conversation_in_a_pipe_is_plain_lines_that_say_why_it_ended(shell: Shell) -> None:
    with nobody_listens() as port:
        url = f"ws://127.0.0.1:{port}"
        outcome = shell.run("--log", "conversation", env={**ACCOUNT, "LIVEKIT_URL": url})
    assert outcome.code == 1
    assert outcome.lines[-2:] == [
        f"! Ended: LiveKit at {url} cannot be reached",
        "  check LIVEKIT_URL, and that the server is running",
    ]
    assert "\x1b" not in outcome.err
    assert "\r" not in outcome.err
    assert "library" not in outcome.err
