"""The sessions there are, abandoned ones included: who may take one up, and how many there may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from playground.voice_agent.accounts import Admission
from playground.voice_agent.options import ServerOptions

if TYPE_CHECKING:
    from playground.voice_agent.session import Session

__all__ = ["Refused", "Registry"]


class Refused(Exception):
    """A start or a resume that is answered by `session.error` and a close.

    Args:
        code: the protocol's error code.
        message: for the client.
        close: the WebSocket's close code.
    """

    def __init__(self, code: str, message: str, close: int = 1008) -> None:
        super().__init__(code, message, close)
        self.code = code
        self.message = message
        self.close = close


@attrs.define
class Registry:
    """Sessions by id. A session is in here from its first update until it ends or its grace is over."""

    _options: ServerOptions
    _sessions: dict[str, Session] = attrs.field(factory=dict, init=False)
    _refused: int = attrs.field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._sessions)

    def all(self) -> list[Session]:
        """Every session there is."""
        return list(self._sessions.values())

    def may_start(self) -> None:
        """Whether there is room for one more.

        Raises:
            Refused: there is not, or a fault says so.
        """
        faults = self._options.faults
        code = faults.refuse_start_with
        if code is not None and (faults.refuse_starts is None or self._refused < faults.refuse_starts):
            self._refused += 1
            if code == "internal_error":
                raise Refused(code, "Internal error", 1011)
            raise Refused(code, _WHY[code])
        limit = self._options.concurrency
        if limit is not None and len(self._sessions) >= limit:
            raise Refused("concurrency_exceeded", _WHY["concurrency_exceeded"])

    def add(self, session: Session) -> None:
        """A session that has begun."""
        self._sessions[session.id] = session

    def remove(self, session: Session) -> None:
        """A session that is over."""
        self._sessions.pop(session.id, None)

    def find(self, session_id: str, admission: Admission) -> Session:
        """The session to take up.

        Raises:
            Refused: it is over, never was, or is somebody else's.
        """
        refusal = self._options.refuses_resume_with
        if refusal is not None:
            raise Refused(refusal, _WHY[refusal])
        session = self._sessions.get(session_id)
        if session is None:
            raise Refused("session_not_found", _WHY["session_not_found"])
        if session.owner != admission.owner or admission.session_id not in (None, session_id):
            raise Refused("session_forbidden", _WHY["session_forbidden"])
        return session


_WHY = {
    "at_capacity": "The service is at capacity",
    "concurrency_exceeded": "Too many concurrent sessions",
    "session_not_found": "Session not found or grace window has expired",
    "session_forbidden": "Session belongs to another account",
    "session_expired": "Session expired",
}
