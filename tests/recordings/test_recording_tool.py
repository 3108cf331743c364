"""The scripts are what the tool makes of the logs, and hold nothing but what these say."""

from __future__ import annotations

import pytest

from playground.recording.__main__ import main
from tests.recordings.recorded import NAMES, log_of, log_path, script_of, script_path


@pytest.mark.parametrize("name", NAMES)
def test_the_tool_makes_the_script_from_the_log(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(log_path(name))]) == 0
    assert capsys.readouterr().out == script_path(name).read_text("utf-8")


def test_all_nine_are_there() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("name", NAMES)
def test_no_more_sound_is_made_than_was_counted(name: str) -> None:
    counted_ms = [10 * row["count"] for row in log_of(name) if "whole run" in row.get("of", "")][:1]
    made = [step.event for steps in script_of(name).connections for step in steps if hasattr(step, "event")]
    made_ms = sum(len(event.data) for event in made if hasattr(event, "data")) / 48
    if counted_ms and name != "roundtrip.run2":
        assert made_ms == pytest.approx(counted_ms[0], abs=20)
    else:
        assert made_ms > 0, "of a log that was cut off, or counts none, what the times tell"
