"""The recorded calls: their logs as a prober wrote them, and the scripts that were made from these."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playground.voice_agent_api import Script, read_script

__all__ = ["DESCRIBED", "NAMES", "described", "log_of", "log_path", "script_of", "script_path"]

_HERE = Path(__file__).parent

NAMES = sorted(path.stem for path in (_HERE / "logs").glob("*.jsonl"))
DESCRIBED = sorted(path.stem for path in (_HERE / "described").glob("*.jsonl"))


def log_path(name: str) -> Path:
    """The log of a call."""
    return _HERE / "logs" / f"{name}.jsonl"


def script_path(name: str) -> Path:
    """Its script."""
    return _HERE / "scripts" / f"{name}.jsonl"


def log_of(name: str) -> list[dict[str, Any]]:
    """The rows of a log."""
    return [json.loads(line) for line in log_path(name).read_text("utf-8").splitlines()]


def script_of(name: str) -> Script:
    """The script of a recorded call."""
    return read_script(script_path(name))


def described(name: str) -> Script:
    """A script that was written by hand, after what others told of calls whose logs may not be copied."""
    return read_script(_HERE / "described" / f"{name}.jsonl")
