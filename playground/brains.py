"""Which brain the playground's agent has: the language model that is set up, or else a small dialogue."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dotenv import dotenv_values

from playground.brain import Brain
from playground.chat_completions import read_endpoint
from playground.dialogue import Dialogue
from playground.openai_brain import OpenAIBrain

__all__ = ["choose_brain"]


def choose_brain(progress: Callable[[str], None]) -> Callable[[], Brain]:
    """Makes the brain of each session.

    Args:
        progress: is given a line if a language model answers.

    Raises:
        SettingsError: `OPENAI_BASE_URL` (of the environment, or of `.env` here) or its key cannot be used.
    """
    written = dotenv_values(Path(".env"), interpolate=False) if Path(".env").is_file() else {}
    endpoint = read_endpoint(
        {**written, **{name: value for name, value in os.environ.items() if value.strip()}}
    )
    if endpoint is None:
        return Dialogue
    progress(f"answers come from the language model at {endpoint.base_url}")
    return lambda: OpenAIBrain(endpoint)
