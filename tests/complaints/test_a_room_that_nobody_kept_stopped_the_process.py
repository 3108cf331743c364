"""Calls end, and their rooms are collected as garbage, in any thread, at any moment: that may hang nobody.

Found in a run of this suite that stood still: one thread collected a room while it held a lock of Trio's, and
the SDK's own thread waited for that lock while it held the one that the room needed to be gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

from livekit.rtc._ffi_client import FfiQueue

import actors.room.livekit_edge  # noqa: F401 - it has the SDK deliver as it should

LONG_S = 20.0


class Loop:
    """An event loop whose lock another thread holds until it has collected its garbage."""

    def __init__(self) -> None:
        self.wanted, self.free = threading.Event(), threading.Event()
        self.delivered: list[Any] = []

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> None:
        self.wanted.set()
        if self.free.wait(LONG_S):
            self.delivered.append(arguments[0])
            callback(*arguments)


def test_a_subscription_can_end_while_an_event_is_being_handed_out() -> None:
    events, loop = FfiQueue[str](), Loop()
    kept = events.subscribe(cast(Any, loop))
    forgotten = events.subscribe(cast(Any, loop), lambda event: False)
    sdk = threading.Thread(target=events.put, args=("an event",), daemon=True)
    sdk.start()
    assert loop.wanted.wait(LONG_S)

    def collect() -> None:
        events.unsubscribe(forgotten)  # as `Room.__del__` does
        loop.free.set()

    collector = threading.Thread(target=collect, daemon=True)
    collector.start()
    collector.join(LONG_S)
    sdk.join(LONG_S)
    assert loop.free.is_set()
    assert loop.delivered == ["an event"]
    assert kept.get_nowait() == "an event"


def test_events_of_several_threads_stay_in_one_order_for_all() -> None:
    events, threads, each = FfiQueue[tuple[int, int]](), 4, 200
    free = Loop()
    free.free.set()
    queues = [events.subscribe(cast(Any, free)) for _ in range(3)]

    def put(number: int) -> None:
        for item in range(each):
            events.put((number, item))

    at_work = [threading.Thread(target=put, args=(number,)) for number in range(threads)]
    for one in at_work:
        one.start()
    for one in at_work:
        one.join()
    orders = [[queue.get_nowait() for _ in range(threads * each)] for queue in queues]
    assert orders[0] == orders[1] == orders[2]
    assert [item for number, item in orders[0] if number == 0] == list(range(each))


def test_an_event_for_a_loop_that_was_closed_in_the_same_moment_is_no_error(caplog: Any) -> None:
    events = FfiQueue[str]()

    class Closing(Loop):
        def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> None:
            events.unsubscribe(subscribed)
            raise RuntimeError("Event loop is closed")

    subscribed = events.subscribe(cast(Any, Closing()))
    events.put("too late")
    assert caplog.messages == []

    class Closed(Loop):
        def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: Any) -> None:
            raise RuntimeError("Event loop is closed")

    events.subscribe(cast(Any, Closed()))
    events.put("to nobody")
    assert caplog.messages == ["error putting to queue: Event loop is closed"]
