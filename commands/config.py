"""`python runner.py config`: what is in force, and where each value comes from. Secrets are masked."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from channels.errors import SettingsError
from channels.printable import tell, tell_json
from channels.settings import Configuration, Writings, from_flags, gather
from channels.settings.catalogue import CATALOGUE, VARIABLES
from channels.settings.sources import raise_all
from channels.standard_streams import as_written

__all__ = ["gather_from", "print_configuration"]

MASKED = "•••"
WIDEST_VALUE = 60
"""Characters of a value in the table; `--json` has all of them."""


def gather_from(options: argparse.Namespace, warn: Callable[[str], None]) -> Writings:
    """What is written in the command line's configuration file, `.env`, the environment and its flags.

    Raises:
        SettingsError: a file cannot be read, or a flag names no setting.
    """
    named = [
        ("--profile", "profile", options.profile),
        ("--template", "template", options.template),
        ("--voice", "session.output.voice", options.voice),
        ("--listen", "listen.to", options.listen),
        ("--agent", "worker.agent_name", options.agent),
        ("--tools", "tools.modules", json.dumps(options.tools) if options.tools else None),
    ]
    flags = [(flag, path, value) for flag, path, value in named if value is not None]
    problems = []
    for assignment in [*options.variables, *options.later_variables]:
        name, equals, value = (part.strip() for part in assignment.partition("="))
        if not equals:
            problems.append(SettingsError(f"--var {name[:40]} has no value", "write --var NAME=VALUE"))
        flags.append((f"--var {name}", f"{VARIABLES}.{name}", value))
    raise_all(problems)
    config = Path(options.config) if options.config is not None else None
    assignments = [*options.assignments, *options.later_assignments]
    environ = {name: as_written(value) for name, value in os.environ.items()}
    return gather(config, environ, Path(".env"), from_flags(flags, assignments), warn)


def print_configuration(configuration: Configuration, *, as_json: bool) -> int:
    """Prints every setting, its value and where that comes from; gives the exit code."""
    if as_json:
        table = {
            path: {"value": value, "source": source, "where": where}
            for path, value, source, where in _rows(configuration)
        }
        tell_json(table, indent=2)
        return 0
    rows = [(path, _shown(path, value), where) for path, value, _, where in _rows(configuration)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for path, value, where in rows:
        tell(f"{path:<{widths[0]}}  {value:<{widths[1]}}  {where}".rstrip())
    return 0


def _rows(configuration: Configuration) -> list[tuple[str, Any, str, str]]:
    rows: list[tuple[str, Any, str, str]] = []
    for path, setting in CATALOGUE.items():
        found = configuration.values.get(path)
        if found is None:
            rows.append((path, None, "default", "default"))
        else:
            # By what it is for, not by its type: an id of a key is nobody's business either.
            value = MASKED if setting.rule.private else found.value
            rows.append((path, value, found.origin.source.value, str(found.origin)))
    for name, written in configuration.variables.items():
        source = written.origin.source.value
        rows.append((f"{VARIABLES}.{name}", written.value, source, str(written.origin)))
    return rows


def _shown(path: str, value: Any) -> str:
    if value is None:
        sent = path.startswith("session.") and path != "session.greeting"
        return "not sent" if sent else "none"
    if value == MASKED:
        return MASKED
    # JSON is what such a value looks like in a file.
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= WIDEST_VALUE else text[: WIDEST_VALUE - 1] + "…"
