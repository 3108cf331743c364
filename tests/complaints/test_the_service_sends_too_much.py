"""More of a reply comes than anybody could listen to: the call goes on, and it is said what was left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing
from attrs import define

from actors.barge_in import BargeInController
from actors.speaker import SpeakerPump
from actors.speaker.playout import KEPT_MS, LONGEST_BACKLOG_MS, Playout
from channels.bounded import Channel, Full, Sender, Watched
from channels.happenings import Happening, ReplyCutShort, ReplyEnded, ReplyOutcome
from channels.messages import ApiEvent
from channels.settings import BargeInSettings, SpeakerSettings
from channels.taps import Taps
from channels.wire.events import ReplyAudio, ReplyDone, ReplyStarted, SessionReady
from sound.pcm import bytes_of_ms
from tests.actors.test_speaker import SECOND, TONE, VirtualLoudspeaker, sound

A_SECOND = sound(TONE, 1000)


@define
class Voice:
    """A controller and its speaker, and what came of them."""

    service: Sender[ApiEvent]
    loudspeaker: VirtualLoudspeaker
    happened: list[Happening]
    speaker: SpeakerPump

    async def sends(self, reply_id: str, seconds: int, value: int = TONE) -> None:
        """In one burst, as fast as a socket is read."""
        self.service.send_nowait(ReplyStarted(reply_id))
        for _ in range(seconds):
            self.service.send_nowait(ReplyAudio(sound(value, 1000), reply_id))
            await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def a_voice() -> AsyncIterator[Voice]:
    """As `runner.wire` joins them."""

    def channel(name: str) -> Channel[Any]:
        return Channel(name, capacity=1024, unit="messages", full=Full.FAIL, because="test")

    service, sounds, room, fills, reports, orders, sounding = map(
        channel, ("service", "sounds", "room", "fills", "reports", "orders", "sounding")
    )
    taps, loudspeaker = Taps(), VirtualLoudspeaker()
    happened: list[Happening] = []
    taps.overhear(happened.append)
    speaker = SpeakerPump(
        SpeakerSettings(), loudspeaker, orders.receiver(), reports.sender(), sounding.sender()
    )
    controller = BargeInController(
        BargeInSettings(),
        service.receiver(),
        sounds.receiver(),
        room.receiver(),
        fills.receiver(),
        reports.receiver(),
        taps.tap("controller"),
        orders.sender(),
        taps,
        Watched("inputs"),
    )
    held = sounds.sender(), room.sender(), fills.sender()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speaker.run)
        nursery.start_soon(controller.run)
        yield Voice(service.sender(), loudspeaker, happened, speaker)
        nursery.cancel_scope.cancel()
    assert held


async def test_eleven_minutes_in_a_burst_are_cut_short_and_the_call_goes_on(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with a_voice() as voice:
        voice.service.send_nowait(SessionReady("sess_1"))
        await voice.sends("endless", 11 * 60)
        (told,) = [one for one in voice.happened if isinstance(one, ReplyCutShort)]
        assert LONGEST_BACKLOG_MS <= told.kept_ms <= LONGEST_BACKLOG_MS + 200
        assert voice.speaker.playout.backlog_ms() <= LONGEST_BACKLOG_MS

        await trio.sleep(2)
        voice.service.send_nowait(ReplyDone("endless", "interrupted"))
        await voice.sends("next", 1, SECOND)
        voice.service.send_nowait(ReplyDone("next"))
        await trio.sleep(2)
        ends = {one.reply_id: one.outcome for one in voice.happened if isinstance(one, ReplyEnded)}
        assert ends == {"endless": ReplyOutcome.CUT, "next": ReplyOutcome.PLAYED}
        assert voice.loudspeaker.heard_ms(SECOND) == 1000


def test_a_reply_that_never_ends_costs_no_memory() -> None:
    playout, now, most = Playout(100), 0.0, 0
    for _ in range(100):
        assert playout.play("endless", A_SECOND) is None
        for _ in range(50):
            now += 0.02
            playout.settle(now)
            while (frame := playout.next_frame(now)) is not None:
                playout.landed(frame, now)
        most = max(most, len(playout._replies["endless"].sound))
    assert playout.played_ms("endless", now) > 99_000
    assert most <= bytes_of_ms(2 * KEPT_MS + 2000)
    # It can still be held in a word and begin it again.
    playout.hold(now)
    place = playout.played_ms("endless", now)
    playout.resume("endless", place - 1000)
    while (frame := playout.next_frame(now)) is not None and frame.falls:
        playout.landed(frame, now)
    assert playout.played_ms("endless", now) == place
