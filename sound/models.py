"""Finds the model files, and opens them with onnxruntime.

Moonshine's wheel carries its model as data beside Python code that wants a sound card, which is not needed:
`wheel_file` locates a package without running any of its code. Silero's package wants PyTorch, gigabytes of
it, and its model is small: that one lies here (`own_file`), with its licence.
Sessions run on the thread that calls them (one intra-op thread, no pool to spin), so the number of busy
cores is the number of worker threads that the callers allow, and nothing else. Its telemetry is off: here is
the one place where it is loaded.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path
from typing import Any

from sound.native_output import silenced

__all__ = ["ModelMissing", "open_model", "own_file", "wheel_file"]

_FIX = "install the project's packages again (in a clone: make clean, then make run)"


class ModelMissing(Exception):
    """A model file is not where it should be.

    Args:
        what: what happened, in one sentence without a full stop.
        fix: what the person can do about it, in one sentence without a full stop.
    """

    def __str__(self) -> str:
        return "; ".join(self.args)


def wheel_file(package: str, inside: str) -> Path:
    """Where a data file of an installed package lies.

    Raises:
        ModelMissing: the package or the file is not there.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelMissing(f"the package {package!r} is not installed", _FIX)
    path = Path(spec.origin).parent / inside
    if not path.is_file():
        raise ModelMissing(f"the installed {package!r} has no file {inside!r}", _FIX)
    return path


def own_file(inside: str) -> Path:
    """Where a model file that comes with this project lies.

    Raises:
        ModelMissing: it is not there.
    """
    path = Path(__file__).parent / inside
    if not path.is_file():
        raise ModelMissing(f"{path} is not there", "get a complete copy of the project")
    return path


def open_model(model: Path | bytes) -> Any:
    """Opens an ONNX (or ORT format) model; gives an `onnxruntime.InferenceSession`.

    Sessions may be run from several threads at once.
    """
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: warnings about unused initialisers help nobody
    source = model if isinstance(model, bytes) else str(model)
    return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


@functools.cache
def _onnxruntime() -> Any:
    # The official builds send telemetry about the machine and its models as soon as they are loaded.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Imported late: a quarter of a second that a process without speech need not spend. Where it cannot make
    # out what graphics card there is (WSL, a Raspberry Pi, a container), it warns of that while it is being
    # loaded, whatever its level is set to; nothing here wants a graphics card.
    with silenced():
        import onnxruntime

    onnxruntime.disable_telemetry_events()  # some builds for Windows do not know the variable
    return onnxruntime
