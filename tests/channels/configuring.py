"""Somebody who configures an agent: writes files, sets variables, gives flags, and reads what is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from channels.errors import SettingsError
from channels.settings import ACCOUNT, Configuration, SessionSettings, from_flags, gather, read_configuration
from channels.settings.job import read_job

ACCOUNTS = {
    "LIVEKIT_URL": "wss://x.livekit.cloud",
    "LIVEKIT_API_KEY": "APIabc",
    "LIVEKIT_API_SECRET": "s3cret-s3cret",
    "ASSEMBLYAI_API_KEY": "k3y-k3y-k3y",
}


@attrs.define
class Person:
    """Configures in a folder of their own."""

    folder: Path
    warnings: list[str] = attrs.field(factory=list)

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def configure(
        self,
        file: str | Mapping[str, Any] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        dotenv: str = "",
        flags: Mapping[str, str] | None = None,
        job: str | Mapping[str, Any] | None = None,
        required: tuple[str, ...] = (),
    ) -> Configuration:
        """Configures with a file (TOML, or a table that is written as JSON), variables and `--set` flags.

        A job is its metadata, or a table that is written as JSON.
        """
        self.warnings.clear()
        path = None
        if isinstance(file, str):
            path = self.write("agent.toml", file)
        elif file is not None:
            path = self.write("agent.json", json.dumps(file))
        written = from_flags([], [f"{name}={value}" for name, value in (flags or {}).items()])
        writings = gather(path, env or {}, self.write(".env", dotenv), written, self.warnings.append)
        if job is not None:
            writings = read_job(job if isinstance(job, str) else json.dumps(job)).over(writings, "its-room")
        return read_configuration(writings, self.warnings.append, required=required)

    def session(self, *args: Any, **keywords: Any) -> SessionSettings:
        return self.configure(*args, **keywords).settings().api.session

    def sent(self, *args: Any, env: Mapping[str, str] | None = None, **keywords: Any) -> dict[str, Any]:
        """What the service is told first, where this is somebody's account."""
        in_force = self.configure(*args, env={**ACCOUNTS, **(env or {})}, required=ACCOUNT, **keywords)
        return in_force.settings().api.session.as_wire(in_force.accounts().api.webhook)

    def problems(self, *args: Any, **keywords: Any) -> list[str]:
        """The lines that are said when it cannot be so."""
        with pytest.raises(SettingsError) as raised:
            self.configure(*args, **keywords)
        lines = str(raised.value).split("\n")
        assert all(line.isprintable() and "; " in line for line in lines)
        return lines

    def problem(self, *args: Any, **keywords: Any) -> str:
        """The one line that is said."""
        (line,) = self.problems(*args, **keywords)
        return line
