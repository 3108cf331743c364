"""A recorded call replays as it was, and tells where a changed agent would have done otherwise."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

import runner
from channels.settings import BargeInSettings
from commands.arguments import parse
from commands.replay import replay
from tests.actors.record.scripted import SETTINGS, Script, record_call

STORY = "Once upon a time there was an old lighthouse keeper who climbed the stairs every single evening"


def a_call() -> Script:
    """A greeting, a question and its answer, a cough, and an interruption that the service decides late."""
    script = Script()
    script.session(0.4)
    script.reply(0.6, "r1", "Hello there, how can I help you today?")
    script.says(5.0, 6.8, "Tell me a story, please.")
    script.reply(7.9, "r2", STORY, burst=True)
    script.sound(9.5, 9.9)  # a cough
    script.says(13.5, 15.6, "Stop, that is enough.", named_after=1.3, interrupts="r2")
    script.reply(17.0, "r3", "Of course. What else would you like?")
    return script


def options(path: Path, *more: str) -> argparse.Namespace:
    return parse(["replay", str(path), *more])


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return record_call(tmp_path / "call.jsonl", a_call(), ends_at=22.0)


def test_a_call_replays_as_it_was(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = replay(options(recorded), runner.wire)
    said = capsys.readouterr().out
    assert code == 0, said
    assert "no difference" in said
    assert "within 0 ms" in said, "late as the loudspeaker was"
    for what in (
        "3 × reply over",
        "1 × reply cut",
        "2 × voice held",
        "1 × voice resumed",
        "4 × floor: agent",
    ):
        assert what in said


def test_another_setting_shows_what_would_have_happened_with_it(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(options(recorded, "--hold-ms", "0"), runner.wire) == 1
    said = capsys.readouterr().out
    assert re.search(r"another barge_in: longest_hold_ms 0 instead of \d+\n", said), said
    assert "voice held: recorded at 0:09.5" in said
    assert "replayed not at all" in said
    assert "reply over, r2: recorded cut" in said, "unheld it was over before the service decided"
    assert "floor: person: recorded at 0:09.5" in said


def test_an_agent_that_decides_otherwise_is_told_from_the_recorded_one(
    recorded: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors.barge_in import machine, table

    deaf = {
        life: {**row, table.ReplySignal.INTERRUPTED: row[table.ReplySignal.LEFT_OPEN]}
        for life, row in table.TABLE.items()
    }
    monkeypatch.setattr(machine, "TABLE", deaf)
    assert replay(options(recorded), runner.wire) == 1
    said = capsys.readouterr().out
    assert "reply cut, r2: recorded at" in said
    assert "reply over, r2: recorded cut after" in said


def test_a_call_in_the_middle_of_which_the_agent_left_replays_as_it_was(tmp_path: Path) -> None:
    path = record_call(tmp_path / "left.jsonl", a_call(), ends_at=10.6)
    assert replay(options(path), runner.wire) == 0


@pytest.mark.parametrize("setting", [[], ["--linger-ms", "900"]], ids=["as it was", "in virtual time"])
def test_what_was_typed_after_a_hum_is_timed_in_the_replay_as_it_was(
    tmp_path: Path, setting: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script()
    script.session(0.4)
    script.says(1.0, 1.6, "Mm-hm.")
    script.types(20.0, "What time is it?")
    script.reply(20.6, "r1", "It is ten to nine.")
    path = record_call(tmp_path / "typed.jsonl", script, ends_at=26)
    assert replay(options(path, *setting), runner.wire) == 0, capsys.readouterr().out
    assert '"turn_latency_ms":null' in path.read_text("utf-8").replace(" ", "")


def test_a_session_that_was_resumed_or_begun_anew_replays_as_it_was(tmp_path: Path) -> None:
    script = Script()
    script.session(0.2)
    script.reply(0.5, "r1", STORY, stops_at=2.0)
    script.cues.pop()  # it never says that it was interrupted
    script.session(4.0, "sess_2")
    script.reply(4.2, "r2", "Hello again.")
    assert replay(options(record_call(tmp_path / "anew.jsonl", script, ends_at=9)), runner.wire) == 0


def test_settings_of_the_recorded_run_are_those_of_the_replay(tmp_path: Path) -> None:
    settings = attrs.evolve(SETTINGS, barge_in=BargeInSettings(longest_hold_ms=600, linger_ms=100))
    path = record_call(tmp_path / "short.jsonl", a_call(), ends_at=22, settings=settings)
    assert replay(options(path), runner.wire) == 0
    assert replay(options(path, "--hold-ms", "3000"), runner.wire) == 1


def change_line(path: Path, number: int, change: Callable[[bytes], bytes]) -> None:
    lines = path.read_bytes().split(b"\n")
    lines[number - 1] = change(lines[number - 1])
    path.write_bytes(b"\n".join(lines))


def refused(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert replay(options(path), runner.wire) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    return told.err


def of_version_9(line: bytes) -> bytes:
    return json.dumps({**json.loads(line), "version": 9, "project": "7.0"}).encode()


def of_version_1(line: bytes) -> bytes:
    return json.dumps({**json.loads(line), "version": 1}).encode()


def test_an_older_record_that_does_not_tell_what_was_late_is_run_again(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_line(recorded, 1, of_version_1)
    assert replay(options(recorded), runner.wire) == 0
    said = capsys.readouterr().out
    assert "older record" in said
    assert "within 0 ms" not in said


def without_reply(line: bytes) -> bytes:
    content: dict[str, Any] = json.loads(line)
    return json.dumps({"t": content["t"], "on": "service", "is": "ReplyStarted"}).encode()


@pytest.mark.parametrize(
    ("number", "change", "told"),
    [
        (1, lambda line: b"hello", "line 1 of"),
        (1, of_version_9, "version 7.0 of this project"),
        (5, lambda line: line[:20], "line 5 of"),
        (7, without_reply, "line 7 of"),
        (8, lambda line: b"[1, 2]", "line 8 of"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_names_the_place(
    recorded: Path,
    capsys: pytest.CaptureFixture[str],
    number: int,
    change: Callable[[bytes], bytes],
    told: str,
) -> None:
    change_line(recorded, number, change)
    assert told in refused(recorded, capsys)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.jsonl" in refused(tmp_path / "nowhere.jsonl", capsys)


def test_a_record_that_breaks_off_in_a_line_is_read_so_far(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = recorded.read_bytes()
    recorded.write_bytes(content[: int(len(content) * 0.7)])
    code = replay(options(recorded), runner.wire)
    said = capsys.readouterr().out
    assert "breaks off" in said
    assert "it has no end" in said
    assert code == 0, said


def test_lines_of_a_later_version_are_left_out_and_counted(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recorded.open("a") as file:
        file.write('{"t":1.0,"on":"happenings","is":"MoonRose"}\n' * 3)
    assert replay(options(recorded), runner.wire) == 0
    assert "3 lines with MoonRose" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["--record-audio"],
        ["replay"],
        ["replay", "x", "--hold-ms", "many"],
        ["replay", "x", "--linger-ms", "-1"],
        ["replay", "x", "--queue-size-ms", "39"],
    ],
)
def test_a_mistyped_command_is_answered_with_how_it_is_used(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python runner.py")
