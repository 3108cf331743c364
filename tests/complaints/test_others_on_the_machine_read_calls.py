"""On a machine with other users, every file with what people said could be read by all of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors.record.file import RecordFile
from channels.settings import Settings
from examples.recorder import Tape
from examples.transcript_logger import Line, Paper
from examples.webhook import Spool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such modes")


@pytest.fixture(autouse=True)
def _generous_umask() -> object:
    before = os.umask(0)
    yield
    os.umask(before)


def test_files_with_what_people_said_are_for_their_owner_alone(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    paper = Paper(tmp_path / "transcripts", now, 0.0)
    paper.open()
    paper.write(Line("person", "alice", "my number is 4471", 0.0, 1.0))
    paper.close()
    tape = Tape(tmp_path / "recordings", now)
    tape.open()
    tape.write(bytes(4))
    tape.close()
    Spool(tmp_path / "spool", 10).put(b"{}")
    (tmp_path / "records").mkdir(mode=0o700)
    record = RecordFile.create(
        tmp_path / "records" / "call.jsonl", Settings(), (), started=0.0, with_sound=True
    )
    record.end(1.0)

    modes = {path.relative_to(tmp_path): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert len(modes) == 4 + 2 + 1 + 1 + 2
    for path, mode in modes.items():
        assert mode == (0o700 if (tmp_path / path).is_dir() else 0o600), path
