"""What the channels of a running agent carry: the counters that an operator gets, and rates.

No I/O, no clock.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from channels.errors import AgentSilent, NotAllowedInRoom
from channels.program import COMMAND

__all__ = ["Flow", "Reading", "flows", "read_counters"]


@attrs.frozen
class Reading:
    """A channel's counters at one moment, in messages."""

    passed: int
    dropped: int
    depth: int
    deepest: int
    capacity: int
    age_ms: int | None = None
    """How old the message was that its reader was done with last, where messages have a time."""


@attrs.frozen
class Flow:
    """A channel between two readings."""

    name: str
    per_second: float
    """Messages taken in, dropped ones included."""
    now: Reading

    @property
    def note(self) -> str:
        """In short."""
        parts = [f"{self.per_second:.1f}/s", f"{self.now.depth} of {self.now.capacity} waiting"]
        parts += [f"{self.now.dropped} dropped"] if self.now.dropped else []
        return ", ".join(parts + ([] if self.now.age_ms is None else [f"{self.now.age_ms} ms old"]))

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        return {"name": self.name, "per_second": round(self.per_second, 2), **attrs.asdict(self.now)}


def read_counters(answer: str) -> dict[str, Reading]:
    """The counters by channel, from an operator's answer to `statistics`.

    Raises:
        NotAllowedInRoom: it was refused.
        AgentSilent: that is no such answer.
    """
    try:
        told = json.loads(answer)
        if told["done"] is not True:
            raise NotAllowedInRoom(
                f"the agent refuses to answer ({told['why']})",
                f"use an operator's token: {COMMAND} token --identity NAME --operator",
            )
        names = [field.name for field in attrs.fields(Reading) if field.default is attrs.NOTHING]
        return {
            each["name"]: Reading(
                **{name: int(each[name]) for name in names},
                age_ms=None if each.get("age_ms") is None else int(each["age_ms"]),
            )
            for each in told["channels"]
        }
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise AgentSilent(
            "the agent's answer cannot be understood", "it may be another version; run the same one here"
        ) from None


def flows(before: Mapping[str, Reading], now: Mapping[str, Reading], seconds: float) -> list[Flow]:
    """What flowed in between; a channel that is new, or of an agent that began anew, from zero."""
    found = []
    for name, reading in now.items():
        former = before.get(name)
        passed = reading.passed - (former.passed if former and former.passed <= reading.passed else 0)
        found.append(Flow(name, passed / seconds, reading))
    return found
