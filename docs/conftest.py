"""Runs the examples of the pages, so that what a page shows is what happens.

What kind of block it is says what is done with it, in a folder that all blocks of a page share:

- `python` and `toml` whose first line is `# a_name.py`: the file is written. Others are only read.
- `console`: each line behind `$ ` is run, and must print what stands below it (`…` is anything) and succeed,
  unless its exit code stands in a last line, as `[2]`.
- `pycon`: as Python's own prompt has it.

What needs an account, a room or a microphone stands in indented blocks, and is not run here.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from sybil import Example, Sybil
from sybil.parsers.myst import CodeBlockParser

ROOT = Path(__file__).resolve().parent.parent
OURS = ("runner.py", "examples", "actors", "channels", "commands", "docs", "prompts", "profiles", "tests")
LONGEST_S = 120


def begin(namespace: dict[str, Any]) -> None:
    folder = namespace["folder"] = Path(tempfile.mkdtemp(prefix="page-"))
    for name in OURS:
        (folder / name).symlink_to(ROOT / name)


def end(namespace: dict[str, Any]) -> None:
    shutil.rmtree(namespace["folder"])


def write(example: Example) -> None:
    """Writes the file that a block is."""
    if named := re.match(r"# ([\w.-]+\.\w+)\n", example.parsed):
        (example.namespace["folder"] / named[1]).write_text(example.parsed, encoding="utf-8")


def run(example: Example) -> str | None:
    """Runs each command, and compares what it prints; gives what is wrong."""
    settings = ("LIVEKIT", "ASSEMBLYAI", "VOICE_AGENT", "OPENAI", "ROOM_NAME", "OTEL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n?)*)", example.parsed, re.MULTILINE):
        done = subprocess.run(
            ["bash", "-c", command.replace(".venv/bin/python", sys.executable)],
            cwd=example.namespace["folder"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        ending = re.search(r"\[(\d+)\]\s*$", expected)
        if done.returncode != (int(ending[1]) if ending else 0):
            return f"{command}: exit code {done.returncode}\n{done.stdout}"
        printed = expected[: ending.start()] if ending else expected
        wanted = ".*".join(re.escape(part) for part in printed.strip().split("…"))
        if not re.fullmatch(wanted, done.stdout.strip(), re.DOTALL):
            return f"{command} printed\n{done.stdout}\nand not\n{expected}"
    return None


def prompt(example: Example) -> str | None:
    """Types what stands at the prompts, and compares; gives what is wrong."""
    names = example.namespace.setdefault("names", {})
    block = doctest.DocTestParser().get_doctest(
        str(example.parsed), names, example.path, example.path, example.line
    )
    told = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    runner.run(block, out=told.write, clear_globs=False)
    names.update(block.globs)
    return told.getvalue() or None


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=write),
        CodeBlockParser(language="toml", evaluator=write),
        CodeBlockParser(language="console", evaluator=run),
        CodeBlockParser(language="pycon", evaluator=prompt),
    ],
    pattern="*.md",
    setup=begin,
    teardown=end,
).pytest()
