"""RequestGate: limits how fast one added actor sends requests to the service.

In: messages to the service from one addition, on its own channel. Out: the same messages, on the channel that
all requests share. Each addition has its own gate, so one that floods only holds up itself: tool results and
typed text find the shared channel empty. When the session is over, waiting requests are dropped.
"""

from __future__ import annotations

import contextlib

import trio
from attrs import define

from channels.bounded import Receiver, Sender
from channels.wire.messages import ClientMessage

__all__ = ["AT_ONCE", "EACH_S", "RequestGate"]

AT_ONCE = 4
"""A prompt change, a message and a request for a reply belong together; more at once is a flood."""

EACH_S = 1.0
"""Then one a second: the service takes seconds to speak one reply."""


@define
class RequestGate:
    """Lets one addition's requests through: `AT_ONCE`, then one every `EACH_S` seconds."""

    asked: Receiver[ClientMessage]
    requests: Sender[ClientMessage]

    async def run(self) -> None:
        """Lets requests through until no more can come."""
        async with self.asked, self.requests:
            free_at = trio.current_time()
            async for request in self.asked:
                now = trio.current_time()
                free_at = max(free_at, now - AT_ONCE * EACH_S) + EACH_S
                await trio.sleep_until(free_at)
                with contextlib.suppress(trio.BrokenResourceError):
                    await self.requests.send(request)
