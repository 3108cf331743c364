"""Trio memory channels with a stated capacity, a stated rule for when they are full, and counters.

A `Channel` is created in the wiring, hands out its ends (`sender()`, `receiver()`) to the actors and
keeps none for itself: when every sender is closed, the receivers end, as in Trio. The rules:

- `WAIT`: the sender waits for room (back-pressure). For messages that must arrive from a source that
  may be slowed down.
- `DROP_OLDEST`: the sender never waits; the oldest message gives way and is counted. For live sound,
  where what is late is worthless.
- `FAIL`: the sender never waits; a full channel raises `ChannelOverflow`. For control, which must
  neither wait nor be lost: a full channel there means that an actor has stopped working.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

import attrs
import trio

from channels.errors import ChannelOverflow

__all__ = ["Channel", "ChannelStatistics", "Full", "Receiver", "Sender", "Watched"]

T = TypeVar("T")
T_out = TypeVar("T_out", covariant=True)
T_in = TypeVar("T_in", contravariant=True)


class Full(enum.Enum):
    """What a sender does when the channel is full."""

    WAIT = "wait"
    DROP_OLDEST = "drop oldest"
    FAIL = "fail"


@attrs.frozen
class ChannelStatistics:
    """What a channel has carried so far."""

    name: str
    capacity: int
    """Messages."""
    unit: str
    """What one message is, e.g. "frames of 50 ms"."""
    full: Full
    passed: int
    """Messages taken in, dropped ones included."""
    dropped: int
    """By the channel, and by a reader that keeps some back and reports it."""
    depth: int
    """Messages waiting now."""
    deepest: int
    """The most that ever waited."""
    age_ms: int | None = None
    """The age of the message that the reader finished last, if messages have a time."""


class Watched(Generic[T]):
    """Something that passes messages on and can be watched; no watcher can hold it up.

    Args:
        unit: what one message is.
    """

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._listeners: list[Callable[[T], None]] = []
        self._taps: list[tuple[Channel[T], Sender[T]]] = []

    def tap(self, name: str, *, capacity: int) -> Receiver[T]:
        """A copy of everything from now on: it buffers `capacity` messages, then drops the oldest.

        The messages themselves are shared, since they are frozen. It ends when there is nothing more to
        pass; one that its reader closed is forgotten.
        """
        copy = Channel[T](
            name,
            capacity=capacity,
            unit=self.unit,
            full=Full.DROP_OLDEST,
            because="a slow tap must not hold up the conversation",
        )
        copy.copy_of = self
        self._taps.append((copy, copy.sender()))
        return copy.receiver()

    def overhear(self, listener: Callable[[T], None]) -> None:
        """Calls `listener` with every message from now on, at the moment at which it passes.

        For a record of several of these in their common order, and for tests. It runs in the middle of the
        conversation: it must neither wait nor raise. An actor reads a `tap`.
        """
        self._listeners.append(listener)

    def show(self, message: T) -> None:
        """Passes a message on. Never waits; a tap that is closed or has lost its reader is forgotten."""
        for listener in self._listeners:
            listener(message)
        for tap in list(self._taps):
            try:
                tap[1].send_nowait(message)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._taps.remove(tap)

    def end_taps(self) -> None:
        """Their readers get what still waits, then the end."""
        for _, sender in self._taps:
            sender.close()

    @property
    def taps(self) -> list[Channel[T]]:
        """The copies that are being read."""
        return [copy for copy, _ in self._taps]


class Channel(Watched[T]):
    """One way from actor to actor.

    Args:
        name: how it is called in the log, in errors and in the drawing of the graph.
        capacity: how many messages may wait.
        unit: what one message is, e.g. "frames of 50 ms".
        full: the rule for when it is full.
        because: why this capacity and this rule.
    """

    def __init__(self, name: str, capacity: int, unit: str, full: Full, because: str) -> None:
        if capacity < 1:
            raise ValueError(f"channel {name!r}: a capacity of {capacity} holds nothing; use at least 1")
        super().__init__(unit)
        self.name = name
        self.capacity = capacity
        self.full = full
        self.because = because
        self.copy_of: Watched[T] | None = None
        """What this is a tap of."""
        self.passed = 0
        self.dropped = 0
        self.deepest = 0
        self._kept_back = 0
        self._dropped_by_reader = 0
        self._age_ms: int | None = None
        self._send, self._receive = trio.open_memory_channel[T](capacity)
        self._sender_given = False
        self._receiver_given = False
        self._arrivals = trio.lowlevel.ParkingLot()

    def sender(self) -> Sender[T]:
        """An end to send into, a new one each time. The channel ends when all of them are closed."""
        end = self._send.clone() if self._sender_given else self._send
        self._sender_given = True
        return Sender(self, end)

    def receiver(self) -> Receiver[T]:
        """The end to receive from: a channel has one reader, so it is given out once."""
        if self._receiver_given:
            raise RuntimeError(f"the channel {self.name!r} already has a reader")
        self._receiver_given = True
        return Receiver(self, self._receive)

    def statistics(self) -> ChannelStatistics:
        """What it has carried so far."""
        depth = self._send.statistics().current_buffer_used + self._kept_back
        return ChannelStatistics(
            self.name,
            self.capacity,
            self.unit,
            self.full,
            self.passed,
            self.dropped + self._dropped_by_reader,
            depth,
            max(depth, self.deepest),
            self._age_ms,
        )

    def _sent(self, message: T) -> None:
        self.passed += 1
        self.deepest = max(self.deepest, self._send.statistics().current_buffer_used)
        self._arrivals.unpark_all()
        self.show(message)

    def _end_closed(self) -> None:
        if self._send.statistics().open_send_channels == 0:
            self._arrivals.unpark_all()
            self.end_taps()

    def _make_room(self) -> None:
        try:
            self._receive.receive_nowait()
        except trio.WouldBlock:
            return
        self.dropped += 1


class Sender(Generic[T_in]):
    """The end of a channel that an actor sends into."""

    def __init__(self, channel: Channel[T_in], end: trio.MemorySendChannel[T_in]) -> None:
        self.channel = channel
        """Of which this is an end; for the drawing of the graph."""
        self._end = end

    def send_nowait(self, message: T_in) -> None:
        """Sends without waiting, by the channel's rule.

        Raises:
            ChannelOverflow: the channel is full and its rule is not `DROP_OLDEST`.
            trio.BrokenResourceError: every receiver is closed.
        """
        try:
            self._end.send_nowait(message)
        except trio.WouldBlock:
            channel = self.channel
            if channel.full is not Full.DROP_OLDEST:
                raise ChannelOverflow(
                    f"the channel {channel.name!r} is full ({channel.capacity} {channel.unit})",
                    f"the actor that reads it has stopped working, which is a bug in the agent "
                    f"(this should not happen: {channel.because})",
                ) from None
            channel._make_room()
            self._end.send_nowait(message)
        except trio.BrokenResourceError:
            self.channel.show(message)  # a missing reader is not the watchers' fault
            raise
        self.channel._sent(message)

    async def send(self, message: T_in) -> None:
        """Sends by the channel's rule; with `WAIT` it waits for room. Always a checkpoint.

        Raises:
            ChannelOverflow, trio.BrokenResourceError: as `send_nowait`.
        """
        if self.channel.full is Full.WAIT:
            try:
                await self._end.send(message)
            except trio.BrokenResourceError:
                self.channel.show(message)
                raise
            self.channel._sent(message)
        else:
            await trio.lowlevel.checkpoint()
            self.send_nowait(message)

    def close(self) -> None:
        """Nothing more will come from this end. Closing twice is fine."""
        self._end.close()
        self.channel._end_closed()

    async def __aenter__(self) -> Sender[T_in]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Receiver(Generic[T_out]):
    """The end of a channel that an actor receives from; `async for` ends when all senders closed."""

    def __init__(self, channel: Channel[T_out], end: trio.MemoryReceiveChannel[T_out]) -> None:
        self.channel = channel
        """Of which this is an end; for the drawing of the graph."""
        self._end = end

    async def receive(self) -> T_out:
        """The next message.

        Raises:
            trio.EndOfChannel: every sender is closed and nothing waits.
        """
        return await self._end.receive()

    def receive_nowait(self) -> T_out:
        """The next message, if one waits.

        Raises:
            trio.WouldBlock: none waits.
            trio.EndOfChannel: every sender is closed and nothing waits.
        """
        return self._end.receive_nowait()

    def receive_waiting(self) -> Iterator[T_out]:
        """All that waits, oldest first, until nothing does or the channel has ended."""
        with contextlib.suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                yield self._end.receive_nowait()

    async def wait_for_any(self) -> bool:
        """Waits until there is something to receive, and leaves it there. Always a checkpoint.

        For a reader that takes everything waiting before it decides: what another of its tasks has
        been given, and has not looked at yet, would come out of order. False: the channel has ended.
        """
        await trio.lowlevel.checkpoint()
        while not (state := self._end.statistics()).current_buffer_used:
            if state.open_send_channels == 0:
                return False
            await self.channel._arrivals.park()
        return True

    def account(self, *, kept_back: int, dropped: int, age_s: float | None = None) -> None:
        """Reports what happened to messages after they were received, for the statistics.

        Args:
            kept_back: how many its reader has, and is not done with.
            dropped: how many it has dropped so far, in all.
            age_s: how old the one was that it was done with last; None: nothing new of that.
        """
        channel = self.channel
        channel._kept_back, channel._dropped_by_reader = kept_back, dropped
        channel.deepest = max(channel.deepest, kept_back)
        if age_s is not None:
            channel._age_ms = round(age_s * 1000)

    def close(self) -> None:
        """Nothing more will be read at this end. Closing twice is fine."""
        self._end.close()

    def __aiter__(self) -> Receiver[T_out]:
        return self

    async def __anext__(self) -> T_out:
        try:
            return await self._end.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Receiver[T_out]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
