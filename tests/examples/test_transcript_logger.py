"""What one finds in the transcript of a call."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trio
import webvtt
from trio.testing import MockClock

from channels.happenings import BystanderFailed, ReplyBegan
from channels.streams import Addition
from examples.transcript_logger import TranscriptLogger
from tests.examples.scripted_call import scripted_call

ROOT = Path(__file__).parents[2]


def lines_of(folder: Path) -> list[dict[str, Any]]:
    (file,) = folder.glob("*.jsonl")
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def subtitles(folder: Path) -> list[Any]:
    (file,) = folder.glob("*.vtt")
    captions: list[Any] = webvtt.read(str(file)).captions
    return captions


async def test_what_was_heard_is_written_down_with_who_and_when(
    call_clock: MockClock, tmp_path: Path
) -> None:
    async with scripted_call(Addition(TranscriptLogger, {"folder": str(tmp_path)})) as call:
        await call.agent_says("r1", "Hello, how can I help?", s=2)
        await trio.sleep(3)
        await call.person_says("Is <tea> cheaper than R&D?", s=1)
        await call.agent_says("r2", "Tea is one euro and we never run out of it", s=5)
        await call.until(ReplyBegan, 2)
        await trio.sleep(2.4)
        await call.service_interrupts("r2")
        await trio.sleep(1)
        await call.leave()
    lines = lines_of(tmp_path)
    assert [(line["who"], line["name"], line["text"]) for line in lines] == [
        ("agent", "agent", "Hello, how can I help?"),
        ("person", "alice", "Is <tea> cheaper than R&D?"),
        ("agent", "agent", "Tea is one euro and"),
    ], "of an interrupted reply, only what was heard"
    assert [line.get("outcome") for line in lines] == ["played", None, "cut"]
    spans = [(datetime.fromisoformat(line["begins"]), datetime.fromisoformat(line["ends"])) for line in lines]
    assert all(begins <= ends for begins, ends in spans)
    assert (spans[0][1] - spans[0][0]).total_seconds() == pytest.approx(2, abs=0.1)
    assert (spans[1][1] - spans[1][0]).total_seconds() == pytest.approx(1.3, abs=0.1)


async def test_the_subtitles_can_be_played(call_clock: MockClock, tmp_path: Path) -> None:
    async with scripted_call(Addition(TranscriptLogger, {"folder": str(tmp_path)})) as call:
        await call.agent_says("r1", "Hello, how can I help?", s=2)
        await trio.sleep(3)
        await call.person_says("Is <tea> cheaper than R&D?", s=1)
        await trio.sleep(1)
    (hello, question) = subtitles(tmp_path)
    assert (hello.voice, hello.text) == ("agent", "Hello, how can I help?")
    assert (hello.start, hello.end[:-3]) == ("00:00:00.030", "00:00:02.")
    assert (question.voice, question.text) == ("alice", "Is &lt;tea&gt; cheaper than R&amp;D?")
    assert question.start.startswith("00:00:03.0"), "from the person's first sound, not from the decision"


async def test_a_word_thrown_in_parts_the_reply_that_goes_on(call_clock: MockClock, tmp_path: Path) -> None:
    async with scripted_call(Addition(TranscriptLogger, {"folder": str(tmp_path)})) as call:
        await call.agent_says("r1", "one two three four five six", s=6)
        await trio.sleep(2.55)
        await call.service_hears("mm-hm")
        await trio.sleep(5)
    assert [(line["who"], line["text"], line.get("outcome")) for line in lines_of(tmp_path)] == [
        ("agent", "one two", None),
        ("person", "mm-hm", None),
        ("agent", "three four five six", "played"),
    ]
    starts = [cue.start for cue in subtitles(tmp_path)]
    assert starts == sorted(starts)


async def test_a_sentence_that_the_service_took_for_two_is_one_line(
    call_clock: MockClock, tmp_path: Path
) -> None:
    async with scripted_call(Addition(TranscriptLogger, {"folder": str(tmp_path)})) as call:
        await trio.sleep(1)
        await call.person_says("I would like", s=1)
        await call.person_says("a table for two.", s=1)
        await call.agent_says("r1", "With pleasure.", s=2)
        await trio.sleep(4)
        await call.person_says("Thanks.", s=0.5)
        await trio.sleep(0.5)
    lines = lines_of(tmp_path)
    assert [(line["who"], line["text"]) for line in lines] == [
        ("person", "I would like a table for two."),
        ("agent", "With pleasure."),
        ("person", "Thanks."),
    ], "the last of which nobody answered"
    begins, ends = (datetime.fromisoformat(lines[0][when]) for when in ("begins", "ends"))
    assert (ends - begins).total_seconds() == pytest.approx(2.6, abs=0.1)


async def test_what_was_said_when_the_call_ended_is_not_lost(call_clock: MockClock, tmp_path: Path) -> None:
    async with scripted_call(Addition(TranscriptLogger, {"folder": str(tmp_path)})) as call:
        await call.agent_says("r1", "one two three four five six", s=6)
        await trio.sleep(3.2)
        await call.leave()
    (line,) = lines_of(tmp_path)
    assert (line["text"], line["outcome"]) == ("one two three", "unfinished")


async def test_each_call_has_its_own_files(call_clock: MockClock, tmp_path: Path) -> None:
    for _ in range(2):
        async with scripted_call(Addition(TranscriptLogger, {"folder": str(tmp_path / "new" / "calls")})):
            await trio.sleep(0.1)
    assert len(list((tmp_path / "new" / "calls").glob("*.jsonl"))) == 2


async def test_a_folder_that_cannot_be_made_is_told_and_the_call_goes_on(
    call_clock: MockClock, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    async with scripted_call(
        Addition(TranscriptLogger, {"folder": str(tmp_path / "file" / "calls")})
    ) as call:
        failed = await call.until(BystanderFailed)
        assert "file/calls" in failed.why
        await call.agent_says("r1", "Hello")
        await trio.sleep(1)
        assert not call.over.is_set()


KILLED = """
import os, signal, sys
from datetime import datetime, timezone
from pathlib import Path
from examples.transcript_logger import Line, Paper
paper = Paper(Path(sys.argv[1]), datetime.now(timezone.utc), 0.0)
paper.open()
for number in range(3):
    paper.write(Line("person", "alice", f"line {number}", number, number + 0.5))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_written_survives_kill_9(tmp_path: Path) -> None:
    program = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False, timeout=60)
    assert program.returncode == -signal.SIGKILL
    assert [line["text"] for line in lines_of(tmp_path)] == ["line 0", "line 1", "line 2"]
    assert [cue.text for cue in subtitles(tmp_path)] == ["line 0", "line 1", "line 2"]
