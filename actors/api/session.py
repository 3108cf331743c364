"""ApiSession: keeps up the conversation with the Voice Agent API, across dropped connections.

In: frames of the person's sound, orders to begin and to end, messages to send, and happenings. Out: the
service's events (to the controller, and tool events to the tool runner) and what happens to the connection
(to the taps). It reads all waiting happenings before it decides anything, so a fresh session knows what was
heard up to the break. Sound is sent only after `session.ready`, and waits until then (`uplink`). The reader
puts each event into a channel that never makes it wait, so an interruption is never stuck behind a reply's
sound.

After an abnormal drop it asks once, at once, to resume the session at the same address. If that is refused,
or switched off, a fresh session takes over right away: with the changes that the service has accepted, what
was said so far in its prompt, and no second greeting. If the old session broke in the middle of something,
the agent speaks first (`GoingOn`). Requests that may have been lost are sent once more; results of the old
session's tools are told in the prompt, and never sent. A session is renewed before it expires, at a quiet
moment if there is one. A problem that cannot be fixed is raised as one typed error. When ordered to end, or
cancelled, it sends `session.end` and waits briefly for `session.ended`, so that billing ends.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any, TypeAlias, get_args

import trio
from attrs import Factory, define, evolve, field

from actors.api.call import Call, DesiredSession
from actors.api.connection import Dialer, ServiceConnection, dial, open_connection
from actors.api.dialling import dial_again
from actors.api.encoding import Encoding
from actors.api.renewing import RetryPolicy, look_from
from actors.api.uplink import Uplink
from channels.backoff import Turns
from channels.bounded import Receiver, Sender
from channels.happenings import (
    AskSent,
    Happening,
    ModelFailed,
    RequestWithheld,
    ServiceComplained,
    SessionClosed,
    SessionLost,
    SessionStarted,
    UpdateAnswered,
    VoiceChosen,
)
from channels.messages import (
    ApiEvent,
    BeginSession,
    ConnectionBroke,
    MicrophoneFrame,
    SessionOrder,
    SessionOver,
    ToolEvent,
)
from channels.settings import ApiAccount, ApiSettings
from channels.taps import Taps
from channels.wire.events import (
    ReplyAudio,
    ReplyDone,
    ReplyFailed,
    ServerEvent,
    SessionEnded,
    SessionFailed,
    SessionReady,
)
from channels.wire.failures import (
    POLICY_CLOSE,
    ConfigurationRefused,
    RenewalDue,
    Retry,
    ServiceBusy,
    ServiceError,
    ServiceFault,
    failure_of,
    one_line,
)
from channels.wire.messages import (
    ClientMessage,
    InputAudio,
    ReplyCancel,
    ReplyCreate,
    SessionEnd,
    SessionResume,
)

__all__ = ["ApiSession"]

READY_WITHIN_S = 10.0
"""The documentation calls it a failure if `session.ready` takes longer than 10 s."""

RESUMED_WITHIN_S = 3.0
"""A resumed session need not start up, and the person is waiting: live, a refusal comes after 50 ms."""

ENDED_WITHIN_S = 1.0
"""How long Ctrl-C waits for `session.ended`; live it comes within some 100 ms."""

LONGEST_COMPLAINT = 500
"""How many characters of the service's own words the taps get."""

MOST_WAITING = 64
"""Requests that are looked at before a fresh session begins; more wait in their channel."""

SLOWER_BY_MS = 500.0
"""How long to send no sound after the service complained that it is too fast; it measures over a second."""

_LOOK_EVERY_S = 1.0
_LOOK_SOON_S = 0.02

_Part: TypeAlias = Callable[[ServiceConnection], Awaitable[None]]


@define
class ApiSession:
    """Keeps one session with the service.

    Raises (from `run`):
        ServiceError: the service cannot be used; the subclass says what to do.
    """

    account: ApiAccount
    settings: ApiSettings
    frames: Receiver[MicrophoneFrame]
    orders: Receiver[SessionOrder]
    requests: Receiver[ClientMessage]
    happenings: Receiver[Happening]
    events: Sender[ApiEvent]
    tool_events: Sender[ToolEvent]
    taps: Taps
    dialer: Dialer = dial
    random: Random = field(factory=Random)
    turns: Turns = field(default=Factory(lambda self: Turns(self.random), takes_self=True))
    """Of all sessions of the process."""
    epoch: Callable[[], float] = time.time
    """Gives seconds since the epoch, to know when a session expires."""
    passed_by: int = field(default=0, init=False)
    """Frames and fields from the service that this agent does not know."""
    _voice: str | None = field(default=None, init=False)
    """What somebody chose for the sessions that are begun from now on; None: the configured one."""
    _latest_call: Call = field(default=Factory(lambda self: self._new_call(), takes_self=True), init=False)
    _policy: RetryPolicy = field(
        default=Factory(
            lambda self: RetryPolicy(self.random, self.settings.resume, self.turns), takes_self=True
        ),
        init=False,
    )
    _wanted: bool = field(default=False, init=False)
    """Whether the latest order wants a session."""
    _fresh: bool = field(default=False, init=False)
    """Whether the next session is another call."""
    _waiting: deque[ClientMessage] = field(factory=deque, init=False)
    """Requests made while there was no connection, already looked at."""
    _encoding: Encoding = field(factory=Encoding, init=False)
    _uplink: Uplink = field(
        default=Factory(lambda self: Uplink(self.frames, self.taps), takes_self=True), init=False
    )

    async def run(self) -> None:
        """Runs until the frames end, until cancelled, or until the service can no longer be used."""
        async with (
            self.frames,
            self.orders,
            self.requests,
            self.happenings,
            self.events,
            self.tool_events,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._uplink.take)
            nursery.start_soon(self._follow)
            former = False
            while await self._is_wanted():
                if self._fresh:
                    self._fresh = False
                    self._take_happenings()  # they are of the call before
                    self._latest_call = self._new_call()
                    if former:
                        self._forget_requests()
                self._take_happenings()
                self._latest_call.asked.session = self._wanted_session()
                if not await self._until_ended():
                    break
                former = True
            nursery.cancel_scope.cancel()

    @property
    def _call(self) -> Call:
        """The call, up to date with everything that has happened."""
        self._take_happenings()
        return self._latest_call

    def _take_happenings(self) -> None:
        for happening in self.happenings.receive_waiting():
            if isinstance(happening, VoiceChosen):
                self._voice = happening.voice
            self._latest_call.happened(happening, trio.current_time())

    async def _follow(self) -> None:
        """Keeps reading happenings while there is nothing to decide."""
        while await self.happenings.wait_for_any():
            self._take_happenings()

    async def _is_wanted(self) -> bool:
        """Waits until a session is wanted; False: no more orders will come."""
        while not self._wanted:
            try:
                self._obey(await self.orders.receive())
            except trio.EndOfChannel:
                return False
        return True

    def _obey(self, order: SessionOrder) -> None:
        # Somebody who left before a session could end had none, but may have been another person.
        self._wanted = isinstance(order, BeginSession)
        if isinstance(order, BeginSession):
            self._fresh = self._fresh or order.fresh

    async def _until_ended(self) -> bool:
        """Keeps up one session until it is ordered to end; False: the frames have ended."""
        ended = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take_orders, ended)
            with ended:
                await self._keep_up()
            nursery.cancel_scope.cancel()
        if not ended.cancelled_caught:
            return False
        self._policy.ended()
        self._forget_requests()
        self._uplink.forget()
        self._call.in_flight.forget()
        self._call.broke(trio.current_time(), planned=True)
        self._tell(SessionOver())
        return True

    def _forget_requests(self) -> None:
        """Drops requests to a session that is over, and text typed by somebody whose call is over."""
        self._waiting.clear()
        for _ in self.requests.receive_waiting():
            pass

    async def _take_orders(self, ended: trio.CancelScope) -> None:
        # Also while a session is being ended: guests who keep coming and going must not fill the channel.
        async for order in self.orders:
            self._obey(order)
            if not self._wanted:
                ended.cancel()
        self._wanted = False
        ended.cancel()  # no more orders: the agent has left the room

    async def _keep_up(self) -> None:
        resume: str | None = None
        while True:
            failure = await self._talk(resume)
            if failure is None:
                return
            await trio.lowlevel.checkpoint_if_cancelled()  # nobody wants it any more: nothing is lost
            now = trio.current_time()
            self._call.broke(now, planned=isinstance(failure, RenewalDue))
            self._tell(ConnectionBroke())
            following = self._policy.failed(failure, now)
            if following is None:
                if not self._gives_up_voice(failure):
                    raise failure
                resume = None
                continue
            no_place = isinstance(failure, ServiceBusy)
            self.taps.publish(SessionLost(str(failure), following.wait_s, no_place=no_place))
            await trio.sleep(following.wait_s)
            resume = self._call.session_id if following.resume else None

    def _gives_up_voice(self, failure: ServiceError) -> bool:
        """Whether to try once more with the configured voice, since a chosen one may have been refused."""
        if self._voice is None or not isinstance(failure, ConfigurationRefused):
            return False
        self._voice = None
        self._latest_call.asked.session = self._wanted_session()
        self.taps.publish(VoiceChosen(None))
        return True

    def _new_call(self) -> Call:
        return Call(DesiredSession(self._wanted_session()))

    def _wanted_session(self) -> Mapping[str, Any]:
        session = self.settings.session
        if self._voice is not None:
            session = evolve(session, output=evolve(session.output, voice=self._voice))
        return session.as_wire(self.account.webhook)

    async def _talk(self, resume: str | None) -> ServiceError | None:
        """One connection, from dialling to the failure that ended it; None: the frames have ended."""
        running = self._call.session_id is not None  # the key was good a moment ago
        dialer = self.dialer
        if resume is not None and self._call.address is not None and dialer is dial:
            dialer = functools.partial(dial_again, address=self._call.address)
        async with trio.open_nursery() as nursery:
            try:
                async with open_connection(
                    self.account,
                    dialer,
                    nursery,
                    temporary_token=self.settings.temporary_token,
                    running=running,
                ) as connection:
                    try:
                        return await self._converse(connection, resume)
                    finally:
                        self.passed_by += connection.reader.passed_by.total()
            except ServiceError as failure:
                return failure

    async def _converse(self, connection: ServiceConnection, resume: str | None) -> ServiceError | None:
        if resume is None:
            self._look_at_waiting()
        else:
            self._policy.asks()
        # A refusal may come before our first message; then the reader knows why.
        with contextlib.suppress(ServiceError):
            await connection.send(self._call.first_message(resume))
        try:
            ready = await self._await_ready(connection, resuming=resume is not None)
            self._call.ready(ready, trio.current_time(), resumed=resume is not None)
            self._call.address = connection.address
            await self._agree_on_encoding(connection, ready)
            self.taps.publish(SessionStarted(ready.session_id, resumed=resume is not None))
            failure = await self._exchange(connection, ready)
        except ServiceError:
            raise
        except BaseException:  # cancelled, alone or in a group, or a bug of ours: stop the billing
            await self._end(connection)
            raise
        if failure is None or isinstance(failure, RenewalDue):
            await self._end(connection)
        return failure

    def _look_at_waiting(self) -> None:
        """What is not sent to a fresh session may still go into its prompt."""
        waiting = self.requests.receive_waiting()
        while len(self._waiting) < MOST_WAITING and (request := next(waiting, None)) is not None:
            if self._call.waits(request):
                self._waiting.append(request)

    async def _await_ready(self, connection: ServiceConnection, *, resuming: bool) -> SessionReady:
        within_s = RESUMED_WITHIN_S if resuming else READY_WITHIN_S
        with trio.move_on_after(within_s):
            while True:
                event = await connection.receive()
                if isinstance(event, SessionReady):
                    self._policy.ready(trio.current_time())
                    self._tell(event)
                    return event
                self._pass_on(event)
                if resuming and isinstance(event, SessionFailed):
                    connection.given_up = True  # waiting for its close would only keep the person waiting
                    raise failure_of(
                        event.code, event.message, param=event.param, close=POLICY_CLOSE, running=True
                    )
        connection.given_up = resuming
        if connection.complaint is not None and connection.complaint.code:
            said = connection.complaint
            raise failure_of(said.code, said.message, param=said.param)
        raise ServiceFault(
            f"the Voice Agent API did not say session.ready within {within_s:.0f} s",
            "try again; if it persists, check the session's configuration",
        )

    async def _agree_on_encoding(self, connection: ServiceConnection, ready: SessionReady) -> None:
        try:
            self._encoding = Encoding.of(ready.config, self._call.asked.session)
        except ConfigurationRefused:  # we refuse it ourselves
            await self._end(connection)
            raise

    async def _exchange(self, connection: ServiceConnection, ready: SessionReady) -> ServiceError | None:
        """Until the connection fails, the session is to be renewed, or the frames end (None)."""
        failures: list[ServiceError] = []

        async def until_failure(part: _Part, scope: trio.CancelScope) -> None:
            try:
                await part(connection)
            except ServiceError as failure:
                failures.append(failure)
            scope.cancel()

        life_s = ready.expires_at - self.epoch()
        renew = functools.partial(self._renew, look_from(trio.current_time(), life_s))
        watch = functools.partial(ServiceConnection.watch, in_flight=self._call.in_flight)
        async with trio.open_nursery() as nursery:
            for part in (self._send_sound, self._send_requests, self._receive_events, watch, renew):
                nursery.start_soon(until_failure, part, nursery.cancel_scope)
        return failures[0] if failures else None

    async def _send_sound(self, connection: ServiceConnection) -> None:
        async def put(pcm: bytes) -> None:
            try:
                await connection.send(InputAudio(self._encoding.encode(pcm)))
            except ServiceError:
                await trio.sleep_forever()  # the reader finds out why

        await self._uplink.send(put)

    async def _send_requests(self, connection: ServiceConnection) -> None:
        async with trio.open_nursery() as nursery:
            with contextlib.suppress(ServiceError):
                while (lost := self._call.in_flight.send_again()) is not None:
                    await connection.send(lost)
                nursery.start_soon(self._go_on, connection)
                while self._waiting:
                    await self._send_request(connection, self._waiting.popleft())
                async for request in self.requests:
                    await self._send_request(connection, request)
            # Sound keeps going without requests; the reader finds out why a send failed.
            await trio.sleep_forever()

    async def _go_on(self, connection: ServiceConnection) -> None:
        """Makes the agent speak first if the previous session broke in the middle of something."""
        # The controller knows that the session is ready; it first gives up what the old one began.
        await trio.sleep(_LOOK_SOON_S)
        while (at := self._call.going_on.at()) is not None:
            now = trio.current_time()
            if at <= now:
                request = self._call.going_on.request()
                if request is not None:
                    if isinstance(request, ReplyCreate):
                        self.taps.publish(AskSent(request, 0))
                    with contextlib.suppress(ServiceError):
                        await self._send_request(connection, request)
                return
            await trio.sleep(min(_LOOK_SOON_S, at - now))

    async def _send_request(self, connection: ServiceConnection, request: ClientMessage) -> None:
        why = self._why_withheld(request)
        if why is not None:
            self.taps.publish(RequestWithheld(request.type, why))
            return
        self._call.sends(request, trio.current_time())
        await connection.send(request)

    def _why_withheld(self, request: ClientMessage) -> str | None:
        if isinstance(request, InputAudio | SessionEnd | SessionResume):
            return "the session sends it itself"
        if isinstance(request, ReplyCancel) and not self.settings.reply_cancel:
            return "nobody knows what the live service does with it; set api.reply_cancel to send it"
        if self._call.is_too_late(request):
            return "the session that called the tool is gone"
        return None

    async def _receive_events(self, connection: ServiceConnection) -> None:
        while True:
            event = await connection.receive()
            answered = self._call.heard(event, trio.current_time())
            if answered is not None:
                self._tell_of_answer(answered, event)
            self._pass_on(event)

    async def _renew(self, look_from_s: float, connection: ServiceConnection) -> None:
        """Ends the exchange at a quiet moment from that time on, if there is one before the service does."""
        await trio.sleep_until(look_from_s)
        # Polled: a second more or less does not matter.
        while (quiet_at := self._call.quiet.at()) > trio.current_time():  # noqa: ASYNC110
            await trio.sleep(min(_LOOK_EVERY_S, quiet_at - trio.current_time()))
        raise RenewalDue("the session is about to expire", "a fresh one continues the conversation")

    def _pass_on(self, event: ServerEvent) -> None:
        match event:
            case ReplyAudio():
                self._tell(self._encoding.decode(event))
            case ReplyFailed():
                self._tell(event)
                self._tell_of_failed_reply(event)
            case SessionFailed():
                self._tell(event)
                self._tell_of_complaint(event)
            case _:
                self._tell(event)

    def _tell_of_failed_reply(self, failed: ReplyFailed) -> None:
        fix = "ask again" if failed.retryable else "check the stored agent's language model"
        code, message = one_line(failed.code, 100), one_line(failed.message, LONGEST_COMPLAINT)
        self.taps.publish(ModelFailed(failed.reply_id, code, message, fix))
        if failed.reply_id:
            # A reply.done may or may not follow. If it does, it changes nothing.
            self._tell(ReplyDone(failed.reply_id, "failed"))

    def _tell_of_answer(self, session: Mapping[str, Any], answer: ServerEvent) -> None:
        why = ""
        if isinstance(answer, SessionFailed):
            why = one_line(answer.message, LONGEST_COMPLAINT) or failure_of(answer.code, "").fix
        self.taps.publish(UpdateAnswered(session, not isinstance(answer, SessionFailed), why))

    def _tell_of_complaint(self, said: SessionFailed) -> None:
        if said.code.strip().lower() == "audio_rate_violation":
            self._uplink.pace.slow_down(trio.current_time(), SLOWER_BY_MS)
        failure = failure_of(said.code or "internal_error", said.message, param=said.param)
        if failure.retry is Retry.NEVER:
            code, message = one_line(said.code, 100), one_line(said.message, LONGEST_COMPLAINT)
            param = None if said.param is None else one_line(said.param, 100)
            self.taps.publish(ServiceComplained(code, message, failure.fix, param))

    def _tell(self, event: ApiEvent) -> None:
        self.events.send_nowait(event)
        if isinstance(event, get_args(ToolEvent)):
            self.tool_events.send_nowait(event)

    async def _end(self, connection: ServiceConnection) -> None:
        """Ends the session properly, as far as the connection still allows."""
        confirmed = False
        with trio.move_on_after(ENDED_WITHIN_S, shield=True), contextlib.suppress(ServiceError):
            await connection.send(SessionEnd())
            while not isinstance(await connection.receive(), SessionEnded):
                pass
            confirmed = True
        self.taps.publish(SessionClosed(confirmed))
