"""How the SDK hands out its events: without the lock on its subscribers.

The SDK holds that lock while it calls each subscriber's event loop, which takes a lock of Trio's. Whoever
holds Trio's may just be collecting garbage, and a room or a stream that nobody keeps any more takes the SDK's
to end its subscription. Each thread then waits for the other, and the whole process for both, for ever.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from livekit.rtc._ffi_client import FfiQueue
from livekit.rtc.log import logger

__all__ = ["deliver_without_lock"]

_in_order = threading.RLock()
"""Of the threads that deliver. Nobody takes it while collecting garbage."""


def deliver_without_lock() -> None:
    """Has the SDK do so from now on, in the whole process."""
    FfiQueue.put = _put  # type: ignore[method-assign,assignment]


def _put(queue: FfiQueue[Any], item: Any) -> None:
    with _in_order:
        with queue._lock:
            subscribers = queue._subscribers.copy()
        for subscriber in subscribers:
            waiting, loop, wants = subscriber
            # As the SDK does: whose filter fails gets the item.
            with contextlib.suppress(Exception):
                if wants is not None and not wants(item):
                    continue
            try:
                loop.call_soon_threadsafe(waiting.put_nowait, item)
            except Exception as error:
                # Whoever has ended the subscription meanwhile may have closed the loop, too.
                if subscriber in queue._subscribers:
                    logger.error("error putting to queue: %s", error)
