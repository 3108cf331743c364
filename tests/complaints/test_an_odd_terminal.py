"""A terminal of another alphabet, none at all, or Ctrl-C before anything has begun: never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from channels.child import tied
from tests.agent_process import ROOT

RUNNER = str(ROOT / "runner.py")
ENVIRON = {"PATH": os.environ["PATH"], "VOICE_AGENT_GREETING": "Grüße, 你好 👋 „\u00a0“"}
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(
    *arguments: str, env: dict[str, str], folder: Path, script: str = ""
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, RUNNER, *arguments]
    if script:
        command = ["sh", "-c", script, *command]
    return subprocess.run(
        command, env={**ENVIRON, **env}, cwd=folder, capture_output=True, timeout=60, check=False
    )


ASCII = ({"PYTHONIOENCODING": "ascii"}, "ascii")


@pytest.mark.parametrize(
    ("arguments", "env", "encoding"),
    [
        (["config"], {"PYTHONIOENCODING": "latin-1"}, "latin-1"),
        (["config"], C_LOCALE, "ascii"),
        (["config", "--json"], *ASCII),
        (["--help"], *ASCII),
        (["graph"], *ASCII),
        (["check"], *ASCII),
    ],
)
def test_every_command_can_be_read_in_every_locale(
    tmp_path: Path, arguments: list[str], env: dict[str, str], encoding: str
) -> None:
    if arguments == ["check"]:  # of servers that are not there
        env = {
            **env,
            "LIVEKIT_URL": "ws://127.0.0.1:1",
            "LIVEKIT_API_KEY": "k",
            "LIVEKIT_API_SECRET": "s" * 32,
        }
        env |= {"ASSEMBLYAI_API_KEY": "a" * 32, "VOICE_AGENT_URL": "ws://127.0.0.1:1/v1/ws"}
    done = run(*arguments, env=env, folder=tmp_path)
    assert b"Traceback" not in done.stderr
    assert done.returncode == (1 if arguments == ["check"] else 0)
    said = done.stdout.decode(encoding)
    if arguments == ["config", "--json"]:
        assert json.loads(said)["session.greeting"]["value"] == ENVIRON["VOICE_AGENT_GREETING"]


@pytest.mark.parametrize("closed", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_end_nothing(tmp_path: Path, closed: str) -> None:
    done = run("config", env={}, folder=tmp_path, script=f'exec "$0" "$@" {closed}')
    assert done.returncode == 0
    assert (b"session.greeting" in done.stdout) is ("1>" not in closed)


def test_a_log_without_a_stream_still_ends_with_the_code_of_what_happened(tmp_path: Path) -> None:
    env = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s" * 32}
    done = run(
        env={**env, "ASSEMBLYAI_API_KEY": "a" * 32}, folder=tmp_path, script='"$0" "$@" 2>&-; echo "code $?"'
    )
    assert done.stdout == b"code 1\n"
    silent = run(env=env, folder=tmp_path, script='"$0" "$@" 2>&-; echo "code $?"')
    assert silent.stdout == b"code 2\n"


PRESSES_CTRL_C = """
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "%s":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = [%r, *sys.argv[1:]]
sys.path.insert(0, %r)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    "module", ["argparse", "trio", "livekit", "commands.serve", "commands.here", "playground.page_server"]
)
def test_ctrl_c_in_the_first_second_ends_it_without_a_traceback(tmp_path: Path, module: str) -> None:
    # While this module is being imported.
    script = PRESSES_CTRL_C % (module, RUNNER, str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=ENVIRON,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    assert b"KeyboardInterrupt" not in done.stderr
    assert done.returncode in (-signal.SIGINT, 130)


def test_ctrl_c_while_a_command_is_at_work_ends_it_without_a_traceback(tmp_path: Path) -> None:
    with subprocess.Popen(
        tied([sys.executable, RUNNER, "check"]),
        env=ENVIRON,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()  # it has begun
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert b"Traceback" not in said


def test_whoever_has_read_enough_of_an_answer_ends_a_command_quietly(tmp_path: Path) -> None:
    done = run("config", env={}, folder=tmp_path, script='"$0" "$@" | head -n 1')
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
