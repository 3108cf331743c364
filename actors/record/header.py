"""The first line of a record: what it is, when it was, and the settings that decisions depend on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from channels.program import version
from channels.secret import blot_out_fields
from channels.settings import BargeInSettings, Settings, SpeakerSettings

__all__ = ["FORMAT", "VERSION", "Header"]

FORMAT = "voice-agent-record"
VERSION = 2
"""Grows when a reader of the one before could misread it. New classes and new fields need no new version.

2: what the controller and the onset detector were fed with has the time at which they took it, and its order.
1: it has the time at which it was sent."""


@attrs.frozen
class Header:
    """Of one record."""

    format: str
    version: int
    project: str
    """The version of this project that wrote it."""
    python: str
    started: str
    """The wall clock at second 0, ISO 8601 in UTC: the only such time in a record."""
    room: str
    barge_in: BargeInSettings
    speaker: SpeakerSettings
    session: Mapping[str, Any]
    """What was asked of the service; what it made of that stands in `SessionReady`."""
    sound: str | None = None
    """The name of the sound file beside the record, if there is one."""

    @classmethod
    def of(cls, settings: Settings, sound: str | None) -> Header:
        """The header of a record that begins now."""
        return cls(
            FORMAT,
            VERSION,
            version(),
            platform.python_version(),
            datetime.now(UTC).isoformat(timespec="milliseconds"),
            settings.room_name,
            settings.barge_in,
            settings.speaker,
            blot_out_fields(settings.api.session.as_wire()),
            sound,
        )
