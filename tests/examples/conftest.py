"""Virtual time for actors that use threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import trio
from trio.testing import MockClock

T = TypeVar("T")


async def _inline(work: Callable[..., T], *arguments: Any, **_: Any) -> T:
    await trio.lowlevel.checkpoint()
    return work(*arguments)


@pytest.fixture
def call_clock(monkeypatch: pytest.MonkeyPatch) -> MockClock:
    """A clock that jumps when everybody waits. It would also jump while a thread is at work: so none is."""
    monkeypatch.setattr(trio.to_thread, "run_sync", _inline)
    return MockClock(autojump_threshold=0)
