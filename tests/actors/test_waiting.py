"""What is heard while there is no session: a tone now and then, and none in a drop that is mended at once."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from actors.filler import Waiting
from channels.bounded import Channel, Full
from channels.happenings import CallEnded, Happening, SessionLost, SessionStarted
from channels.messages import Fill
from channels.taps import Taps

LOST = SessionLost("it is full", 1.0, no_place=True)
STARTED = SessionStarted("sess_1", resumed=False)


async def heard_at(*what: tuple[float, Happening], until: float = 30.0) -> list[float]:
    """When a tone is heard, if these happen at these times."""
    taps, heard = Taps(), list[float]()
    fills = Channel[Fill]("fills", 1, "sounds", Full.DROP_OLDEST, "of a test")
    receiver = fills.receiver()
    began = trio.current_time()

    async def listen() -> None:
        async for _ in receiver:
            heard.append(round(trio.current_time() - began, 3))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Waiting(taps.tap("waiting"), fills.sender(), bytes(480)).run)
        nursery.start_soon(listen)
        for at, happening in (*what, (until, None)):
            await trio.sleep_until(began + at)
            if happening is not None:
                taps.publish(happening)
        taps.end()
    return heard


async def test_a_drop_that_is_mended_at_once_is_not_heard(autojump_clock: MockClock) -> None:
    assert await heard_at((1, LOST), (3.5, STARTED)) == []


async def test_whoever_waits_hears_a_tone_until_there_is_a_session(autojump_clock: MockClock) -> None:
    tries = [(float(at), LOST) for at in range(1, 15)]
    assert await heard_at(*tries, (15, STARTED)) == [4, 9, 14]


async def test_nobody_waits_once_the_call_is_over(autojump_clock: MockClock) -> None:
    assert await heard_at((1, LOST), (5, CallEnded("everybody left"))) == [4]
