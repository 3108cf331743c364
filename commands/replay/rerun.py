"""Runs a recorded conversation again, in virtual time, against today's code.

The actors that decide (controller, speaker, turn timer, and the onset detector when there is sound) are
wired by the runner's own wiring; the service and the person say what they said, when they said it. What
follows from that is overheard at the same channels as in the recording. The room is the one thing that is not
as it was: it takes sound at once, so what a slow room or a stalled machine delayed comes out as a difference.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, cast

import trio
from attrs import evolve, frozen
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.barge_in import BargeInController
from actors.onset import OnsetDetector
from actors.record.codec import shifted
from actors.record.notes import Entry, MicrophoneRun, Noted, ReplyAudioRun
from actors.record.reading import Record, RecordUnreadable
from actors.record.runs import Runs
from actors.record.sound import read_sound
from actors.record.sound_reference import stand_in
from actors.room.livekit_edge import LiveKitEdge, WebRtcEchoCanceller
from actors.speaker import SpeakerPump
from actors.timers import TurnTimer
from channels.bounded import Channel, Full
from channels.happenings import Taps
from channels.messages import MicrophoneFrame, Sounding
from channels.secret import Secret
from channels.settings import ApiSettings, BargeInSettings, LiveKitSettings, Settings, SpeakerSettings
from channels.sound import SAMPLE_RATE_HZ
from channels.vad import Vad
from channels.wire.events import ReplyAudio

__all__ = ["Rerun", "Wiring", "conversation_ends", "rerun"]

DECIDING = (BargeInController, SpeakerPump, TurnTimer)

PIECE_SAMPLES = SAMPLE_RATE_HZ // 50
TOLD_BEFORE_S = 0.1
"""The agent's sound is told to the detector so long before it is heard: the length of the room's queue."""


Wiring: TypeAlias = Callable[..., Any]
"""The runner's `wire`: makes the actors of one room and joins them."""


@frozen
class Rerun:
    """What came of it."""

    entries: list[Entry]
    """As a record's: what the deciding actors said."""
    judged_anew: bool
    """The person's sounds were looked for in the recorded sound, not taken from the record."""


@frozen
class _Feed:
    at: float
    message: Any
    on: str


class _Loudspeaker:
    """A room's queue that takes everything at once: what was played is the speaker's own account."""

    steps_from: ClassVar[float | None] = None

    async def capture(self, pcm: bytes) -> None:
        await trio.lowlevel.checkpoint()

    def clear(self) -> None:
        pass


def conversation_ends(record: Record) -> float:
    """Until when the deciding actors were at work (s): on the way out, others still are."""
    at_work = ("service", "sounds", "orders", "reports")
    return max((entry.t for entry in record.entries if entry.on in at_work), default=0.0)


def rerun(
    record: Record, wiring: Wiring, barge_in: BargeInSettings, speaker: SpeakerSettings, *, slack_s: float
) -> Rerun:
    """Runs it again, up to `slack_s` beyond the end of the recorded conversation.

    Raises:
        RecordUnreadable: the sound file that belongs to it cannot be read.
    """
    frames = list(_sound(record)) if record.header.sound else []
    fed = {"service", "fills", "room"} if frames else {"service", "fills", "room", "sounds"}
    feeds = [feed for entry in record.entries if entry.on in fed for feed in _fed(entry)]
    feeds = sorted([*feeds, *frames], key=lambda feed: feed.at)
    until = conversation_ends(record) + slack_s
    entries = trio.run(
        _run, wiring, barge_in, speaker, feeds, until, bool(frames), clock=MockClock(autojump_threshold=0)
    )
    return Rerun(entries, bool(frames))


async def _run(
    wiring: Wiring,
    barge_in: BargeInSettings,
    speaker: SpeakerSettings,
    feeds: list[_Feed],
    until: float,
    judge: bool,
) -> list[Entry]:
    taps, started = Taps(), trio.current_time()
    nobody = cast(Any, None)  # those who would use them are not run
    edge = LiveKitEdge(nobody, _Loudspeaker(), nobody, WebRtcEchoCanceller() if judge else None)
    graph = wiring(_settings(barge_in, speaker), edge, taps, load_judge=_load)
    channels = graph.channels
    runs, entries = Runs(), list[Entry]()

    def overhears(on: str) -> Callable[[Any], None]:
        def listener(message: Any) -> None:
            noted = Noted(trio.current_time() - started, on, shifted(message, -started))
            entries.extend(runs.take(noted))

        return listener

    channels.orders.overhear(overhears("orders"))
    channels.reports.overhear(overhears("reports"))
    channels.sounds.overhear(overhears("sounds"))
    taps.overhear(overhears("happenings"))
    senders = {
        name: getattr(channels, name).sender() for name in ("service", "sounds", "fills", "room", "onset")
    }
    # The speaker plays stand-ins; what may echo in the microphone is the sound that was recorded.
    heard = Channel[Sounding](
        "sounding", capacity=256, unit="frames of 20 ms", full=Full.DROP_OLDEST, because="as in the room"
    )
    senders["sounding"] = heard.sender()
    async with trio.open_nursery() as nursery:
        for actor in (*graph.conversation, *graph.bystanders):
            if isinstance(actor, DECIDING):
                nursery.start_soon(actor.run)
            elif judge and isinstance(actor, OnsetDetector):
                nursery.start_soon(evolve(actor, playing=heard.receiver()).run)
        await wait_all_tasks_blocked()
        for feed in feeds:
            await trio.sleep_until(started + feed.at)
            message = shifted(feed.message, started)
            if feed.on == "sounds":
                taps.publish(message)
            senders[feed.on].send_nowait(message)
            await wait_all_tasks_blocked()  # what comes at the same time is taken in the order of the record
        await trio.sleep_until(started + until)
        nursery.cancel_scope.cancel()
    entries.extend(runs.end())
    return sorted(entries, key=lambda entry: entry.t)


async def _load() -> Vad:
    return Vad()


def _settings(barge_in: BargeInSettings, speaker: SpeakerSettings) -> Settings:
    nowhere, nothing = "ws://127.0.0.1:1", Secret("nothing")
    return evolve(
        Settings(LiveKitSettings(nowhere, "nobody", nothing), ApiSettings(nowhere, nothing)),
        barge_in=barge_in,
        speaker=speaker,
    )


def _fed(entry: Entry) -> Iterator[_Feed]:
    if not isinstance(entry.what, ReplyAudioRun):
        yield _Feed(entry.t, entry.what, entry.on)
        return
    for at, length, audible_from in entry.what.pieces:
        yield _Feed(at, ReplyAudio(stand_in(length, audible_from), entry.what.reply_id), entry.on)


def _sound(record: Record) -> Iterator[_Feed]:
    """What the detector heard: the person's frames, and the agent's sound that may echo in them."""
    path = record.path.parent / Path(record.header.sound or "").name
    try:
        both = read_sound(path)
    except (OSError, EOFError, wave.Error) as error:
        raise RecordUnreadable(
            f"the sound of the record, {path}, cannot be read ({error})",
            "put it beside the record, or do without it: --without-sound",
        ) from None
    person, agent = both[:, 0], both[:, 1]
    for entry in record.entries:
        if isinstance(entry.what, MicrophoneRun):
            for at, first, count in entry.what.frames:
                pcm = person[first : first + count].tobytes()
                yield _Feed(at, MicrophoneFrame(pcm + bytes(2 * count - len(pcm))), "onset")
    for first in range(0, len(agent), PIECE_SAMPLES):
        piece = agent[first : first + PIECE_SAMPLES]
        if piece.any():
            at = first / SAMPLE_RATE_HZ
            yield _Feed(max(0.0, at - TOLD_BEFORE_S), Sounding(at, piece.tobytes()), "sounding")
