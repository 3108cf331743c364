"""Where today's onset detector hears the person's sounds begin and end, in the sound of a record."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import trio
from attrs import evolve
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.onset import OnsetDetector
from actors.record.codec import shifted
from actors.record.notes import MicrophoneRun, RecordLine
from actors.record.reading import Record, RecordUnreadable
from actors.record.sound import read_sound
from actors.room.livekit_edge import LiveKitEdge, WebRtcEchoCanceller
from channels.bounded import Channel, Full
from channels.messages import MicrophoneFrame, Sounding
from channels.seen import On
from channels.settings import Settings
from commands.wired import NOBODYS, Wiring
from sound.pcm import SAMPLE_RATE_HZ
from sound.vad import Vad

__all__ = ["hear_again"]

PIECE_SAMPLES = SAMPLE_RATE_HZ // 50
TOLD_BEFORE_S = 0.1
"""The agent's sound is told to the detector so long before it is heard: the length of the room's queue."""


def hear_again(record: Record, wiring: Wiring) -> list[RecordLine]:
    """The person's sounds, each at the time at which it is noticed.

    Raises:
        RecordUnreadable: the sound file that belongs to the record cannot be read.
    """
    feeds = sorted(_sound(record), key=lambda feed: feed.t)
    return trio.run(_listen, record, wiring, feeds, clock=MockClock(autojump_threshold=0))


async def _listen(record: Record, wiring: Wiring, feeds: list[RecordLine]) -> list[RecordLine]:
    started, nobody, heard = trio.current_time(), cast(Any, None), list[RecordLine]()
    edge = LiveKitEdge(nobody, nobody, nobody, WebRtcEchoCanceller())
    settings = Settings(barge_in=record.header.barge_in, speaker=record.header.speaker)
    graph = wiring(settings, NOBODYS, edge, load_judge=_load)
    graph.taps.overhear(
        lambda sound: heard.append(
            RecordLine(trio.current_time() - started, On.HAPPENINGS, shifted(sound, -started))
        )
    )
    channels: Any = graph.channels
    frames = channels.onset.sender()
    # The speaker's own channel has a sender that never closes: it plays nothing here.
    played = Channel[Sounding](
        On.SOUNDING,
        capacity=256,
        unit="frames of 20 to 40 ms",
        full=Full.DROP_OLDEST,
        because="as in the room",
    )
    playing = played.sender()
    async with trio.open_nursery() as nursery:
        for actor in graph.bystanders:
            if isinstance(actor, OnsetDetector):
                nursery.start_soon(evolve(actor, playing=played.receiver()).run)
        await wait_all_tasks_blocked()
        for feed in feeds:
            await trio.sleep_until(started + feed.t)
            sender: Any = frames if isinstance(feed.what, MicrophoneFrame) else playing
            sender.send_nowait(shifted(feed.what, started))
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return heard


async def _load() -> Vad:
    return Vad()


def _sound(record: Record) -> Iterator[RecordLine]:
    """The person's frames when they were judged, and the agent's sound that may echo in them."""
    path = record.path.parent / Path(record.header.sound or "").name
    try:
        both = read_sound(path)
    except (OSError, EOFError, wave.Error) as error:
        raise RecordUnreadable(
            f"the record's sound, {path}, cannot be read ({error})",
            "put it next to the record, or leave out --listen-again",
        ) from None
    person, agent = both[:, 0], both[:, 1]
    runs = [entry for entry in record.entries if isinstance(entry.what, MicrophoneRun)]
    judged = [entry for entry in runs if entry.on == On.ONSET] or runs  # older records have no others
    for entry in judged:
        for at, first, count in entry.what.frames:
            pcm = person[first : first + count].tobytes()
            yield RecordLine(at, On.ONSET, MicrophoneFrame(pcm + bytes(2 * count - len(pcm)), at=at))
    for first in range(0, len(agent), PIECE_SAMPLES):
        piece = agent[first : first + PIECE_SAMPLES]
        if piece.any():
            at = first / SAMPLE_RATE_HZ
            yield RecordLine(max(0.0, at - TOLD_BEFORE_S), On.SOUNDING, Sounding(at, piece.tobytes()))
