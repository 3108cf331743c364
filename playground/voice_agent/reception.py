"""What the first message of a connection leads to. No socket, no clock.

The rule: it is `session.update` or `session.resume`. Sound that comes before it is discarded, as the
documentation says; anything else is answered by `invalid_format`, and the connection stays open, as with
all errors of form. An update that is well-formed but refused closes with 1008, as seen live.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from channels.wire.events import SessionFailed
from channels.wire.messages import ClientMessage, InputAudio, SessionEnd, SessionResume, SessionUpdate
from playground.voice_agent.config_refused import ConfigRefused
from playground.voice_agent.options import ServerOptions
from playground.voice_agent.session_config import ResolvedSession, configured

__all__ = ["Begin", "Discard", "Hang", "Refuse", "Resume", "first_step"]


@attrs.frozen
class Begin:
    """A new session."""

    config: ResolvedSession


@attrs.frozen
class Resume:
    """An earlier session is to be taken up."""

    session_id: str


@attrs.frozen
class Refuse:
    """An answer, and a close if `code` is given."""

    error: SessionFailed
    code: int | None


@attrs.frozen
class Discard:
    """Nothing."""


@attrs.frozen
class Hang:
    """Nothing ever again: a fault."""


First: TypeAlias = Begin | Resume | Refuse | Discard | Hang


def first_step(message: ClientMessage, options: ServerOptions) -> First:
    """What to do about a message on a connection that has no session yet."""
    match message:
        case SessionUpdate(session=session):
            try:
                return Begin(configured(None, session, voices=options.voices, agents=options.agents))
            except ConfigRefused as refused:
                return _refuse(refused, options)
        case SessionResume(session_id=session_id):
            return Resume(session_id)
        case InputAudio():
            return Discard()
        case SessionEnd():
            return Refuse(SessionFailed("invalid_format", "There is no session to end"), None)
        case _:
            return Refuse(SessionFailed("invalid_format", "The first message must be session.update"), None)


def _refuse(refused: ConfigRefused, options: ServerOptions) -> First:
    if refused.param in ("input.format.sample_rate", "output.format.sample_rate"):
        match options.faults.pcm_16k:
            case "never_ready":
                return Hang()
            case "internal_error":
                return Refuse(SessionFailed("internal_error", "Internal error"), 1011)
            case "invalid_value":
                pass
    fatal = refused.code != "invalid_format"
    return Refuse(SessionFailed(refused.code, refused.message, refused.param), 1008 if fatal else None)
