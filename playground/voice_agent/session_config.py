"""A session's configuration: what may be said, what may be changed, and how it is echoed. No I/O, no clock.

`configured` takes the current configuration (None for the first update) and the `session` object of an
update, and gives the new configuration or raises `ConfigRefused`. An update merges: objects are merged
field by field, arrays are replaced. Three kinds of refusal, as the live service makes them:

- a field that does not exist or has the wrong type: `invalid_format`, no `param`;
- a value that is out of range: `invalid_value` with the field's path in `param`;
- a field that is fixed after the first update: `immutable_field`, likewise.

Sources: the protocol reference's section 5. Ranges marked [S] there are from the service's schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from playground.voice_agent.field_rules import (
    ConfigRefused,
    array,
    choice,
    flag,
    number,
    refuse_value,
    text,
    texts,
    whole,
)
from playground.voice_agent.tool_declaration import read_tools

__all__ = ["AudioFormat", "ConfigRefused", "InputConfig", "OutputConfig", "SessionConfig", "configured"]

_Part = TypeVar("_Part", "InputConfig", "OutputConfig")

_PROTECTED_TURNS = ("greeting", "dtmf_prompt", "tool_refused_ask")
_FIRST_UPDATE_ONLY = "cannot be changed after the first session.update"


@attrs.frozen
class AudioFormat:
    """How sound is written on the wire."""

    encoding: str = "audio/pcm"
    sample_rate: int | None = 24_000
    """Hz; None for G.711, which has only 8,000 and does not say so."""

    def echo(self) -> dict[str, Any]:
        """As `session.ready` shows it."""
        return {name: value for name, value in attrs.asdict(self).items() if value is not None}


@attrs.frozen
class InputConfig:
    """`session.input`."""

    type: str = "audio"
    format: AudioFormat = attrs.field(factory=AudioFormat)
    turn_detection: Mapping[str, Any] | None = None
    """Only what was set: to set a default is not the same as to leave it (adaptive turns end)."""
    keyterms: tuple[str, ...] | None = None
    transcription_mode: str | None = None
    continuous_partials: bool | None = None
    transcription_prompt: str | None = None
    language_codes: tuple[str, ...] | None = None
    voice_focus: str | None = None
    voice_focus_threshold: float | None = None

    def echo(self) -> dict[str, Any]:
        """As `session.ready` shows it."""
        shown = {field.name: _plain(getattr(self, field.name)) for field in attrs.fields(type(self))}
        return shown | {"format": self.format.echo()}


@attrs.frozen
class OutputConfig:
    """`session.output`."""

    type: str = "audio"
    voice: str = "alba"
    format: AudioFormat = attrs.field(factory=AudioFormat)
    volume: float | None = None
    """0 to 100; None: as it comes."""

    def echo(self) -> dict[str, Any]:
        """As `session.ready` shows it."""
        return {"type": self.type, "voice": self.voice, "format": self.format.echo(), "volume": self.volume}


@attrs.frozen
class SessionConfig:
    """The resolved configuration."""

    id: str = ""
    """Of the stored agent, if there is one."""
    system_prompt: str = ""
    greeting: str | None = None
    input: InputConfig = attrs.field(factory=InputConfig)
    output: OutputConfig = attrs.field(factory=OutputConfig)
    tools: tuple[Mapping[str, Any], ...] = ()
    webhook: Mapping[str, Any] | None = None

    def echo(self) -> dict[str, Any]:
        """The shape of `session.ready.config` and `session.updated.config` (reference, 5.6)."""
        return {
            "id": self.id,
            "system_prompt": self.system_prompt,
            "greeting": self.greeting,
            "input": self.input.echo(),
            "output": self.output.echo(),
            "tools": [dict(tool) for tool in self.tools],
            "llm": [],
            "pre_connect_requests": [],
        }


def configured(
    current: SessionConfig | None,
    session: Mapping[str, Any],
    *,
    voices: tuple[str, ...],
    agents: Mapping[str, Mapping[str, Any]],
) -> SessionConfig:
    """The configuration after an update.

    Args:
        current: the one before it; None for the first update.
        session: the update's `session` object.
        voices: the names that `output.voice` may have.
        agents: stored agents by id.

    Raises:
        ConfigRefused: the update is refused as a whole.
    """
    if "agent_id" in session:
        return _stored(current, session, voices, agents)
    # Where the old voice names are served, the old default is too.
    config = SessionConfig(output=OutputConfig(voice=_default_voice(voices))) if current is None else current
    changes: dict[str, Any] = {}
    for name, value in session.items():
        match name:
            case "system_prompt":
                changes[name] = text(value)
            case "greeting":
                changes[name] = text(value)  # null is refused live, whatever the documentation says
                if current is not None:
                    raise _immutable(name)
            case "tools":
                changes[name] = read_tools(value)
            case "input":
                changes[name] = _input(config.input, value, first=current is None)
            case "output":
                changes[name] = _output(config.output, value, voices, first=current is None)
            case "webhook":
                changes[name] = _webhook(value)
            case "llm" | "pre_connect_requests":
                if array(value):
                    raise refuse_value(
                        name,
                        "BYO LLM config is not allowed on session.update"
                        if name == "llm"
                        else f"'{name}' belongs to stored agents",
                    )
            case _:
                raise ConfigRefused.format()
    return attrs.evolve(config, **changes)


def _default_voice(voices: tuple[str, ...]) -> str:
    return next((name for name in ("alba", "ivy") if name in voices), voices[0])


def _stored(
    current: SessionConfig | None,
    session: Mapping[str, Any],
    voices: tuple[str, ...],
    agents: Mapping[str, Mapping[str, Any]],
) -> SessionConfig:
    agent_id = text(session["agent_id"])
    if current is not None:
        raise ConfigRefused("agent_id_not_first", "agent_id must be in the first session.update", "agent_id")
    if len(session) > 1:
        raise refuse_value("agent_id", "agent_id is mutually exclusive with other session fields")
    if agent_id not in agents:
        raise ConfigRefused("agent_not_found", "Agent not found", "agent_id")
    return attrs.evolve(configured(None, agents[agent_id], voices=voices, agents={}), id=agent_id)


def _input(current: InputConfig, given: object, *, first: bool) -> InputConfig:
    readers: dict[str, Callable[[str, Any], Any]] = {
        "type": choice("audio"),  # "text" is in the schema, undocumented, and not built here
        "format": lambda _, value: _format("input.format", value),
        "turn_detection": lambda _, value: _turn_detection(current.turn_detection, value),
        "keyterms": texts(most=100, longest=50),
        "transcription_mode": choice("min_latency", "balanced", "max_accuracy"),
        "continuous_partials": flag,
        "transcription_prompt": lambda path, value: text(value, path=path, longest=1750),
        "language_codes": texts(most=100, longest=20),
        "voice_focus": choice("near-field", "far-field"),
        "voice_focus_threshold": number(0, 1),
    }
    return _merged(current, "input", given, readers, fixed=() if first else ("format",))


def _output(current: OutputConfig, given: object, voices: tuple[str, ...], *, first: bool) -> OutputConfig:
    def voice(path: str, value: object) -> str:
        name = text(value)
        # After the first update any other voice is immutable_field, a wrong one too: hence not checked here.
        if first and name not in voices:
            raise refuse_value(path, f"Unknown voice '{name[:40]}'. Available: {', '.join(voices)}")
        return name

    readers: dict[str, Callable[[str, Any], Any]] = {
        "type": choice("audio"),
        "voice": voice,
        "format": lambda _, value: _format("output.format", value),
        "volume": number(0, 100),
    }
    return _merged(current, "output", given, readers, fixed=() if first else ("voice", "format"))


def _merged(
    current: _Part, name: str, given: object, readers: Mapping[str, Any], *, fixed: tuple[str, ...]
) -> _Part:
    if not isinstance(given, Mapping):
        raise ConfigRefused.format()
    changes: dict[str, Any] = {}
    for field, value in given.items():
        if field not in readers:
            raise ConfigRefused.format()
        path = f"{name}.{field}"
        # null clears what may be null; the rest (type, format, voice) has no empty value.
        nullable = getattr(type(current)(), field) is None
        changes[field] = None if value is None and nullable else readers[field](path, value)
        # `input.format` may be repeated, as the documentation has it; the output's fields may not even that.
        if field in fixed and (name == "output" or changes[field] != getattr(current, field)):
            raise _immutable(path)
    return attrs.evolve(current, **changes)


def _turn_detection(current: Mapping[str, Any] | None, given: object) -> Mapping[str, Any]:
    readers: dict[str, Callable[[str, Any], Any]] = {
        "type": choice("server_vad", "semantic_vad"),
        "vad_threshold": number(0, 1),
        "min_silence": whole(0, 60_000),
        "max_silence": whole(0, 60_000),
        "interrupt_response": flag,
        "interruption_delay": whole(0, 1000),
        "uninterruptible_turns": texts(most=3, longest=20, among=_PROTECTED_TURNS),
    }
    if not isinstance(given, Mapping) or not readers.keys() >= given.keys():
        raise ConfigRefused.format()
    merged = dict(current or {})
    for field, value in given.items():
        if value is None:
            merged.pop(field, None)
        else:
            merged[field] = _plain(readers[field](f"input.turn_detection.{field}", value))
    low, high = merged.get("min_silence"), merged.get("max_silence")
    if low is not None and high is not None and low > high:
        path = "input.turn_detection.min_silence"
        raise ConfigRefused("invalid_config", f"'{path}' must not be greater than max_silence", path)
    return merged


def _format(path: str, given: object) -> AudioFormat:
    if not isinstance(given, Mapping) or not {"encoding", "sample_rate"} >= given.keys():
        raise ConfigRefused.format()
    encodings = choice("audio/pcm", "audio/pcmu", "audio/pcma")
    encoding = encodings(f"{path}.encoding", given.get("encoding", "audio/pcm"))
    rate = given.get("sample_rate")
    if encoding != "audio/pcm":
        return AudioFormat(encoding, None)  # sample_rate is dropped silently [S]
    if rate is None:
        return AudioFormat(encoding, 24_000)
    if whole(1, 768_000)(f"{path}.sample_rate", rate) != 24_000:
        raise refuse_value(f"{path}.sample_rate", f"Unsupported sample_rate {rate} for audio/pcm, use 24000")
    return AudioFormat(encoding, 24_000)


def _webhook(given: object) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not {"url", "events", "secret"} >= given.keys():
        raise ConfigRefused.format()
    reachable = str(given.get("url", "")).startswith(("https://", "http://"))
    events = given.get("events")
    named = isinstance(events, list) and all(isinstance(event, str) for event in events)
    if not reachable or not named or not isinstance(given.get("secret", ""), str):
        raise ConfigRefused("invalid_webhook", "A webhook needs a url and events", "webhook")
    return {"url": given["url"]}  # never called, so neither its secret nor its events are kept


def _immutable(path: str) -> ConfigRefused:
    return ConfigRefused("immutable_field", f"'{path}' {_FIRST_UPDATE_ONLY}", path)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
