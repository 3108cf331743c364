"""Whoever comes, goes, mutes or swaps tracks, in whatever order: who should be heard is, and nobody else.

2,000 random operations in all, in virtual time, against a model that knows nothing of how it is done.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import numpy as np
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.mic.active import LONGEST_WORD_S, TAKES_OVER_S
from actors.mic.roster import GRACE_S
from channels.ports import ParticipantKind, TrackSource
from tests.actors.mic_support import Pump, Track, pump

FRAME_S = 0.05
SETTLED_S = TAKES_OVER_S + LONGEST_WORD_S + 0.6
"""After so long of one voice alone there is no doubt whose turn it is."""

GUESTS = ("alice", "bob", "carol", "dave", "a recorder", "another agent")
MACHINES = GUESTS[4:]

_NOISE = np.random.default_rng(0).normal(0, 4000, 1200).astype("<i2").tobytes()
_SILENCE = bytes(len(_NOISE))


@attrs.frozen
class Move:
    """What somebody does, and how much later the next thing happens."""

    who: str
    does: str
    pause_s: float


MOVES = st.builds(
    Move,
    st.sampled_from(GUESTS),
    st.sampled_from(
        ["publish", "publish", "share screen", "unpublish", "end", "swap", "talk", "hush", "mute"]
    ),
    st.sampled_from([0.0, 0.0, 0.05, 0.4, GRACE_S - 0.1, GRACE_S + 0.1, SETTLED_S]),
)


@attrs.define
class Guests:
    """Everybody in the room, and the model of who should be heard."""

    mic: Pump
    tracks: dict[str, list[Track]] = attrs.field(factory=lambda: {name: [] for name in GUESTS})
    everything: list[Track] = attrs.field(factory=list)
    talking: set[str] = attrs.field(factory=set)
    muted: set[str] = attrs.field(factory=set)
    queue: list[str] = attrs.field(factory=list)
    """People in the order of coming; those whose grace is over have left it."""
    gone_at: dict[str, float] = attrs.field(factory=dict)
    _sids: itertools.count[int] = attrs.field(factory=itertools.count)

    async def publish(self, who: str, source: TrackSource) -> None:
        kind = ParticipantKind.MACHINE if who in MACHINES else ParticipantKind.PERSON
        track = Track(f"TR_{next(self._sids)}", who, kind, source)
        self.tracks[who].append(track)
        self.everything.append(track)
        self.forget_the_late()
        self.gone_at.pop(who, None)
        if who not in MACHINES and who not in self.queue:
            self.queue.append(who)
        await self.mic.come(track)

    async def unpublish(self, who: str, *, say_so: bool = True) -> None:
        if not self.tracks[who]:
            return
        # One that ends by itself can be known only while it is listened to.
        if not say_so and not self.tracks[who][0].open:
            return
        track = self.tracks[who].pop(0)
        if not self.tracks[who]:
            self.gone_at[who] = trio.current_time()
        if say_so:
            await self.mic.go(track)
        else:
            track.end()
            await wait_all_tasks_blocked()

    def forget_the_late(self) -> None:
        for who, gone_at in list(self.gone_at.items()):
            if trio.current_time() >= gone_at + GRACE_S:
                del self.gone_at[who]
                if who in self.queue:
                    self.queue.remove(who)

    async def do(self, move: Move) -> None:
        who = move.who
        match move.does:
            case "publish":
                await self.publish(who, TrackSource.MICROPHONE)
            case "share screen":
                await self.publish(who, TrackSource.SCREEN_SHARE)
            case "unpublish":
                await self.unpublish(who)
            case "end":
                await self.unpublish(who, say_so=False)
            case "swap" if self.tracks[who]:
                await self.publish(who, TrackSource.MICROPHONE)
                await self.unpublish(who)
            case "talk":
                self.talking.add(who)
            case "hush":
                self.talking.discard(who)
            case "mute":
                self.muted ^= {who}
        await self.live(move.pause_s)

    async def live(self, seconds: float) -> None:
        """Everybody's microphones give frames; those that are muted or silent give silence."""
        for _ in range(round(seconds / FRAME_S)):
            for who, tracks in self.tracks.items():
                sounds = who in self.talking and who not in self.muted
                for track in tracks:
                    voiced = sounds and track.source is TrackSource.MICROPHONE
                    track.sound(_NOISE if voiced else _SILENCE)
            await trio.sleep(FRAME_S)
        await wait_all_tasks_blocked()

    def people_with_tracks(self) -> set[str]:
        return {who for who in GUESTS if who not in MACHINES and self.tracks[who]}

    def preferred(self, who: str) -> Track | None:
        microphones = [track for track in self.tracks[who] if track.source is TrackSource.MICROPHONE]
        return next(iter([*microphones, *self.tracks[who]]), None)

    def shared(self, who: str) -> Track | None:
        return next((track for track in self.tracks[who] if track.source is TrackSource.SCREEN_SHARE), None)

    def opened(self) -> set[str]:
        assert all(track.open in (0, 1) for track in self.everything)
        return {track.sid for track in self.everything if track.open}


@asynccontextmanager
async def guests(listen: str) -> AsyncIterator[Guests]:
    """A room that leaves nothing behind."""
    async with pump(listen) as mic:
        room = Guests(mic)
        yield room
        mic.tracks.close()
        await wait_all_tasks_blocked()
        assert mic.over, "no task is left"
        assert not room.opened(), "no track is left open"
        mic.sounds()
        with pytest.raises(trio.EndOfChannel):
            mic.frames.receive_nowait()


def told(mic: Pump, before: tuple[str | None, str]) -> tuple[str | None, str]:
    """Who is heard by what was said, and with which track."""
    news = mic.told()
    return (news[-1].identity, news[-1].track_sid) if news else before


def sids(*tracks: Track | None) -> set[str]:
    return {track.sid for track in tracks if track is not None}


async def in_turn(moves: Sequence[Move], only: str | None) -> None:
    """`first` and `identity:NAME`: the model is a queue."""
    async with guests(f"identity:{only}" if only else "first") as room:
        turn: str | None = None
        heard: tuple[str | None, str] = (None, "")
        for move in moves:
            await room.do(move)
            room.forget_the_late()
            # Whose turn it was keeps it for as long as they are in the queue at all.
            waiting = [who for who in room.queue if only in (None, who)]
            if turn not in waiting:
                turn = next((who for who in waiting if room.tracks[who]), None)
            expected = room.preferred(turn) if turn is not None else None
            assert room.opened() == sids(expected)
            heard = told(room.mic, heard)
            assert heard == ((expected.identity, expected.sid) if expected else (None, ""))


async def by_voice(moves: Sequence[Move]) -> None:
    """`active`: one at a time, somebody whenever there is anybody, and who alone speaks in the end."""
    async with guests("active") as room:
        heard: tuple[str | None, str] = (None, "")
        for move in moves:
            await room.do(move)
            people = room.people_with_tracks()
            assert room.opened() == sids(*map(room.preferred, people)), "whoever may speak is listened for"
            heard = told(room.mic, heard)
            if heard[0] is not None:
                assert {heard[1]} == sids(room.preferred(heard[0])), "of the one heard, the right track"
            if move.pause_s == SETTLED_S:
                assert (heard[0] is not None) == bool(people), "somebody is heard"
                speaking = {
                    who
                    for who in people & room.talking - room.muted
                    if any(track.source is TrackSource.MICROPHONE for track in room.tracks[who])
                }
                if len(speaking) == 1:
                    assert {heard[0]} == speaking, "who alone speaks is heard"
            room.mic.sounds()


async def all_at_once(moves: Sequence[Move]) -> None:
    """`mix`: everybody, with one microphone and the sound of one shared screen."""
    async with guests("mix") as room:
        for move in moves:
            await room.do(move)
            people = room.people_with_tracks()
            assert room.opened() == sids(*map(room.preferred, people), *map(room.shared, people))
            room.mic.sounds()


OPERATIONS = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
"""Of 50 moves each."""
LISTS = st.lists(MOVES, min_size=50, max_size=50)


@given(LISTS)
@OPERATIONS
def test_first(moves: list[Move]) -> None:
    trio.run(in_turn, moves, None, clock=MockClock(autojump_threshold=0))


@given(LISTS)
@OPERATIONS
def test_identity(moves: list[Move]) -> None:
    trio.run(in_turn, moves, "bob", clock=MockClock(autojump_threshold=0))


@given(LISTS)
@OPERATIONS
def test_active(moves: list[Move]) -> None:
    trio.run(by_voice, moves, clock=MockClock(autojump_threshold=0))


@given(LISTS)
@OPERATIONS
def test_mix(moves: list[Move]) -> None:
    trio.run(all_at_once, moves, clock=MockClock(autojump_threshold=0))
