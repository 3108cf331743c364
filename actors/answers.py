"""AnswerWatch: makes sure that a person who said something hears an answer.

In: happenings. Out: requests to the service and, as a last resort, a tone. If an answer is missing, it is
requested once more. If that is not heard either, the agent apologises; and if even that is not heard, a tone
shows that the line is alive. `Attempts` decides what to do; the actor only moves messages. It is a tap:
without it the conversation goes on as the service has it.
"""

from __future__ import annotations

import contextlib
import enum
import math

import trio
from attrs import define, field

from channels.bounded import Receiver, Sender
from channels.happenings import (
    AnswerMissing,
    AskGivenUp,
    AskSent,
    CallEnded,
    FloorHolder,
    FloorPassed,
    Happening,
    ReplyBegan,
    ToolCalled,
    TurnStarted,
)
from channels.instructions import APOLOGY, UNANSWERED, quoted
from channels.messages import Fill
from channels.wire.messages import ClientMessage, ReplyCreate

__all__ = ["AnswerWatch", "Attempts", "Wanted"]


class Wanted(enum.Enum):
    """What to do for the person who is waiting."""

    NOTHING = "nothing"
    ASK_AGAIN = "ask again"
    APOLOGISE = "apologise"
    TONE = "tone"


@define
class Attempts:
    """What was tried for the person's latest turn. No I/O, no clock.

    Args:
        within_s: how long each attempt may take to be heard.
    """

    within_s: float
    _trying: Wanted = field(default=Wanted.NOTHING, init=False)
    _request: ReplyCreate | None = field(default=None, init=False)
    """What was asked for."""
    _seen: bool = field(default=False, init=False)
    """A reply has begun since the request."""
    overdue_at: float = field(default=math.inf, init=False)
    """When the attempt has failed."""

    def take(self, happening: Happening, now: float) -> Wanted:
        """Handles a happening; returns what to do."""
        match happening:
            case AnswerMissing() if self._trying is Wanted.NOTHING:
                return self._try(Wanted.ASK_AGAIN)
            case ReplyBegan() | ToolCalled() | TurnStarted() | CallEnded():
                self._try(Wanted.NOTHING)
            case AskSent(request=request) if request == self._request:
                self.overdue_at = now + self.within_s
                self._seen = False
            case FloorPassed(holder=FloorHolder.ANSWER | FloorHolder.AGENT):
                self._seen = True
            case AskGivenUp(request=request) if request == self._request:
                return self._fail()
            case FloorPassed(holder=FloorHolder.NOBODY) if self._request is not None and self._seen:
                return self._fail()  # its reply is over, and nobody heard it
            case _:
                pass
        return Wanted.NOTHING

    def pass_time(self, now: float) -> Wanted:
        """Returns what to do if nothing happens until `now`."""
        return self._fail() if now >= self.overdue_at else Wanted.NOTHING

    def asks(self, request: ReplyCreate) -> None:
        """This request was sent for the attempt."""
        self._request = request

    def _fail(self) -> Wanted:
        match self._trying:
            case Wanted.ASK_AGAIN:
                return self._try(Wanted.APOLOGISE)
            case _:
                return self._try(Wanted.TONE)

    def _try(self, wanted: Wanted) -> Wanted:
        self._trying = Wanted.NOTHING if wanted is Wanted.TONE else wanted
        self._request, self.overdue_at, self._seen = None, math.inf, False
        return wanted


@define
class AnswerWatch:
    """Makes sure that people who speak are answered.

    Args:
        happenings: a tap.
        requests: messages to the service.
        fills: sounds while the agent has nothing to say.
        within_ms: how long an attempt may take to be heard.
        tone: PCM16 mono 24 kHz.
    """

    happenings: Receiver[Happening]
    requests: Sender[ClientMessage]
    fills: Sender[Fill]
    within_ms: int
    tone: bytes = field(repr=False)
    _missing: str = field(default="", init=False)
    """What the person said."""

    async def run(self) -> None:
        """Watches until the happenings end."""
        async with self.happenings, self.requests, self.fills:
            attempts = Attempts(self.within_ms / 1000)
            while True:
                wanted = Wanted.NOTHING
                with trio.move_on_at(attempts.overdue_at) as waiting:
                    try:
                        happening = await self.happenings.receive()
                    except trio.EndOfChannel:
                        return
                    if isinstance(happening, AnswerMissing):
                        self._missing = happening.text
                    wanted = attempts.take(happening, trio.current_time())
                if waiting.cancelled_caught:
                    wanted = attempts.pass_time(trio.current_time())
                await self._do(wanted, attempts)

    async def _do(self, wanted: Wanted, attempts: Attempts) -> None:
        match wanted:
            case Wanted.ASK_AGAIN:
                await self._ask(ReplyCreate(UNANSWERED + quoted(self._missing)), attempts)
            case Wanted.APOLOGISE:
                await self._ask(ReplyCreate(APOLOGY), attempts)
            case Wanted.TONE:
                self.fills.send_nowait(Fill(self.tone))
            case Wanted.NOTHING:
                pass

    async def _ask(self, request: ReplyCreate, attempts: Attempts) -> None:
        attempts.asks(request)
        with contextlib.suppress(trio.BrokenResourceError):  # the session is over
            await self.requests.send(request)
