"""ApiSession: the conversation with the Voice Agent API, kept up across drops.

In: frames of the person's sound, and messages that others want to be sent. It begins when somebody is in
the room, so that nobody pays for an empty one and the greeting is heard. Out: the service's events (to the
controller, and those that concern tools to their runner) and what became of the connection (to the taps).
Sound is sent only after `session.ready` and never faster than real time. The reader hands each event to a
channel that never makes it wait, so an interruption is never behind a reply's sound. An abnormal drop is
resumed on the same host within the session's grace, else a fresh session takes over; what cannot be mended
is raised as one typed error. Cancelled, it says `session.end` and waits a moment for `session.ended`, so
that billing ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeAlias, get_args

import trio
from attrs import define, field

from actors.api.connection import Connection, Dialer, dial, open_connection
from actors.api.pace import Pace
from actors.api.retry import RetryPolicy
from channels.bounded import Receiver, Sender
from channels.happenings import ServiceComplained, SessionClosed, SessionLost, SessionStarted, Taps
from channels.messages import ApiEvent, ConnectionBroke, MicrophoneFrame, PersonCame, ToolEvent
from channels.settings import ApiSettings
from channels.sound import ms_of_bytes
from channels.wire.events import ServerEvent, SessionEnded, SessionFailed, SessionReady
from channels.wire.failures import Retry, ServiceError, ServiceFault, failure_of
from channels.wire.messages import ClientMessage, InputAudio, SessionEnd, SessionResume, SessionUpdate

__all__ = ["ApiSession"]

READY_WITHIN_S = 10.0
"""The documentation calls no `session.ready` within 10 s a failure."""

ENDED_WITHIN_S = 1.0
"""How long Ctrl-C waits for `session.ended`; live it comes within some 100 ms."""

_Part: TypeAlias = Callable[[Connection], Awaitable[None]]


@define
class ApiSession:
    """Keeps one session with the service.

    Raises (from `run`):
        ServiceError: the service cannot be used; the subclass says what to do.
    """

    settings: ApiSettings
    frames: Receiver[MicrophoneFrame]
    people: Receiver[PersonCame]
    requests: Receiver[ClientMessage]
    events: Sender[ApiEvent]
    tool_events: Sender[ToolEvent]
    taps: Taps
    dialer: Dialer = dial
    random: Random = field(factory=Random)
    passed_by: int = field(default=0, init=False)
    """Frames and fields of the service that this agent does not know."""
    _session_id: str | None = field(default=None, init=False)
    _policy: RetryPolicy = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._policy = RetryPolicy(self.random)

    async def run(self) -> None:
        """Talks until the frames end, until cancelled, or until the service cannot be used any more."""
        async with self.frames, self.people, self.requests, self.events, self.tool_events:
            if not await self._somebody_came():
                return
            resume: str | None = None
            while True:
                failure = await self._talk(resume)
                if failure is None:
                    return
                self._tell(ConnectionBroke())
                following = self._policy.failed(failure, trio.current_time())
                if following is None:
                    raise failure
                self.taps.publish(SessionLost(str(failure), following.wait_s))
                await trio.sleep(following.wait_s)
                resume = self._session_id if following.resume else None

    async def _somebody_came(self) -> bool:
        try:
            await self.people.receive()
        except trio.EndOfChannel:
            return False
        return True

    async def _talk(self, resume: str | None) -> ServiceError | None:
        """One connection, from dialling to the failure that ended it; None: the frames have ended."""
        running = resume is not None
        async with trio.open_nursery() as nursery:
            try:
                async with open_connection(
                    self.settings, self.dialer, nursery, running=running
                ) as connection:
                    try:
                        return await self._converse(connection, resume)
                    finally:
                        self.passed_by += connection.reader.passed_by.total()
            except ServiceError as failure:
                return failure

    async def _converse(self, connection: Connection, resume: str | None) -> ServiceError | None:
        # A refusal may come before our first word: then the reader tells why.
        with contextlib.suppress(ServiceError):
            await connection.send(
                SessionUpdate(self.settings.session.as_wire()) if resume is None else SessionResume(resume)
            )
        try:
            await self._await_ready(connection)
            self.taps.publish(SessionStarted(self._session_id or "", resumed=resume is not None))
            failure = await self._exchange(connection)
        except ServiceError:
            raise
        except BaseException:  # cancelled, alone or in a group, or a fault of ours: stop the billing
            await self._end(connection)
            raise
        if failure is None:
            await self._end(connection)
        return failure

    async def _await_ready(self, connection: Connection) -> None:
        with trio.move_on_after(READY_WITHIN_S) as scope:
            while True:
                event = await connection.receive()
                self._pass_on(event)
                if isinstance(event, SessionReady):
                    self._session_id = event.session_id
                    self._policy.ready(trio.current_time())
                    return
        if scope.cancelled_caught:
            if connection.complaint is not None and connection.complaint.code:
                said = connection.complaint
                raise failure_of(said.code, said.message, param=said.param)
            raise ServiceFault(
                f"the Voice Agent API did not say session.ready within {READY_WITHIN_S:.0f} s",
                "try again; if it stays, check the session's configuration",
            )

    async def _exchange(self, connection: Connection) -> ServiceError | None:
        """Until the connection fails, or the frames end (None)."""
        failures: list[ServiceError] = []

        async def until_failure(part: _Part, scope: trio.CancelScope) -> None:
            try:
                await part(connection)
            except ServiceError as failure:
                failures.append(failure)
            scope.cancel()

        async with trio.open_nursery() as nursery:
            for part in (self._send_sound, self._send_requests, self._receive_events, Connection.watch):
                nursery.start_soon(until_failure, part, nursery.cancel_scope)
        return failures[0] if failures else None

    async def _send_sound(self, connection: Connection) -> None:
        pace = Pace()
        async for frame in self.frames:
            await trio.sleep_until(pace.pass_at(trio.current_time()))
            try:
                await connection.send(InputAudio(frame.pcm))
            except ServiceError:
                await trio.sleep_forever()  # the reader finds out why
            pace.passed(trio.current_time(), ms_of_bytes(len(frame.pcm)))

    async def _send_requests(self, connection: Connection) -> None:
        with contextlib.suppress(ServiceError):
            async for request in self.requests:
                await connection.send(request)
        # The sound goes on without requests; why a send failed is for the reader to find out.
        await trio.sleep_forever()

    async def _receive_events(self, connection: Connection) -> None:
        while True:
            self._pass_on(await connection.receive())

    def _pass_on(self, event: ServerEvent) -> None:
        self._tell(event)
        if isinstance(event, SessionFailed):
            said = failure_of(event.code or "internal_error", event.message, param=event.param)
            if said.retry is Retry.NEVER:
                self.taps.publish(ServiceComplained(event.code, event.message, said.mend, event.param))

    def _tell(self, event: ApiEvent) -> None:
        self.events.send_nowait(event)
        if isinstance(event, get_args(ToolEvent)):
            self.tool_events.send_nowait(event)

    async def _end(self, connection: Connection) -> None:
        """Ends the session in good order, as far as the connection still allows it."""
        confirmed = False
        with trio.move_on_after(ENDED_WITHIN_S, shield=True), contextlib.suppress(ServiceError):
            await connection.send(SessionEnd())
            while not isinstance(await connection.receive(), SessionEnded):
                pass
            confirmed = True
        self.taps.publish(SessionClosed(confirmed))
