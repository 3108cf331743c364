"""The language model that is set up for the playground, if there is one: `OPENAI_BASE_URL`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from channels.settings.dotenv import Silent, read_dotenv, unquoted
from playground.chat_completions import Endpoint, read_endpoint

__all__ = ["find_endpoint", "tell_who_answers"]

PATIENCE_S = 5.0
"""For a `.env` that is a named pipe; the agent's own process has read it before."""


def find_endpoint(progress: Callable[[str], None]) -> Endpoint | None:
    """The language model that is set up; None: there is none.

    Args:
        progress: is given a line if something about `.env` is to be told.

    Raises:
        SettingsError: `OPENAI_BASE_URL` (of the environment, or of `.env` here) or its key cannot be used.
    """
    try:
        written = read_dotenv(Path(".env"), progress, patience_s=PATIENCE_S)
    except Silent:
        written = {}  # what wrote into it for the agent does so once
    environ = {name: unquoted(value) for name, value in os.environ.items() if value.strip()}
    return read_endpoint({**written, **environ})


def tell_who_answers(progress: Callable[[str], None]) -> Endpoint | None:
    """As `find_endpoint`, and says so if a language model answers."""
    endpoint = find_endpoint(progress)
    if endpoint is not None:
        progress(f"answers come from the language model at {endpoint.base_url}")
    return endpoint
