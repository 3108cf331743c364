"""The session as a client may configure it: one class for each object of the protocol.

Names, nesting and ranges are the wire's. What is None or empty was set by nobody and is not sent, so that
the service's own default holds; that matters most for turn detection, which switches adaptive endpointing
off by being sent at all. Left out: `llm` and `pre_connect_requests`, which the service takes from stored
agents only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import attrs

from channels.settings.accounts import Webhook
from channels.settings.rules import Choice, Flag, Number, OneLine, Text, Texts, Whole

__all__ = [
    "FormatSettings",
    "InputSettings",
    "OutputSettings",
    "SessionSettings",
    "TurnSettings",
]

ENCODINGS = ("audio/pcm", "audio/pcmu", "audio/pcma")
TRANSCRIPTION_MODES = ("min_latency", "balanced", "max_accuracy")
UNINTERRUPTIBLE = ("greeting", "dtmf_prompt", "tool_refused_ask")
SILENCE = Whole(0, 60_000, "ms", mutable=True)
"""The service states no limit; a minute is longer than anybody waits for an answer."""


@attrs.frozen
class FormatSettings:
    """How sound is written on the wire. G.711 (pcmu, pcma) has 8,000 Hz and does not say so."""

    encoding: Annotated[str | None, Choice(ENCODINGS)] = None
    sample_rate: Annotated[int | None, Whole(24_000, 24_000, "Hz")] = None


@attrs.frozen
class TurnSettings:
    """When a turn of the person ends, and when the agent is interrupted."""

    vad_threshold: Annotated[float | None, Number(0, 1, mutable=True)] = None
    """Higher ignores more noise."""
    min_silence: Annotated[int | None, SILENCE] = None
    """Silence before a confident end of turn."""
    max_silence: Annotated[int | None, SILENCE] = None
    """Silence after which the turn is over in any case."""
    interrupt_response: Annotated[bool | None, Flag(mutable=True)] = None
    """False: no barge-in."""
    interruption_delay: Annotated[int | None, Whole(0, 1000, "ms", mutable=True)] = None
    """Speech before it counts as an interruption."""
    type: Annotated[str | None, Choice(("server_vad", "semantic_vad"), mutable=True)] = None
    """In the service's schema only; not needed."""
    uninterruptible_turns: Annotated[
        tuple[str, ...] | None, Texts(3, Choice(UNINTERRUPTIBLE), mutable=True)
    ] = None
    """In the service's schema only. What the person says during such a turn is discarded."""


@attrs.frozen
class InputSettings:
    """How the person is heard."""

    type: Annotated[str | None, Choice(("audio",))] = None
    format: FormatSettings = FormatSettings()
    keyterms: Annotated[tuple[str, ...] | None, Texts(100, OneLine(50), mutable=True)] = None
    """Names and terms to be recognised."""
    turn_detection: TurnSettings = TurnSettings()
    transcription_mode: Annotated[str | None, Choice(TRANSCRIPTION_MODES, mutable=True)] = None
    transcription_prompt: Annotated[str | None, Text(1750, mutable=True)] = None
    language_codes: Annotated[tuple[str, ...] | None, Texts(100, OneLine(20), mutable=True)] = None
    """As in `voices.toml`. This and voice focus, changed in mid-call, wait for the ears' next reconnect."""
    voice_focus: Annotated[str | None, Choice(("near-field", "far-field"), mutable=True)] = None
    voice_focus_threshold: Annotated[float | None, Number(0, 1, mutable=True)] = None
    continuous_partials: Annotated[bool | None, Flag()] = None
    """In the service's schema only."""


@attrs.frozen
class OutputSettings:
    """How the agent speaks."""

    type: Annotated[str | None, Choice(("audio",))] = None
    voice: Annotated[str | None, OneLine(64)] = None
    """As in `voices.toml`."""
    format: FormatSettings = FormatSettings()
    volume: Annotated[float | None, Number(0, 100, mutable=True)] = None


@attrs.frozen
class SessionSettings:
    """How the service behaves."""

    system_prompt: Annotated[str | None, Text(mutable=True)] = (
        "You are a friendly voice assistant in a live call. Answer in one or two short spoken sentences, "
        "without lists or markup. If you did not understand, ask."
    )
    greeting: Annotated[str | None, Text(may_be_none=True)] = "Hi! I'm your voice assistant. How can I help?"
    """Spoken word for word. None: the agent waits for the person."""
    input: InputSettings = InputSettings()
    output: OutputSettings = OutputSettings()
    agent_id: Annotated[str | None, OneLine(128)] = None
    """A stored agent, which brings everything else with it."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Declarations, as on the wire. They come from Python functions, not from settings."""

    def as_wire(self, webhook: Webhook | None = None) -> dict[str, Any]:
        """The `session` object of the first `session.update`. A webhook's secret stays a `Secret` in it.

        Args:
            webhook: of the account; None: there is none.
        """
        if self.agent_id is not None:
            return {"agent_id": self.agent_id}
        content = _wire(self)
        if not self.tools:
            del content["tools"]
        if webhook is not None and (told := _wire(webhook)):
            content["webhook"] = told
        return content


def _wire(part: Any) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for name in (field.name for field in attrs.fields(type(part))):
        value = getattr(part, name)
        if attrs.has(type(value)):
            value = _wire(value) or None
        elif isinstance(value, tuple):
            value = list(value)  # an empty one that was set says something: no key terms
        if value is not None:
            content[name] = value
    return content
