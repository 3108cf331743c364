"""DispatchActor: keeps this worker registered with LiveKit's agent dispatch.

In: orders of the rooms' owner. Out: what the server offers, assigns and ends, and whether it knows us. What
becomes of a job is decided in `ledger`; the actor moves messages and keeps the connection. Its reader never
waits for the owner.

It connects for ever, with backoff, to each of LiveKit's addresses in turn; one that held stays the first to
be tried. A key that is refused, or a server without dispatch, ends it at once if it was never registered. If
it was, the running calls are worth waiting for, since a gateway that starts answers that, too: it ends after
a minute of nothing else.

What livekit-server 1.13.5 does when a worker's socket closes (read, and tried): it forgets
the worker and which jobs it ran, and leaves the rooms and the agents in them alone. After registering again,
the worker is a new one: the server passes over what it says of its former jobs, and does not end those jobs
any more if their dispatch is deleted. They end when the room closes, or when the agent leaves. A server that
was restarted has lost its rooms too; the agents join again by themselves.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeAlias

import trio
from attrs import define, field

from actors.dispatch.connection import LASTING, PING_EVERY_S, WorkerConnection, open_connection
from actors.dispatch.ledger import Ledger, Step
from actors.dispatch.protocol import (
    GoingAway,
    Registration,
    Unreadable,
    read,
    still_running,
    write,
    write_registration,
)
from channels.backoff import Backoff
from channels.bounded import Channel, Full, Receiver, Sender
from channels.errors import ChannelOverflow, RoomUnreachable, SettingsError, VoiceAgentError
from channels.jobs import Registered, WorkerEvent, WorkerLost, WorkerOrder
from channels.net.dialling import Dialer, open_stream
from channels.settings import LiveKitAccount, WorkerSettings

__all__ = ["DispatchActor"]

REGISTERED_WITHIN_S = 10.0
STEADY_AFTER_S = 10.0
"""A connection that holds for less has not really come back."""

LONGEST_WAIT_S = 10.0
REFUSED_FOR_S = 60.0
FAREWELL_WITHIN_S = 1.0
"""For what was said last."""

_MOST_WAITING = 1024
_LOOK_EVERY_S = 0.25

_Part: TypeAlias = Callable[[WorkerConnection], Awaitable[None]]


@define
class DispatchActor:
    """Registers with LiveKit, and stays so.

    Args:
        account: LiveKit, and the key.
        settings: which jobs it is there for, and LiveKit's further addresses.
        orders: of the owner of the rooms. When they end, it says what it still has to say, and ends.
        events: for that owner.
        random: for jitter.
        version: for the server's log.
        dialer: opens connections.

    Raises (from `run`):
        WorkerRefused, NoDispatch, NoWayToRoom: every address refuses for good.
        SettingsError: the proxy variable is not the address of a proxy.
    """

    account: LiveKitAccount
    settings: WorkerSettings
    orders: Receiver[WorkerOrder]
    events: Sender[WorkerEvent]
    random: Random = field(factory=Random)
    version: str = ""
    dialer: Dialer = open_stream
    unreadable: int = field(default=0, init=False)
    """Messages of the server that were passed over."""
    _ledger: Ledger = field(factory=Ledger, init=False)
    _out: Sender[bytes] | None = field(default=None, init=False)
    """What goes to the server; None: it does not know us."""
    _stalled: trio.Event = field(factory=trio.Event, init=False)
    _registered_at: float | None = field(default=None, init=False)
    """On this connection."""
    _was_registered: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Stays registered until the orders end."""
        async with self.orders, self.events, trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_connected)
            async for order in self.orders:
                self._follow(self._ledger.ordered(order, trio.current_time()))
            nursery.cancel_scope.deadline = trio.current_time() + FAREWELL_WITHIN_S
            if self._out is None:
                nursery.cancel_scope.cancel()
            else:
                self._out.close()

    def _follow(self, step: Step) -> None:
        for event in step.events:
            self._tell(event)
        for answer in step.answers:
            self._say(write(answer))

    def _tell(self, event: WorkerEvent) -> None:
        with contextlib.suppress(trio.BrokenResourceError):  # the owner ended first
            self.events.send_nowait(event)

    def _say(self, message: bytes) -> None:
        if self._out is None:
            return  # the ledger knows what has to be said again
        try:
            self._out.send_nowait(message)
        except ChannelOverflow:
            self._stalled.set()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the connection is ending

    async def _keep_connected(self) -> None:
        urls = list(dict.fromkeys((self.account.url, *self.settings.urls)))
        backoff = Backoff(self.random, math.inf, longest_s=LONGEST_WAIT_S)
        refusals: dict[str, float] = {}
        """Addresses that refused, and since when."""
        while True:
            url = urls[0]
            failure = await self._stay_connected(url)
            if failure is None:
                return
            now = trio.current_time()
            steady = self._registered_at is not None and now - self._registered_at >= STEADY_AFTER_S
            if self._registered_at is not None:
                refusals.clear()
            if steady:
                backoff.well()
            if not steady or isinstance(failure, _GoesAway):
                urls.append(urls.pop(0))
            if not isinstance(failure, LASTING):
                refusals.pop(url, None)
            else:
                refusals.setdefault(url, now)
                for_good = REFUSED_FOR_S if self._was_registered else 0.0
                if len(refusals) == len(urls) and now - max(refusals.values()) >= for_good:
                    raise failure
            wait_s = backoff.next_s(now)
            assert wait_s is not None
            self._tell(WorkerLost(failure.what, failure.fix, wait_s))
            await trio.sleep(wait_s)

    async def _stay_connected(self, url: str) -> VoiceAgentError | None:
        """One connection, from dialling to the failure that ended it; None: there is nothing more to say."""
        self._registered_at = None
        async with trio.open_nursery() as nursery:
            try:
                async with open_connection(self.account, url, nursery, self.dialer) as connection:
                    await self._register(connection)
                    failure = await self._exchange(connection)
            except SettingsError:
                raise
            except VoiceAgentError as error:
                failure = error
            finally:
                self._out = None
        self._follow(self._ledger.broke())
        return failure

    async def _register(self, connection: WorkerConnection) -> None:
        await connection.send(write_registration(self.settings, self.version, int(PING_EVERY_S)))
        with trio.move_on_after(REGISTERED_WITHIN_S):
            while not isinstance(said := read(await connection.receive()), Registration):
                self.unreadable += 1
            self._registered_at = trio.current_time()
            self._was_registered = True
            self._tell(Registered(said.worker_id, connection.url))
            return
        raise RoomUnreachable(
            f"LiveKit at {connection.url} did not register the worker within {REGISTERED_WITHIN_S:.0f} s",
            "check that LIVEKIT_URL is the address of a LiveKit server",
        )

    async def _exchange(self, connection: WorkerConnection) -> VoiceAgentError | None:
        """Until the connection fails, or there is nothing more to say (None)."""
        outgoing = Channel[bytes](
            "to the dispatch", _MOST_WAITING, "messages", Full.FAIL, "a server that takes none is not there"
        )
        self._out, self._stalled = outgoing.sender(), trio.Event()
        if self._ledger.running:
            self._say(still_running(self._ledger.running))
        if self._ledger.status is not None:
            self._say(write(self._ledger.status))
        failures: list[VoiceAgentError] = []

        async def until_failure(part: _Part, scope: trio.CancelScope) -> None:
            try:
                await part(connection)
            except VoiceAgentError as failure:
                failures.append(failure)
            scope.cancel()

        async def send(connection: WorkerConnection) -> None:
            async for message in outgoing_end:
                await connection.send(message)

        async with outgoing.receiver() as outgoing_end, trio.open_nursery() as nursery:
            for part in (send, self._hear, WorkerConnection.watch, self._let_lapse, self._watch_stall):
                nursery.start_soon(until_failure, part, nursery.cancel_scope)
        return failures[0] if failures else None

    async def _hear(self, connection: WorkerConnection) -> None:
        while True:
            said = read(await connection.receive())
            match said:
                case Unreadable():
                    self.unreadable += 1
                case GoingAway(reason=reason):
                    raise _GoesAway(
                        f"LiveKit at {connection.url} is going away" + (f" ({reason})" if reason else ""),
                        "the worker registers again by itself",
                    )
                case _:
                    self._follow(self._ledger.said(said, trio.current_time(), connection.url))

    async def _let_lapse(self, connection: WorkerConnection) -> None:
        while True:
            await trio.sleep(_LOOK_EVERY_S)
            self._follow(self._ledger.passed(trio.current_time()))

    async def _watch_stall(self, connection: WorkerConnection) -> None:
        await self._stalled.wait()
        connection.given_up = True
        raise RoomUnreachable(
            f"LiveKit at {connection.url} does not take what the worker says", "check the network"
        )


class _GoesAway(RoomUnreachable):
    """The server said so."""
