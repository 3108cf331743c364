"""How long the service takes for what this server does at once.

`QUICK` adds nothing. `RECORDED` is what the live service took; tests and benches of an agent turn it on. What
the start of a session and of a greeting take is among the options; `--delays none` leaves that out as well,
so that a person who talks with the playground waits for no imitation.
"""

from __future__ import annotations

import attrs

__all__ = ["QUICK", "RECORDED", "Delays"]


@attrs.frozen
class Delays:
    """Times in ms. The default: none."""

    thinking_ms: int = 0
    """From `reply.started` to the first sound of a model's answer: 3,400 to 4,900 were recorded. A sentence
    that is taken into the reply begins it anew."""
    greeting_ms: int = 0
    """From `reply.started` to the first sound of a greeting: about 500 were recorded."""
    first_word_ms: int = 0
    """From the person's first sound to the first recognised word, at least, while the agent is silent: 607
    to 1,055 were recorded, median 888."""
    first_word_over_reply_ms: int = 0
    """The same while the agent talks: 1,214 to 1,768 were recorded."""
    deltas_ms: int = 0
    """From a sentence's first sound to its `transcript.agent.delta`s: about 480 were recorded."""


QUICK = Delays()
"""No imitation of slowness."""
RECORDED = Delays(
    thinking_ms=4000, greeting_ms=500, first_word_ms=888, first_word_over_reply_ms=1450, deltas_ms=480
)
"""Medians of the recordings, or the middle of what they span."""
