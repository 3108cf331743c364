"""The pages tell the truth: their code runs, their commands work, their list is whole."""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

import runner
from bench.bad_additions import Blocked
from channels.bounded import Receiver
from channels.errors import SettingsError
from channels.streams import Addition
from channels.wire.messages import SessionUpdate
from commands.added import read_addition
from commands.graph import draw
from tests.examples.scripted_call import Call, scripted_call

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "composing.md").read_text("utf-8")
TUTORIAL = (ROOT / "docs" / "tutorials" / "own-actor.md").read_text("utf-8")


def files(page: str, name: str) -> list[str]:
    """The versions of a file that a page goes through."""
    return re.findall(rf"```python\n(# {re.escape(name)}\n.*?)```", page, re.DOTALL)


def commands() -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def added(folder: Path, name: str, code: str, kind: str, values: str = "") -> Addition:
    (folder / name).write_text(code, "utf-8")
    return read_addition(f"{folder / name}:{kind}{values}")


async def talk(call: Call) -> None:
    """The agent talks five times as long as the person."""
    await call.person_says("Tell me about tea.", s=1)
    await call.agent_says("r1", "Tea is a plant and a drink.", s=5)
    await trio.sleep(6)


def test_every_block_of_code_is_a_file_that_is_run_here() -> None:
    names = re.findall(r"```python\n(.*)\n", PAGE)
    assert set(names) == {"# talk_time.py", "# test_talk_time.py", "# loudness.py"}
    assert names.count("# talk_time.py") == 3


async def test_the_first_step_hears_of_all_that_happens(autojump_clock: MockClock, tmp_path: Path) -> None:
    step = added(tmp_path, "talk_time.py", files(PAGE, "talk_time.py")[0], "TalkTime")
    with capture_logs() as logged:
        async with scripted_call(step) as call:
            await talk(call)
    told = [entry["what"] for entry in logged if entry["event"] == "heard_of"]
    assert {"SessionStarted", "SoundStarted", "PersonSaid", "WordsHeard", "ReplyEnded", "TurnTimed"} <= set(
        told
    )


async def test_the_second_step_tells_who_talked_how_long(autojump_clock: MockClock, tmp_path: Path) -> None:
    step = added(tmp_path, "talk_time.py", files(PAGE, "talk_time.py")[1], "TalkTime")
    with capture_logs() as logged:
        async with scripted_call(step) as call:
            await talk(call)
    (times,) = [entry for entry in logged if entry["event"] == "talk_time"]
    assert times["person"] == pytest.approx(1, abs=0.05)
    assert times["agent"] == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize(("most", "asked"), [("", 1), (",most=4.5", 1), (",most=6", 0)])
async def test_the_third_step_asks_the_agent_to_be_brief(
    most: str, asked: int, autojump_clock: MockClock, tmp_path: Path
) -> None:
    step = added(tmp_path, "talk_time.py", files(PAGE, "talk_time.py")[2], "TalkTime", most)
    async with scripted_call(step) as call:
        await talk(call)
        updates = call.asked(SessionUpdate)[1:]
        assert len(updates) == asked
        assert all("You talk more" in update.session["system_prompt"] for update in updates)


def test_the_fourth_step_is_a_test_that_passes_and_can_fail(tmp_path: Path) -> None:
    code = files(PAGE, "talk_time.py")[2]
    (tmp_path / "test_talk_time.py").write_text(files(PAGE, "test_talk_time.py")[0], "utf-8")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    for most, status in (("3.0", 0), ("30.0", 1)):
        (tmp_path / "talk_time.py").write_text(
            code.replace("most: float = 3.0", f"most: float = {most}"), "utf-8"
        )
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert run.returncode == status, run.stdout.decode()


async def test_what_works_in_a_thread_is_heard_for_each_second(call_clock: MockClock, tmp_path: Path) -> None:
    loudness = added(tmp_path, "loudness.py", files(PAGE, "loudness.py")[0], "Loudness")
    with capture_logs() as logged:
        async with scripted_call(loudness) as call:
            await trio.sleep(1.02)
            await call.person_says("A second of sound.", s=1)
            await trio.sleep(2)
    told = [entry["rms"] for entry in logged if entry["event"] == "loudness"]
    assert max(told[:3]) == pytest.approx(3000, rel=0.1)
    assert told[0] == 0


async def test_the_actor_of_the_tutorial_writes_down_what_was_said(
    call_clock: MockClock, tmp_path: Path
) -> None:
    (code,) = files(TUTORIAL, "transcript.py")
    path = tmp_path / "said.jsonl"
    example = added(tmp_path, "transcript.py", code, "Transcript", f",path={path}")
    async with scripted_call(example) as call:
        await talk(call)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines == [
        {"person": "Tell me about tea."},
        {"agent": "Tea is a plant and a drink.", "ended": "played"},
    ]
    assert "runner.py --actor transcript.py:Transcript,path=said.jsonl" in TUTORIAL


@pytest.mark.parametrize("command", commands())
def test_each_command_draws_the_actor_in_its_place(command: str, tmp_path: Path) -> None:
    (tmp_path / "talk_time.py").write_text(files(PAGE, "talk_time.py")[2], "utf-8")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    program, script, *arguments = shlex.split(command)
    assert (program, script) == (".venv/bin/python", "runner.py")
    run = subprocess.run(
        [sys.executable, str(ROOT / "runner.py"), *arguments],
        cwd=tmp_path,
        env={**os.environ, "WEBHOOK_SECRET": "whsec_" + base64.b64encode(bytes(32)).decode()},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    name = re.findall(r":(\w+)", command)[0]
    assert f'{name}("{name}"):::bystander' in run.stdout


def test_what_an_actor_cannot_have_is_said_before_anything_is_started() -> None:
    actor = f"{ROOT}/examples/webhook.py:Webhook,url=https://example.com/,spool=spool"
    env = {name: value for name, value in os.environ.items() if name != "WEBHOOK_SECRET"}
    command = [sys.executable, str(ROOT / "runner.py"), "--actor", actor]
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 2
    assert run.stderr.startswith("WEBHOOK_SECRET is not set; set it in the environment")
    assert run.stderr.count("\n") == 1


@attrs.define
class AsksForWhatIsNot:
    secrets: Receiver[bytes]

    async def run(self) -> None: ...


def test_the_page_lists_every_stream_with_its_capacity() -> None:
    listed = dict(re.findall(r"^\| `(\w+\[\w+\])` \|.*\| (.+?) \|$", PAGE, re.MULTILINE))
    with pytest.raises(SettingsError) as error:
        draw(functools.partial(runner.wire, additions=[Addition(AsksForWhatIsNot)]))
    assert error.value.fix == "the streams are " + ", ".join(sorted(listed))
    drawing = draw(functools.partial(runner.wire, additions=[Addition(Blocked)]))
    for stream, kept in listed.items():
        if stream.startswith("Receiver"):
            assert f"<small>{kept.split()[0]} " in "".join(
                line for line in drawing.splitlines() if line.endswith("Blocked")
            )
