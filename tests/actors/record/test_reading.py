"""A record that somebody else wrote, or a disk spoiled: it is read, or a line says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.record.file import RecordFile
from actors.record.reading import RecordUnreadable, read_record
from channels.settings import Settings

HUGE = 10**400


def record_of(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "call.jsonl"
    RecordFile.create(path, Settings(), (), started=0.0, with_sound=False).end(0.0)
    with path.open("a") as file:
        file.writelines(line + "\n" for line in lines)
    return path


def line(**content: Any) -> str:
    return json.dumps({"t": 1.0, "on": "microphone", "is": "SoundStarted", "at": 1.0} | content)


def sound(**content: Any) -> str:
    return line(
        **{"is": "ReplyAudioRun", "reply_id": "r", "since": 1.0, "pieces": [[1.0, 480, None]]} | content
    )


def frames(*frame: Any) -> str:
    return line(**{"is": "MicrophoneRun", "since": 1.0, "count": 1, "length": 2400, "frames": [frame]})


@pytest.mark.parametrize(
    "broken",
    [
        line(t=HUGE),
        line(t=-1),
        line(t=1e300),
        line(t=float("nan")),
        line(t=float("inf")),
        line(t="1e999"),
        line(t=None),
        line(at=HUGE),
        line(at=float("nan")),
        line(at=-1e300),
        sound(since=1e300),
        sound(pieces=[[1e300, 480, None]]),
        sound(pieces=[[float("nan"), 480, None]]),
        sound(pieces=[[1.0, -1, None]]),
        sound(pieces=[[1.0, HUGE, None]]),
        sound(pieces=[[1.0, 480, -7]]),
        sound(pieces=[[1.0, 480, HUGE]]),
        frames(1.0, 0, HUGE),
        frames(1.0, 0, -1),
        frames(1.0, -1, 1),
        frames(-1e300, 0, 1),
        line(**{"is": "Playing", "reply_id": "r", "played_ms": float("inf"), "audible": True}),
        line(**{"is": "Lost", "count": HUGE}),
    ],
)
def test_a_number_that_cannot_be_is_said_to_be_so_with_its_line(tmp_path: Path, broken: str) -> None:
    with pytest.raises(RecordUnreadable) as refused:
        read_record(record_of(tmp_path, line(), broken))
    assert f"line {4} of" in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("version", [HUGE, 1e999, "x", None, [], -1.5e300])
def test_a_header_of_a_version_that_cannot_be_is_none(tmp_path: Path, version: Any) -> None:
    path = record_of(tmp_path)
    header, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(header) | {"version": version}), *rest]))
    with pytest.raises(RecordUnreadable):
        read_record(path)


def test_what_a_tool_was_called_with_may_be_any_number(tmp_path: Path) -> None:
    call = line(**{"is": "ToolCall", "call_id": "c", "name": "find", "arguments": {"id": HUGE}})
    (entry, *_) = [each for each in read_record(record_of(tmp_path, call)).entries if each.t == 1.0]
    assert attrs.asdict(entry.what)["arguments"] == {"id": HUGE}
