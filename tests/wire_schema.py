"""The protocol's schema, read from its data file, and a witness who checks what crosses the sockets."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import attrs
import pytest
from jsonschema import Draft202012Validator

import actors.api.connection
import channels.wire.codec
import playground.voice_agent.connection
import tests.simulation.service

__all__ = ["CLIENT_TYPES", "DOCUMENT", "SERVER_TYPES", "Witness", "complaints", "part", "payload"]

DOCUMENT: dict[str, Any] = json.loads(
    resources.files("channels.wire").joinpath("voice_agent_api.json").read_text("utf-8")
)


def _types(direction: str) -> frozenset[str]:
    messages = DOCUMENT["operations"][direction]["messages"]
    return frozenset(message["$ref"].rpartition("/")[2] for message in messages)


CLIENT_TYPES = _types("client")
SERVER_TYPES = _types("server")


def payload(kind: str) -> dict[str, Any]:
    """The JSON Schema of a message or an event."""
    schema: dict[str, Any] = DOCUMENT["components"]["messages"][kind]["payload"]
    return schema


@cache
def part(name: str) -> Draft202012Validator:
    """Checks one of the document's schemas, e.g. `session`."""
    return _validator({"$ref": f"#/components/schemas/{name}"})


@cache
def _payload_validator(kind: str) -> Draft202012Validator:
    return _validator(payload(kind))


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    # References point into the document, so the schema is looked at as a part of it.
    return Draft202012Validator({"components": {"schemas": DOCUMENT["components"]["schemas"]}, **schema})


def complaints(frame: str, direction: str) -> list[str]:
    """What is wrong with a frame that was sent by the `client` or by the `server`; empty if it is right."""
    try:
        content = json.loads(frame, parse_constant=_refuse)
    except ValueError as error:
        return [f"not JSON: {error}"]
    kind = content.get("type") if isinstance(content, dict) else None
    if kind not in (CLIENT_TYPES if direction == "client" else SERVER_TYPES):
        return [f"{direction} has no {kind!r}"]
    errors = _payload_validator(kind).iter_errors(content)
    return [f"{direction} {kind}: {error.json_path}: {error.message[:300]}" for error in errors]


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


@attrs.define
class Witness:
    """Sees every frame that the agent and the servers of tests send, and keeps what is wrong with them.

    What a test sends as text of its own, to see what becomes of it, passes by.
    """

    seen: int = 0
    wrong: list[str] = attrs.field(factory=list)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Stands at the places where messages become frames: the agent's, and those of both services."""
        write_message, write_event = channels.wire.codec.write_message, channels.wire.codec.write_event

        def message_written(message: Any) -> str:
            return self._look(write_message(message), "client")

        def event_written(event: Any, *, timestamp: float) -> str:
            return self._look(write_event(event, timestamp=timestamp), "server")

        patch.setattr(actors.api.connection, "write_message", message_written)
        for service in (playground.voice_agent.connection, tests.simulation.service):
            patch.setattr(service, "write_event", event_written)

    def watch_clients(self, patch: pytest.MonkeyPatch) -> None:
        """Stands at the server's ear too: for tests whose clients are agents in processes of their own."""
        read_message = channels.wire.codec.read_message

        def message_read(frame: str | bytes) -> Any:
            self._look(frame if isinstance(frame, str) else frame.decode(), "client")
            return read_message(frame)

        patch.setattr(playground.voice_agent.connection, "read_message", message_read)

    def _look(self, frame: str, direction: str) -> str:
        self.seen += 1
        if len(self.wrong) < 20:
            self.wrong += complaints(frame, direction)
        return frame
