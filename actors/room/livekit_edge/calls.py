"""RPC calls of the agent: callers may make thousands, and let them wait for as long as they like."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable

from livekit import rtc

from actors.room.livekit_edge.board import LiveKitBoard
from channels.texts import Asked

__all__ = ["Calls"]

MOST_WAITING = 32
MOST_WAITING_OF_ONE = 8
LONGEST_WAIT_S = 15.0
"""What LiveKit itself lets a caller wait, unless they ask for more."""
LONGEST_PAYLOAD = 16_000
"""Characters; LiveKit carries 15 KiB."""

_TOO_MANY = rtc.RpcError(1503, "too many calls are waiting for answers; try again")
_TOO_LONG = rtc.RpcError(rtc.RpcError.ErrorCode.REQUEST_PAYLOAD_TOO_LARGE, "the payload is too long")


class Calls:
    """Lets callers wait for answers, within bounds.

    Args:
        board: where the answers come.
        loop: the SDK's.
        tell: is given each call.
    """

    def __init__(
        self, board: LiveKitBoard, loop: asyncio.AbstractEventLoop, tell: Callable[[Asked], None]
    ) -> None:
        self._board = board
        self._loop = loop
        self._tell = tell
        self._waiting: Counter[str] = Counter()
        """How many calls of each caller."""
        self._numbers = itertools.count(1)

    async def take(self, method: str, call: rtc.RpcInvocationData) -> str:
        """Gives the answer.

        Raises:
            RpcError: too many calls wait, or the payload is too long.
        """
        caller = call.caller_identity
        if len(call.payload) > LONGEST_PAYLOAD:
            raise _TOO_LONG
        if self._waiting[caller] >= MOST_WAITING_OF_ONE or self._waiting.total() >= MOST_WAITING:
            raise _TOO_MANY
        # The caller's own id may be the id of somebody else's call.
        call_id = f"call-{next(self._numbers)}"
        self._waiting[caller] += 1
        try:
            answer = self._board.expect_answer(call_id, self._loop)
            self._tell(Asked(call_id, caller, method, call.payload))
            return await asyncio.wait_for(answer, min(call.response_timeout, LONGEST_WAIT_S))
        finally:
            self._board.forget_answer(call_id)
            self._waiting -= Counter((caller,))
