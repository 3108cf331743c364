"""What a `session.update` may say: one class for each object of the protocol, with its types and ranges.

Field names are the wire's. None is what nobody has set. What a service has resolved is of the same classes,
so they say what `session.ready` echoes, too. `voice_agent_api.json` has the same ranges, as data.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, UnsetType

__all__ = ["SessionInput", "SessionOutput", "SoundFormat", "ToolDeclaration", "TurnSettings", "Webhook"]

_Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
_Silence: TypeAlias = Annotated[int, Meta(ge=0, le=60_000)]
"""In ms. The service states no upper limit; a minute is longer than anybody waits for an answer."""
_Term: TypeAlias = Annotated[str, Meta(max_length=50)]
_LanguageCode: TypeAlias = Annotated[str, Meta(max_length=20)]
_Protected: TypeAlias = Literal["greeting", "dtmf_prompt", "tool_refused_ask"]


class SoundFormat(Struct, frozen=True, forbid_unknown_fields=True):
    """How sound is written. G.711 (pcmu, pcma) has 8,000 Hz and does not say so."""

    encoding: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    sample_rate: Literal[24_000] | UnsetType = 24_000


class TurnSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`input.turn_detection`. Only what was set is shown: to set a silence ends adaptive turns."""

    type: Literal["server_vad", "semantic_vad"] | None = None
    vad_threshold: _Fraction | None = None
    min_silence: _Silence | None = None
    max_silence: _Silence | None = None
    interrupt_response: bool | None = None
    interruption_delay: Annotated[int, Meta(ge=0, le=1000)] | None = None
    """In ms."""
    uninterruptible_turns: Annotated[tuple[_Protected, ...], Meta(max_length=3)] | None = None


class SessionInput(Struct, frozen=True, forbid_unknown_fields=True):
    """`session.input`: how the person is heard."""

    type: Literal["audio"] = "audio"  # "text" is in the service's schema, undocumented
    format: SoundFormat = SoundFormat()
    turn_detection: TurnSettings | None = None
    keyterms: Annotated[tuple[_Term, ...], Meta(max_length=100)] | None = None
    transcription_mode: Literal["min_latency", "balanced", "max_accuracy"] | None = None
    continuous_partials: bool | None = None
    transcription_prompt: Annotated[str, Meta(max_length=1750)] | None = None
    language_codes: Annotated[tuple[_LanguageCode, ...], Meta(max_length=100)] | None = None
    voice_focus: Literal["near-field", "far-field"] | None = None
    voice_focus_threshold: _Fraction | None = None


class SessionOutput(Struct, frozen=True, forbid_unknown_fields=True):
    """`session.output`: how the agent speaks."""

    type: Literal["audio"] = "audio"
    voice: str = "alba"
    format: SoundFormat = SoundFormat()
    volume: Annotated[float, Meta(ge=0, le=100)] | None = None
    """None: as it comes."""


class ToolDeclaration(Struct, frozen=True, forbid_unknown_fields=True):
    """One of `session.tools`. `parameters` and `http` are looked at by whoever takes the declaration."""

    name: Annotated[str, Meta(pattern=r"\S")]
    type: Literal["function"] = "function"
    description: str | None = None
    parameters: Any = None
    timeout_seconds: Annotated[int, Meta(ge=1, le=300)] | None = None
    execution_mode: Literal["interactive", "hold"] | None = None
    http: Any = None
    response_instructions: Any = None
    session_update: Any = None
    deployment_id: Any = None
    image_tag: Any = None


class Webhook(Struct, frozen=True, forbid_unknown_fields=True):
    """`session.webhook`: whom the service tells of the session."""

    url: Annotated[str, Meta(pattern="^https?://")]
    events: tuple[str, ...]
    secret: str = ""
