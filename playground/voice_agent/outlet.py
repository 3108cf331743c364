"""Where a session's events go: to the connection that is attached, or, when there is none, nowhere.

A session outlives its connections by the grace. Sending never fails: what is said while nobody is there
is dropped, or kept (at most 1,000 events) if the resume policy says so.
"""

from __future__ import annotations

from collections import deque

from playground.voice_agent.connection import Connection, ConnectionGone, Goodbye, Outgoing

__all__ = ["Outlet"]

_MOST_KEPT = 1000


class Outlet:
    """The changing end of a session.

    Args:
        keep: whether what is said while nobody is there is kept for whoever comes next.
    """

    def __init__(self, *, keep: bool) -> None:
        self._connection: Connection | None = None
        self._missed: deque[Outgoing] | None = deque(maxlen=_MOST_KEPT) if keep else None

    @property
    def connection(self) -> Connection | None:
        """Who is there."""
        return self._connection

    async def attach(self, connection: Connection) -> None:
        """Sends to this connection from now on; one that was attached is closed."""
        before, self._connection = self._connection, connection
        if before is not None:
            await before.dismiss(Goodbye(1008, "the session was taken up elsewhere"))

    def detach(self, connection: Connection) -> bool:
        """Forgets the connection; false if it was replaced already."""
        if self._connection is not connection:
            return False
        self._connection = None
        return True

    async def send(self, *events: Outgoing) -> None:
        """Sends, if anybody is there; waits while the client is behind."""
        if self._connection is not None:
            try:
                await self._connection.send(*events)
            except ConnectionGone:
                # Its end is on the way as a message of its own.
                self._keep(events)
        else:
            self._keep(events)

    async def replay(self) -> None:
        """Sends what was missed."""
        missed = list(self._missed or ())
        if self._missed is not None:
            self._missed.clear()
        await self.send(*missed)

    def _keep(self, events: tuple[Outgoing, ...]) -> None:
        if self._missed is not None:
            self._missed.extend(event for event in events if not isinstance(event, Goodbye))
