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
import msgspec
from msgspec import UNSET

from channels.wire.session import SessionInput, SessionOutput, SoundFormat, TurnSettings, Webhook
from playground.voice_agent.config_refused import ConfigRefused, read_as
from playground.voice_agent.tool_declaration import read_tools

__all__ = ["ResolvedSession", "configured"]

_Part = TypeVar("_Part", SessionInput, SessionOutput, TurnSettings)

_FIRST_UPDATE_ONLY = "cannot be changed after the first session.update"


@attrs.frozen
class ResolvedSession:
    """The resolved configuration."""

    id: str = ""
    """Of the stored agent, if there is one."""
    system_prompt: str = ""
    greeting: str | None = None
    input: SessionInput = attrs.field(factory=SessionInput)
    output: SessionOutput = attrs.field(factory=SessionOutput)
    tools: tuple[Mapping[str, Any], ...] = ()

    def echo(self) -> dict[str, Any]:
        """The shape of `session.ready.config` and `session.updated.config` (reference, 5.6)."""
        shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        in_order = {field.name: shown[field.name] for field in attrs.fields(ResolvedSession)}
        return in_order | {"llm": [], "pre_connect_requests": []}


def configured(
    current: ResolvedSession | None,
    session: Mapping[str, Any],
    *,
    voices: tuple[str, ...],
    agents: Mapping[str, Mapping[str, Any]],
) -> ResolvedSession:
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
    config = current or ResolvedSession(output=SessionOutput(voice=_default_voice(voices)))
    changes: dict[str, Any] = {}
    for name, value in session.items():
        match name:
            case "system_prompt":
                changes[name] = read_as(str, value, name)
            case "greeting":
                changes[name] = read_as(str, value, name)  # null is refused live, whatever is documented
                if current is not None:
                    raise _immutable(name)
            case "tools":
                changes[name] = read_tools(value)
            case "input":
                changes[name] = _input(config.input, value, first=current is None)
            case "output":
                changes[name] = _output(config.output, value, voices, first=current is None)
            case "webhook":
                _check_webhook(value)
            case "llm" | "pre_connect_requests":
                if read_as(list[Any], value, name):
                    raise ConfigRefused.value(
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
    current: ResolvedSession | None,
    session: Mapping[str, Any],
    voices: tuple[str, ...],
    agents: Mapping[str, Mapping[str, Any]],
) -> ResolvedSession:
    agent_id = read_as(str, session["agent_id"], "agent_id")
    if current is not None:
        raise ConfigRefused("agent_id_not_first", "agent_id must be in the first session.update", "agent_id")
    if len(session) > 1:
        raise ConfigRefused.value("agent_id", "agent_id is mutually exclusive with other session fields")
    if agent_id not in agents:
        raise ConfigRefused("agent_not_found", "Agent not found", "agent_id")
    return attrs.evolve(configured(None, agents[agent_id], voices=voices, agents={}), id=agent_id)


def _input(current: SessionInput, given: Any, *, first: bool) -> SessionInput:
    def turns(given: Mapping[str, Any], path: str) -> TurnSettings:
        return _merged(current.turn_detection or TurnSettings(), given, path)

    new = _merged(current, given, "input", format=_format, turn_detection=turns)
    # Unlike the output's, it may be repeated, as the documentation has it.
    if not first and new.format != current.format:
        raise _immutable("input.format")
    if new.turn_detection is not None:
        low, high = new.turn_detection.min_silence, new.turn_detection.max_silence
        if low is not None and high is not None and low > high:
            path = "input.turn_detection.min_silence"
            raise ConfigRefused("invalid_config", f"'{path}' must not be greater than max_silence", path)
    return new


def _output(current: SessionOutput, given: Any, voices: tuple[str, ...], *, first: bool) -> SessionOutput:
    new = _merged(current, given, "output", format=_format)
    for field in () if first else ("voice", "format"):
        if field in given:
            raise _immutable(f"output.{field}")
    if new.voice not in voices:
        available = ", ".join(voices)
        raise ConfigRefused.value("output.voice", f"Unknown voice '{new.voice[:40]}'. Available: {available}")
    return new


def _merged(current: _Part, given: Any, path: str, **parts: Callable[[Mapping[str, Any], str], Any]) -> _Part:
    """What was given takes the place of what was there; `parts` read the objects inside."""
    if not isinstance(given, Mapping):
        raise ConfigRefused.format()
    fields = {
        name: parts[name](value, f"{path}.{name}") if name in parts and isinstance(value, Mapping) else value
        for name, value in given.items()
    }
    read = read_as(type(current), fields, path)
    return msgspec.structs.replace(current, **{name: getattr(read, name) for name in fields})


def _format(given: Mapping[str, Any], path: str) -> SoundFormat:
    rate = given.get("sample_rate")
    if rate is None or given.get("encoding") in ("audio/pcmu", "audio/pcma"):
        given = {name: value for name, value in given.items() if name != "sample_rate"}  # silently [S]
    read = read_as(SoundFormat, given, path)
    return read if read.encoding == "audio/pcm" else msgspec.structs.replace(read, sample_rate=UNSET)


def _check_webhook(given: Any) -> None:
    # It is never called, so nothing of it is kept.
    try:
        read_as(Webhook, given, "webhook")
    except ConfigRefused:
        raise ConfigRefused("invalid_webhook", "A webhook needs a url and events", "webhook") from None


def _immutable(path: str) -> ConfigRefused:
    return ConfigRefused("immutable_field", f"'{path}' {_FIRST_UPDATE_ONLY}", path)
