"""How the Voice Agent API fails: one class for each thing to be done about it, and the table of codes.

Codes are an open set, compared without regard to case; whether an error ends the session is decided
by the close that follows, not by the code. `failure_of` is the one place that turns both into an error.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from channels.errors import VoiceAgentError

__all__ = [
    "CODES",
    "FAULT_MEND",
    "KEY_MEND",
    "NORMAL_CLOSE",
    "ConfigurationRefused",
    "ConnectionLost",
    "KeyRefused",
    "MessageRefused",
    "Retry",
    "ServiceBusy",
    "ServiceError",
    "ServiceFault",
    "ServiceUnreachable",
    "SessionClosedByService",
    "SessionGone",
    "failure_of",
]


class Retry(enum.Enum):
    """What may help."""

    NEVER = "never"
    RESUME = "resume"
    """The session may still be there: resume it within its grace."""
    FRESH = "fresh"
    """A new session, at once."""
    LATER = "later"
    """A new session, after a wait."""


class ServiceError(VoiceAgentError):
    """Base of all failures of the Voice Agent API."""

    retry: Retry = Retry.NEVER


class KeyRefused(ServiceError):
    """The key or token was not accepted."""


class ConfigurationRefused(ServiceError):
    """The service does not take the session's configuration."""


class MessageRefused(ServiceError):
    """The service did not understand a message of ours."""


class SessionGone(ServiceError):
    """The session to be resumed, or the one that ran, is over."""

    retry = Retry.FRESH


class SessionClosedByService(ServiceError):
    """The service ended the session in good order."""

    retry = Retry.FRESH


class ServiceBusy(ServiceError):
    """The account's limit or the service's capacity is reached."""

    retry = Retry.LATER


class ServiceFault(ServiceError):
    """The service failed."""

    retry = Retry.LATER


class ServiceUnreachable(ServiceError):
    """Nobody answers at the service's address."""

    retry = Retry.LATER


class ConnectionLost(ServiceError):
    """The connection broke while the session ran."""

    retry = Retry.RESUME


KEY_MEND = "check ASSEMBLYAI_API_KEY; make a new one at https://www.assemblyai.com/dashboard/api-keys"
FAULT_MEND = "try again; if it stays, see the service's status page"

_KEY = (KeyRefused, KEY_MEND)
_CONFIGURATION = (ConfigurationRefused, "correct the session's configuration")
_MESSAGE = (MessageRefused, "this is a fault of the agent: please report it")
_BUSY = (ServiceBusy, "wait, or end other sessions (an abandoned one counts for 30 s)")
_FAULT = (ServiceFault, FAULT_MEND)
_GONE = (SessionGone, "a fresh session takes over")

CODES: Mapping[str, tuple[type[ServiceError], str]] = {
    "unauthorized": _KEY,
    "forbidden": _KEY,
    "invalid_value": _CONFIGURATION,
    "invalid_config": _CONFIGURATION,
    "invalid_webhook": _CONFIGURATION,
    "immutable_field": (ConfigurationRefused, "this field can only be set before the session starts"),
    "agent_not_found": (
        ConfigurationRefused,
        "check the agent's id, and that it lives in this host's region",
    ),
    "agent_id_not_first": (
        ConfigurationRefused,
        "a stored agent can only be chosen before the session starts",
    ),
    "agent_init_failed": _FAULT,
    "agent_timeout": _FAULT,
    "invalid_format": _MESSAGE,
    "invalid_audio": _MESSAGE,
    "audio_rate_violation": _MESSAGE,
    "session_not_found": _GONE,
    "session_forbidden": _GONE,
    "session_expired": _GONE,
    "concurrency_exceeded": _BUSY,
    "at_capacity": _BUSY,
    "internal_error": _FAULT,
    "server_error": _FAULT,
}

NORMAL_CLOSE = 1000
POLICY_CLOSE = 1008
FAULT_CLOSE = 1011


def failure_of(
    code: str | None,
    message: str = "",
    *,
    param: str | None = None,
    close: int | None = None,
    running: bool = False,
) -> ServiceError:
    """The error for a `session.error` code, a close code, or both.

    Args:
        code: of the `session.error` that came last, if it has not been followed by anything but the close.
        message: the service's own words.
        param: the field that it names.
        close: the websocket's close code, if it closed.
        running: whether the service has said `session.ready` before. A complaint that a session outlives
            is then not why it breaks off, and a refusal is not one of the key.
    """
    kind, mend = CODES.get((code or "").strip().lower(), _FAULT)
    said = f": {_one_line(message, 500).rstrip('.')}" if message else ""
    if code and (not running or kind.retry is not Retry.NEVER or close == POLICY_CLOSE):
        where = f" at {_one_line(param, 100)}" if param else ""
        return kind(f"the Voice Agent API says {_one_line(code, 100).lower()}{where}{said}", mend)
    if close == NORMAL_CLOSE:
        return SessionClosedByService("the Voice Agent API ended the session", "a fresh session takes over")
    if close == POLICY_CLOSE and running:
        return SessionGone(f"the Voice Agent API ended the session (close 1008){said}", _GONE[1])
    if close == POLICY_CLOSE:
        return KeyRefused(f"the Voice Agent API refused the connection (close 1008){said}", KEY_MEND)
    if close == FAULT_CLOSE:
        return ServiceFault(f"the Voice Agent API failed (close 1011){said}", FAULT_MEND)
    return ConnectionLost(
        f"the connection to the Voice Agent API broke (close {close or 1006})",
        "check the network if it stays away",
    )


def _one_line(text: str, longest: int) -> str:
    # What another machine says is shown to a person: no line breaks, no escape sequences, no end of it.
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split())
    return words if len(words) <= longest else f"{words[:longest]}…"
