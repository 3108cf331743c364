"""What a person can set, read from the environment and then from `.env`.

Reading is all or nothing: every missing or malformed setting is reported in one go, each in one line
that names it, says what was found (never a secret) and where to get a right one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import attrs
from dotenv import dotenv_values

from channels.errors import SettingsError
from channels.secret import Secret
from channels.settings.room import (
    DEFAULT_ROOM_NAME,
    DEFAULT_VOICE_AGENT_URL,
    ApiSettings,
    HoldSettings,
    LiveKitSettings,
    Settings,
    SpeakerSettings,
)

__all__ = ["ACCOUNT_SETTINGS", "read_environment", "read_livekit_settings", "read_settings"]

ACCOUNT_SETTINGS = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "ASSEMBLYAI_API_KEY")

_WHERE = {
    "LIVEKIT_URL": "it is wss://<project>.livekit.cloud on LiveKit Cloud (Settings → Keys), "
    "or your own server, e.g. ws://localhost:7880",
    "LIVEKIT_API_KEY": "LiveKit Cloud shows it under Settings → Keys; your own server has it in its `keys`",
    "LIVEKIT_API_SECRET": "LiveKit Cloud shows it once, under Settings → Keys, when the key is made",
    "ASSEMBLYAI_API_KEY": "make one at https://www.assemblyai.com/dashboard/api-keys",
    "ROOM_NAME": "choose any name, e.g. voice-agent-demo",
    "VOICE_AGENT_URL": f"leave it out for {DEFAULT_VOICE_AGENT_URL}",
    "QUEUE_SIZE_MS": "leave it out for 100",
    "HOLD_MS": "leave it out for 3000; 0 switches holding off",
}


def read_environment(environ: Mapping[str, str], dotenv: Path) -> dict[str, str]:
    """The settings as written: the environment, then the `.env` file. Empty or blank means not set.

    Raises:
        SettingsError: the file is there and cannot be read.
    """
    try:
        written = dotenv_values(dotenv, interpolate=False) if dotenv.is_file() else {}
    except (OSError, UnicodeError):
        raise SettingsError(f"{dotenv} cannot be read", "save it as plain text in UTF-8") from None
    # What is blank in the environment does not hide what the file says.
    both = [(name, value) for source in (written, environ) for name, value in source.items()]
    return {name: value for name, value in both if name in _WHERE and value and value.strip()}


def read_settings(found: Mapping[str, str], warn: Callable[[str], None]) -> Settings:
    """Checks what `read_environment` found.

    Args:
        found: names and values.
        warn: is told what was mended on the way, one line at a time.

    Raises:
        SettingsError: something is missing or malformed; its text has one line for each.
    """
    reader = _Reader(found, warn)
    livekit = _livekit(reader)
    api_key = reader.read("ASSEMBLYAI_API_KEY", _key)
    api_url = reader.read("VOICE_AGENT_URL", _voice_agent_url, DEFAULT_VOICE_AGENT_URL)
    queue_size_ms = reader.read("QUEUE_SIZE_MS", _queue_size, "100")
    hold_ms = reader.read("HOLD_MS", _hold, "3000")
    reader.raise_problems()
    return Settings(
        livekit,
        ApiSettings(api_url, Secret(api_key)),
        SpeakerSettings(int(queue_size_ms)),
        HoldSettings(int(hold_ms)),
    )


def read_livekit_settings(found: Mapping[str, str], warn: Callable[[str], None]) -> LiveKitSettings:
    """As `read_settings`, for those who need the LiveKit server only.

    Raises:
        SettingsError: something is missing or malformed.
    """
    reader = _Reader(found, warn)
    livekit = _livekit(reader)
    reader.raise_problems()
    return livekit


class _Malformed(Exception):
    """What is wrong with a value, in words that do not quote it if it is a secret."""


class _Reader:
    def __init__(self, found: Mapping[str, str], warn: Callable[[str], None]) -> None:
        self._found = found
        self._warn = warn
        self.problems: list[SettingsError] = []

    def read(self, name: str, check: Callable[[str], None], default: str | None = None) -> str:
        value = self._found.get(name, "") if self._found.get(name, "").strip() else default
        if value is None:
            self.problems.append(SettingsError(f"{name} is not set", _WHERE[name]))
            return ""
        stripped = value.strip()
        if stripped != value:
            self._warn(f"{name} has white space around it, which was left out")
        try:
            check(stripped)
        except _Malformed as wrong:
            self.problems.append(SettingsError(f"{name} {wrong}", _WHERE[name]))
        return stripped

    def raise_problems(self) -> None:
        if self.problems:
            *others, last = self.problems
            raise SettingsError("".join(f"{other}\n" for other in others) + last.what, last.mend)


def _livekit(reader: _Reader) -> LiveKitSettings:
    return LiveKitSettings(
        url=reader.read("LIVEKIT_URL", _livekit_url),
        api_key=reader.read("LIVEKIT_API_KEY", _key),
        api_secret=Secret(reader.read("LIVEKIT_API_SECRET", _key)),
        room_name=reader.read("ROOM_NAME", _room_name, DEFAULT_ROOM_NAME),
    )


def _key(value: str) -> None:
    shape = f"(found {len(value)} characters)"
    if any(character.isspace() for character in value):
        raise _Malformed(f"has white space in the middle {shape}")
    if not value.isascii() or not value.isprintable():
        raise _Malformed(f"has characters that no key has {shape}")
    if value[0] in "\"'<" or re.search(r"(?i)your[_-]?(api|key|secret)|changeme|xxxx", value):
        raise _Malformed(f"is a placeholder, not a key {shape}")


def _livekit_url(value: str) -> None:
    parts = _split(value)
    if parts.scheme not in ("ws", "wss", "http", "https"):
        raise _Malformed(f"is not a ws:// or wss:// address (found {_shown(value)})")


def _voice_agent_url(value: str) -> None:
    parts = _split(value)
    if parts.scheme not in ("ws", "wss"):
        raise _Malformed(f"is not a ws:// or wss:// address (found {_shown(value)})")
    if parts.scheme == "ws" and not _is_loopback(parts.hostname):
        raise _Malformed(
            f"would send the key unencrypted over ws:// to another machine (found {_shown(value)})"
        )


def _room_name(value: str) -> None:
    if len(value) > 256 or not value.isprintable():
        raise _Malformed(f"is not one line of up to 256 printable characters (found {len(value)} characters)")


def _hold(value: str) -> None:
    # Ten seconds of silence after a cough are more than anybody would wait for.
    if not value.isascii() or not value.isdigit() or len(value) > 5 or int(value) > 10_000:
        raise _Malformed(f"is not a whole number of ms from 0 to 10000 (found {_shown_number(value)})")


def _queue_size(value: str) -> None:
    # 40 ms is two frames of the speaker; 2000 ms is the most that the article advises.
    if not re.fullmatch("[0-9]{2,4}", value) or not 40 <= int(value) <= 2000:
        raise _Malformed(f"is not a whole number of ms from 40 to 2000 (found {_shown_number(value)})")


def _split(value: str) -> _Parts:
    try:
        parts = urlsplit(value)
        hostname, _ = parts.hostname, parts.port  # the port is checked when it is read
    except ValueError:
        raise _Malformed(f"is not an address (found {_shown(value)})") from None
    if not hostname or any(character.isspace() for character in value):
        raise _Malformed(f"is not an address (found {_shown(value)})")
    if "@" in value:  # anywhere: a password with a / in it is no password to a parser
        raise _Malformed("has a user or a password in it, where only an address belongs")
    if parts.query or parts.fragment:
        raise _Malformed(f"has a query, where only an address belongs (found {_shown(value)})")
    return _Parts(parts.scheme, hostname)


@attrs.frozen
class _Parts:
    scheme: str
    hostname: str


def _shown(value: str) -> str:
    # What has no scheme may be a secret in the wrong line, and a query can carry a token.
    if "://" not in value:
        return f"{len(value)} characters without ://"
    if "@" in value:
        return f"{len(value)} characters with an @"
    value = value.split("?")[0].split("#")[0]
    return repr(value if len(value) <= 80 else value[:77] + "…")


def _shown_number(value: str) -> str:
    # What is longer than a number may be a secret in the wrong line.
    return repr(value) if len(value) <= 8 else f"{len(value)} characters"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
