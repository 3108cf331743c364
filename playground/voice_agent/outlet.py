"""Where a session's events go: to the connection that is attached, or, when there is none, nowhere.

A session outlives its connections by the grace. Sending never fails: what is said while nobody is there
is dropped, or kept (at most 1,000 events) if the resume policy says so.
"""

from __future__ import annotations

from collections import deque

from playground.voice_agent.connection import ClientConnection, ConnectionGone, Goodbye, Outgoing

__all__ = ["Outlet"]

_MOST_KEPT = 1000


class Outlet:
    """The changing end of a session.

    Args:
        keep: whether what is said while nobody is there is kept for whoever comes next.
    """

    def __init__(self, *, keep: bool) -> None:
        self._connection: ClientConnection | None = None
        self._catching_up = False
        self._missed: deque[Outgoing] | None = deque(maxlen=_MOST_KEPT) if keep else None

    @property
    def connection(self) -> ClientConnection | None:
        """Who is there."""
        return self._connection

    async def attach(self, connection: ClientConnection, *first: Outgoing) -> None:
        """Sends to this connection from now on: `first`, then what was missed, then what comes.

        A connection that was attached until now is closed.
        """
        if self._connection is not None:
            await self._connection.dismiss(Goodbye(1008, "the session was resumed elsewhere"))
        # What somebody else sends meanwhile waits behind what was missed.
        self._connection, self._catching_up = connection, self._missed is not None
        try:
            await connection.send(*first)
            while self._missed:
                await connection.send(self._missed.popleft())
        except ConnectionGone:
            return  # its end is on the way as a message of its own
        finally:
            self._catching_up = False

    def detach(self, connection: ClientConnection) -> bool:
        """Forgets the connection; false if it was replaced already."""
        if self._connection is not connection:
            return False
        self._connection = None
        return True

    async def send(self, *events: Outgoing) -> None:
        """Sends, if anybody is there; waits while the client is behind."""
        if self._connection is None or self._catching_up:
            self._keep(events)
            return
        try:
            await self._connection.send(*events)
        except ConnectionGone:
            self._keep(events)  # its end is on the way as a message of its own

    def _keep(self, events: tuple[Outgoing, ...]) -> None:
        if self._missed is not None:
            self._missed.extend(event for event in events if not isinstance(event, Goodbye))
