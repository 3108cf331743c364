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
    "FAULT_FIX",
    "KEY_FIX",
    "NORMAL_CLOSE",
    "POLICY_CLOSE",
    "ConfigurationRefused",
    "ConnectionLost",
    "KeyRefused",
    "MessageRefused",
    "NoWayToService",
    "RenewalDue",
    "Retry",
    "ServiceBusy",
    "ServiceError",
    "ServiceFault",
    "ServiceUnreachable",
    "SessionClosedByService",
    "SessionGone",
    "failure_of",
    "one_line",
]


class Retry(enum.Enum):
    """What may help."""

    NEVER = "never"
    RESUME = "resume"
    """The session may still be there: ask for it, once, within its grace."""
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


class RenewalDue(ServiceError):
    """The session expires soon, and nobody says anything right now."""

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


class NoWayToService(ServiceError):
    """The certificate is not trusted, or a proxy lets nobody through: trying again changes nothing."""


class ConnectionLost(ServiceError):
    """The connection broke while the session ran."""

    retry = Retry.RESUME


KEY_FIX = "check ASSEMBLYAI_API_KEY; make a new one at https://www.assemblyai.com/dashboard/api-keys"
FAULT_FIX = "try again; if it stays, see the service's status page"

_GONE_FIX = "a fresh session takes over"
_BUSY_FIX = "an abandoned session counts for 30 s"

CODES: Mapping[str, tuple[type[ServiceError], str]] = {
    # The schema's own.
    "unauthorized": (KeyRefused, KEY_FIX),
    "invalid_format": (MessageRefused, "this is a fault of the agent, or of who steers it: please report it"),
    "invalid_value": (ConfigurationRefused, "correct this field of the session's configuration"),
    "invalid_config": (ConfigurationRefused, "correct the session's configuration: its fields do not agree"),
    "invalid_audio": (MessageRefused, "the sound that was sent is none; check input.format"),
    "invalid_webhook": (ConfigurationRefused, "correct the webhook: it needs a url and events"),
    "immutable_field": (ConfigurationRefused, "this field can only be set before the session starts"),
    "agent_not_found": (
        ConfigurationRefused,
        "check the agent's id, and that it lives in this host's region",
    ),
    "agent_id_not_first": (
        ConfigurationRefused,
        "a stored agent can only be chosen before the session starts",
    ),
    "audio_rate_violation": (MessageRefused, "the agent slows down; what was too much is lost"),
    "session_not_found": (SessionGone, f"it is no longer kept, or another region has it; {_GONE_FIX}"),
    "session_forbidden": (SessionGone, f"it was begun with another key; {_GONE_FIX}"),
    "session_expired": (SessionGone, f"it was as long as it may be; {_GONE_FIX}"),
    "concurrency_exceeded": (ServiceBusy, f"wait, or end other sessions of this account ({_BUSY_FIX})"),
    "at_capacity": (ServiceBusy, "wait: the service is full, which has nothing to do with this account"),
    "internal_error": (ServiceFault, FAULT_FIX),
    # Named in the documentation or by other clients only.
    "forbidden": (KeyRefused, f"this key may not do that; {KEY_FIX}"),
    "agent_init_failed": (ServiceFault, f"check the stored agent's configuration, or {FAULT_FIX}"),
    "agent_timeout": (ServiceFault, f"the service did not start the agent in time; {FAULT_FIX}"),
    "server_error": (ServiceFault, f"the service failed; {FAULT_FIX}"),
}
"""Each code that is known, in lower case, with its error, which says what may help, and its fix."""

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
    kind, fix = CODES.get((code or "").strip().lower(), (ServiceFault, FAULT_FIX))
    said = f": {one_line(message, 500).rstrip('.')}" if message else ""
    if code and (not running or kind.retry is not Retry.NEVER or close == POLICY_CLOSE):
        where = f" at {one_line(param, 100)}" if param else ""
        return kind(f"the Voice Agent API says {one_line(code, 100).lower()}{where}{said}", fix)
    if close == NORMAL_CLOSE:
        return SessionClosedByService("the Voice Agent API ended the session", "a fresh session takes over")
    if close == POLICY_CLOSE and running:
        return SessionGone(f"the Voice Agent API ended the session (close 1008){said}", _GONE_FIX)
    if close == POLICY_CLOSE:
        return KeyRefused(f"the Voice Agent API refused the connection (close 1008){said}", KEY_FIX)
    if close == FAULT_CLOSE:
        return ServiceFault(f"the Voice Agent API failed (close 1011){said}", FAULT_FIX)
    return ConnectionLost(
        f"the connection to the Voice Agent API broke (close {close or 1006})",
        "check the network if it stays away",
    )


def one_line(text: str, longest: int) -> str:
    """What another machine says, fit for a person: no line breaks, no escape sequences, no end of it."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split())
    return words if len(words) <= longest else f"{words[:longest]}…"
