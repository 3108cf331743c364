"""Which brain the playground's agent has: the language model that is set up, or else a small dialogue."""

from __future__ import annotations

from collections.abc import Callable

from playground.brain import Brain
from playground.dialogue import Dialogue
from playground.language_model import tell_who_answers
from playground.openai_brain import OpenAIBrain

__all__ = ["choose_brain"]


def choose_brain(progress: Callable[[str], None]) -> Callable[[], Brain]:
    """Makes the brain of each session.

    Args:
        progress: is given a line if a language model answers.

    Raises:
        SettingsError: as `language_model.find_endpoint`.
    """
    endpoint = tell_who_answers(progress)
    return Dialogue if endpoint is None else lambda: OpenAIBrain(endpoint)
