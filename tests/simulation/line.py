"""The line between the agent and the service: bytes that arrive at once, unless somebody interferes.

The service's end writes without waiting, so that what it says and when is its own decision alone. The
agent's end is the `Line` that its own tests use: it can be stalled in either direction, and reset.
"""

from __future__ import annotations

import contextlib

import trio
from trio.testing import memory_stream_pair

from tests.actors.test_api_support import Line

__all__ = ["SimulatedLine"]


class SimulatedLine(Line):
    """The agent's end of one connection, with the service's end beside it."""

    def __init__(self) -> None:
        near, self._far = memory_stream_pair()
        self._to_agent = near.receive_stream
        self._reset = False
        self.stalled = False
        super().__init__(near)

    def stall(self, *, only_out: bool = False) -> None:
        """From now on nothing gets through, and nobody is told."""
        self.stalled = True
        super().stall(only_out=only_out)

    def flow(self) -> None:
        """Everything gets through again, what was held up first."""
        self.stalled = False
        super().flow()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await super().receive_some(max_bytes)
        if self._reset:
            raise trio.BrokenResourceError("connection reset by peer")
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await super().send_all(data)
        if self._reset:
            raise trio.BrokenResourceError("connection reset by peer")

    async def read(self) -> bytes | bytearray:
        """At the service's end: what the agent sent; nothing: it hung up."""
        try:
            return await self._far.receive_some(65_536)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    def write(self, data: bytes) -> None:
        """At the service's end: sends. Without effect once the agent has hung up."""
        with contextlib.suppress(trio.ClosedResourceError):
            self._to_agent.put_data(data)

    def hang_up(self, *, reset: bool = False) -> None:
        """At the service's end: the connection ends, in order or with a reset."""
        self._reset = self._reset or reset
        self._to_agent.put_eof()
        self.flow()
