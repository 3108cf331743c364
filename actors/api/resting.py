"""A byte stream that is read less often while it carries sound that nobody waits for.

The service sends a reply in messages of 10 ms. Each would wake the loop, a hundred times a second, and
waking costs more than what is done with the sound (`bench.cost`). So while enough of a reply lies here to be
played, the stream rests for a moment after each read, and the next one gives several messages. It does not
rest before a reply is well under way, nor after it: the first sound of a reply comes at once. Once the
service has said anything else in a reply, such as that a person speaks, nothing waits until the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import trio
from attrs import define, field

from channels.wire.events import AgentTranscriptDelta, ReplyAudio, ServerEvent
from sound.pcm import ms_of_bytes

__all__ = ["COMFORTABLE_MS", "RESTS_S", "Comfort", "RestingStream"]

RESTS_S = 0.02
"""What the service says first beside a reply is read so much later at most. The person's first sound has held
the voice before that, and what comes of it is read at once."""

COMFORTABLE_MS = 80.0
"""So much more of a reply is here than was played, if it was played without a pause: four rests, and less
than the 100 to 200 ms with which the service was recorded to begin."""


@define
class Comfort:
    """Whether enough of a reply is here, if more of it is still to come. No I/O, no clock."""

    enough: bool = field(default=False, init=False)
    _reply_id: str | None = field(default=None, init=False)
    _began: float = field(default=0.0, init=False)
    _ms: float = field(default=0.0, init=False)
    _disturbed: str | None = field(default=None, init=False)
    """The reply in which something else was said last."""

    def take(self, event: ServerEvent, now: float) -> None:
        """Takes what the service says at `now` (s)."""
        match event:
            case AgentTranscriptDelta():
                return  # its words come with its sound
            case ReplyAudio(reply_id=reply_id, data=data) if reply_id not in (None, self._disturbed):
                if reply_id != self._reply_id:
                    self._reply_id, self._began, self._ms = reply_id, now, 0.0
                self._ms += ms_of_bytes(len(data))
                self.enough = self._ms - (now - self._began) * 1000 >= COMFORTABLE_MS
            case _:
                self.enough, self._disturbed = False, self._reply_id or self._disturbed


@define
class RestingStream(trio.abc.Stream):
    """The stream.

    Args:
        stream: what it reads from and writes to.
        may_rest: whether what comes next can wait for a moment.
    """

    _stream: trio.abc.Stream
    _may_rest: Callable[[], bool]
    _read_at: float = field(default=-math.inf, init=False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As Trio's."""
        if self._may_rest():
            await trio.sleep_until(self._read_at + RESTS_S)
        received = await self._stream.receive_some(max_bytes)
        self._read_at = trio.current_time()
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As Trio's."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As Trio's."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As Trio's."""
        await self._stream.aclose()
