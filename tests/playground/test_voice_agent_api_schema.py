"""What the schema allows in an update, the server takes; what it forbids, the server refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.voice_agent.config_refused import ConfigRefused
from playground.voice_agent.session_config import ResolvedSession, configured
from playground.voice_agent_api import VOICES_2026_07
from tests.wire_schema import DOCUMENT, part


def made_by(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the part of JSON Schema that the document uses for an update."""
    if "$ref" in schema:
        return made_by(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema["type"]
    return st.one_of([_of_kind(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _of_kind(kind: str, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum", 0), schema.get("maximum", 50_000)
    match kind:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(low, high)
        case "number":
            return st.integers(low, high) | st.floats(low, high)
        case "string":
            return st.text("ab é", min_size=1, max_size=min(schema.get("maxLength", 60), 60)).map(
                lambda text: f"https://{text}" if "pattern" in schema else text.strip() or "x"
            )
        case "array":
            return st.lists(
                made_by(schema.get("items", {"type": "null"})), max_size=schema.get("maxItems", 3)
            )
        case _:
            fields = {name: made_by(described) for name, described in schema.get("properties", {}).items()}
            required = schema.get("required", [])
            return st.fixed_dictionaries(
                {name: fields[name] for name in required},
                optional={name: value for name, value in fields.items() if name not in required},
            )


def _possible(session: dict[str, Any]) -> bool:
    """Whether nothing is wrong with it that no schema can say."""
    detection = (session.get("input") or {}).get("turn_detection") or {}
    low, high = detection.get("min_silence"), detection.get("max_silence")
    return low is None or high is None or low <= high


def _with_a_voice(session: dict[str, Any]) -> dict[str, Any]:
    if "voice" in session.get("output", {}):
        session["output"]["voice"] = "eve"
    return session


updates = made_by({"$ref": "#/components/schemas/session"}).map(_with_a_voice)


def taken(session: dict[str, Any]) -> ResolvedSession:
    agent_id = session.get("agent_id")
    agents: dict[str, Any] = {agent_id: {}} if isinstance(agent_id, str) else {}
    return configured(None, session, voices=VOICES_2026_07, agents=agents)


@given(updates.filter(lambda session: part("session").is_valid(session)).filter(_possible))
def test_the_server_takes_every_update_that_the_schema_allows_and_echoes_a_configuration(
    session: dict[str, Any],
) -> None:
    assert list(part("config").iter_errors(taken(session).echo())) == []


def paths(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """All fields of an update, as far as they have names."""
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    found = [path] if path else []
    for name, described in schema.get("properties", {}).items():
        found += paths(described, (*path, name))
    return found


FIELDS = paths({"$ref": "#/components/schemas/session"})


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
@pytest.mark.parametrize(
    "wrong", [10**9, -1, True, "no such value", "x" * 2000, [[]], {"x": 1}], ids=lambda w: repr(w)[:14]
)
def test_the_server_refuses_a_value_that_the_schema_forbids(path: tuple[str, ...], wrong: Any) -> None:
    session: Any = wrong
    for name in reversed(path):
        session = {name: session}
    if "webhook" in path and len(path) > 1:
        session["webhook"] = {"url": "https://x", "events": [], **session["webhook"]}
    if "format" in path and path[-1] != "format":
        session[path[0]]["format"] = {"encoding": "audio/pcm", **session[path[0]]["format"]}
    if part("session").is_valid(session):
        return
    with pytest.raises(ConfigRefused):
        taken(session)
