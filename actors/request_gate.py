"""RequestGate: what one added actor asks of the service, no faster than a talk can bear.

In: messages to the service from one addition, on a channel of its own. Out: the same, on the channel that
all requests share. Each addition has a gate, so that one that floods waits behind nobody but itself: the
results of tools and what people type find the shared channel empty. When the session is over, what is still
asked for is let go.
"""

from __future__ import annotations

import contextlib

import trio
from attrs import define

from channels.bounded import Receiver, Sender
from channels.wire.messages import ClientMessage

__all__ = ["AT_ONCE", "EACH_S", "RequestGate"]

AT_ONCE = 4
"""A change of the prompt, a message and a wish for a reply belong together; more of them is no request."""

EACH_S = 1.0
"""Then one a second: the service takes seconds to speak one reply."""


@define
class RequestGate:
    """Lets one addition's requests through: `AT_ONCE`, then one every `EACH_S` seconds."""

    asked: Receiver[ClientMessage]
    requests: Sender[ClientMessage]

    async def run(self) -> None:
        """Lets through until nobody can ask any more."""
        async with self.asked, self.requests:
            free_at = trio.current_time()
            async for request in self.asked:
                now = trio.current_time()
                free_at = max(free_at, now - AT_ONCE * EACH_S) + EACH_S
                await trio.sleep_until(free_at)
                with contextlib.suppress(trio.BrokenResourceError):
                    await self.requests.send(request)
