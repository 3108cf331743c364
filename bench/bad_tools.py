"""Tools that somebody might give a model, each bad in its own way, and two that make an addition crash."""

from __future__ import annotations

import time

import trio


def blocks() -> str:
    """Keeps its thread for eight seconds."""
    time.sleep(8)
    return "at last"


async def holds_the_loop() -> str:
    """Blocks where it must not: in the loop of all rooms."""
    time.sleep(0.3)  # noqa: ASYNC251 - that is its fault
    return "sorry"


def raises() -> str:
    """Fails."""
    raise LookupError("there is no such thing")


async def never_returns() -> str:
    """Waits for what never comes."""
    await trio.sleep_forever()


def break_addition() -> str:
    """`bad_additions.CrashingOnTool` crashes when it hears of it."""
    return "broken"


def break_call() -> str:
    """`bad_additions.EndingOnTool` crashes when it hears of it."""
    return "broken"
