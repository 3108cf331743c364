"""Whoever ran the agent ran somebody else's telemetry: onnxruntime's, on from the moment it is loaded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.agent_process import ROOT

LOADS_A_MODEL = """
from sound.vad import Vad
from sound.models import _onnxruntime
Vad()
print(_onnxruntime().__version__)
"""


def test_loading_a_model_makes_no_id_of_the_machine_and_no_queue_of_events(tmp_path: Path) -> None:
    # With its telemetry on, both lie in the home folder before the first model is open.
    done = subprocess.run(
        [sys.executable, "-c", LOADS_A_MODEL],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "0"},
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip()
    assert list(tmp_path.rglob("*")) == []


def test_there_is_one_place_where_it_is_loaded() -> None:
    folders = ("actors", "channels", "commands", "examples", "playground", "sound")
    loads = re.compile(r"^\s*(import|from) (onnxruntime|moonshine_voice|silero_vad)\b", re.MULTILINE)
    places = [
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if loads.search(path.read_text("utf-8"))
    ]
    assert places == ["sound/models.py"]
