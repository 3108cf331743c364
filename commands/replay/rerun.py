"""Runs a recorded conversation again, in virtual time, with today's code, to see what would have happened.

The actors that decide (controller, speaker, turn timer) are wired by the runner's own wiring; the service and
the person say what they said, when it was taken. What follows from that is overheard at the same channels as
in the recording. The room is the one thing that is not as it was: it takes sound at once. So what came of a
slow room or a stalled machine is not there; whether decisions are the same, `judging` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.barge_in import BargeInController
from actors.record.codec import shifted
from actors.record.notes import RecordLine
from actors.record.reading import Record
from actors.record.runs import Runs
from actors.room.livekit_edge import LiveKitEdge
from actors.speaker import SpeakerPump
from actors.timers import TOLD_BY_OTHERS, TurnTimer
from channels.happenings import SoundJudged
from channels.seen import Noted, On
from channels.settings import BargeInSettings, Settings, SpeakerSettings
from commands.replay.fed import FROM_OUTSIDE, conversation_ends, fed_to_controller, happened
from commands.wired import NOBODYS, Wiring

__all__ = ["rerun"]

DECIDING = (BargeInController, SpeakerPump, TurnTimer)


class _Loudspeaker:
    """A room's queue that takes everything at once: what was played is the speaker's own account."""

    steps_from: ClassVar[float | None] = None

    async def capture(self, pcm: bytes) -> None:
        await trio.lowlevel.checkpoint()

    def clear(self) -> None:
        pass


def rerun(
    record: Record,
    wiring: Wiring,
    barge_in: BargeInSettings,
    speaker: SpeakerSettings,
    *,
    slack_s: float,
    sounds: Sequence[RecordLine] | None = None,
) -> list[RecordLine]:
    """Runs it again, up to `slack_s` beyond the end of the recorded conversation.

    Args:
        record: of the conversation.
        wiring: of a room.
        barge_in: settings to run it with.
        speaker: likewise.
        slack_s: how long its end may take.
        sounds: of the person, in place of the recorded ones.
    """
    feeds = fed_to_controller(record, FROM_OUTSIDE)
    if sounds is not None:
        # What a short sound was is not judged again: no words are understood in virtual time.
        feeds = [feed for feed in feeds if feed.on != On.SOUNDS or isinstance(feed.what, SoundJudged)]
        feeds += [RecordLine(sound.t, On.SOUNDS, sound.what) for sound in sounds]
    feeds += happened(record, *TOLD_BY_OTHERS)
    feeds.sort(key=lambda feed: feed.t)
    until = conversation_ends(record) + slack_s
    return trio.run(_run, wiring, barge_in, speaker, feeds, until, clock=MockClock(autojump_threshold=0))


async def _run(
    wiring: Wiring, barge_in: BargeInSettings, speaker: SpeakerSettings, feeds: list[RecordLine], until: float
) -> list[RecordLine]:
    started = trio.current_time()
    nobody = cast(Any, None)  # those who would use them are not run
    edge = LiveKitEdge(nobody, _Loudspeaker(), nobody, None)
    graph = wiring(Settings(barge_in=barge_in, speaker=speaker), NOBODYS, edge)
    channels: Any = graph.channels
    taps = graph.taps
    runs, entries = Runs(), list[RecordLine]()

    def overhears(on: str) -> Callable[[Any], None]:
        def listener(message: Any) -> None:
            noted = Noted(trio.current_time() - started, on, shifted(message, -started))
            entries.extend(runs.take(noted))

        return listener

    channels.orders.overhear(overhears(On.ORDERS))
    channels.reports.overhear(overhears(On.REPORTS))
    taps.overhear(overhears(On.HAPPENINGS))
    fed = (channels.service, channels.sounds, channels.fills, channels.room)
    senders = {channel.name: channel.sender() for channel in fed}
    async with trio.open_nursery() as nursery:
        for actor in (*graph.conversation, *graph.bystanders):
            if isinstance(actor, DECIDING):
                nursery.start_soon(actor.run)
        await wait_all_tasks_blocked()
        for feed in feeds:
            await trio.sleep_until(started + feed.t)
            message = shifted(feed.what, started)
            if feed.on in (On.SOUNDS, On.TOOLS, On.HAPPENINGS):
                taps.publish(message)
            if feed.on in senders:
                senders[feed.on].send_nowait(message)
            await wait_all_tasks_blocked()  # what comes at the same time is taken in the order of the record
        await trio.sleep_until(started + until)
        nursery.cancel_scope.cancel()
    entries.extend(runs.end())
    return sorted(entries, key=lambda entry: entry.t)
