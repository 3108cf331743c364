"""Whose microphone the agent listens to, and that live sound neither queues up nor gets out of order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.mic import MicPump
from channels.bounded import Channel, Full, Receiver, Sender
from channels.happenings import Happening, HeardBy, Taps
from channels.messages import MicrophoneFrame
from channels.ports import AudioTrackGone, AudioTrackHeard, ParticipantKind, TrackEvent
from channels.sound import bytes_of_ms


class Track:
    """A participant's microphone, as the port shows it."""

    def __init__(self, sid: str, identity: str, kind: ParticipantKind = ParticipantKind.PERSON) -> None:
        self.sid = sid
        self.identity = identity
        self.kind = kind
        self.open = 0
        self.frame_ms: int | None = None
        self._speak, self._hear = trio.open_memory_channel[bytes](10_000)

    def speak(self, number: int) -> None:
        """One frame."""
        self._speak.send_nowait(number.to_bytes(4, "little") + bytes(bytes_of_ms(50) - 4))

    def end(self) -> None:
        """The sound ends, as it does when the track goes away."""
        self._speak.close()

    @asynccontextmanager
    async def frames(self, frame_ms: int) -> AsyncIterator[AsyncIterator[bytes]]:
        self.frame_ms = frame_ms
        self.open += 1
        try:
            yield self._hear
        finally:
            self.open -= 1


def person(name: str) -> Track:
    return Track(f"TR_{name}", name)


def machine(name: str) -> Track:
    return Track(f"TR_{name}", name, ParticipantKind.MACHINE)


def number_of(frame: MicrophoneFrame) -> int:
    return int.from_bytes(frame.pcm[:4], "little")


@attrs.define
class Pump:
    """A `MicPump` at work, with its ends."""

    tracks: Sender[TrackEvent]
    service: Channel[MicrophoneFrame]
    frames: Receiver[MicrophoneFrame]
    onset: Receiver[MicrophoneFrame]
    happenings: Receiver[Happening]
    scope: trio.CancelScope
    over: bool = False

    async def come(self, *tracks: Track) -> None:
        for track in tracks:
            self.tracks.send_nowait(AudioTrackHeard(track))
        await wait_all_tasks_blocked()

    async def go(self, track: Track) -> None:
        self.tracks.send_nowait(AudioTrackGone(track.sid, track.identity))
        await wait_all_tasks_blocked()

    async def heard(self) -> list[int]:
        """The numbers of the frames that wait for the service."""
        await wait_all_tasks_blocked()
        return taken(self.frames)

    def listened_to(self) -> list[str | None]:
        """Whom it said to listen to, since the last time."""
        told: list[str | None] = []
        while True:
            try:
                happening = self.happenings.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return told
            assert isinstance(happening, HeardBy)
            told.append(happening.identity)


def taken(frames: Receiver[MicrophoneFrame]) -> list[int]:
    numbers = []
    while True:
        try:
            numbers.append(number_of(frames.receive_nowait()))
        except (trio.WouldBlock, trio.EndOfChannel):
            return numbers


@asynccontextmanager
async def pump(capacity: int = 1000) -> AsyncIterator[Pump]:
    tracks = Channel[TrackEvent](
        "tracks", capacity=256, unit="tracks", full=Full.FAIL, because="as in the wiring"
    )
    service = Channel[MicrophoneFrame](
        "microphone", capacity=capacity, unit="frames", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    onset = Channel[MicrophoneFrame](
        "onset", capacity=20, unit="frames", full=Full.DROP_OLDEST, because="as in the wiring"
    )
    taps = Taps()
    happenings = taps.tap("test")
    async with trio.open_nursery() as nursery:
        at_work = Pump(
            tracks.sender(), service, service.receiver(), onset.receiver(), happenings, nursery.cancel_scope
        )
        actor = MicPump(tracks.receiver(), service.sender(), onset.sender(), taps)

        async def run() -> None:
            with trio.CancelScope() as at_work.scope:
                await actor.run()
            at_work.over = True

        nursery.start_soon(run)
        yield at_work
        nursery.cancel_scope.cancel()


async def test_the_first_person_is_listened_to_in_frames_of_50_ms_in_order() -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        for number in range(100):
            alice.speak(number)
        assert await mic.heard() == list(range(100))
        assert alice.frame_ms == 50
        assert mic.listened_to() == ["alice"]


async def test_the_second_person_waits_and_is_listened_to_when_the_first_one_leaves() -> None:
    alice, bob = person("alice"), person("bob")
    async with pump() as mic:
        await mic.come(alice, bob)
        bob.speak(7)
        assert await mic.heard() == []
        assert bob.open == 0
        await mic.go(alice)
        assert (alice.open, bob.open) == (0, 1)
        bob.speak(8)
        assert (await mic.heard())[-1] == 8
        assert mic.listened_to() == ["alice", None, "bob"]


async def test_a_track_that_ends_by_itself_makes_room_for_the_next_person() -> None:
    alice, bob = person("alice"), person("bob")
    async with pump() as mic:
        await mic.come(alice, bob)
        alice.end()
        await wait_all_tasks_blocked()
        assert (alice.open, bob.open) == (0, 1)
        # That it is gone is said too, later.
        await mic.go(alice)
        assert bob.open == 1
        assert mic.listened_to() == ["alice", None, "bob"]


async def test_machines_are_never_listened_to_even_when_nobody_else_is_there() -> None:
    recorder, agent, alice = machine("recorder"), machine("agent"), person("alice")
    async with pump() as mic:
        await mic.come(recorder, agent)
        assert (recorder.open, agent.open) == (0, 0)
        assert mic.listened_to() == []
        await mic.come(alice)
        assert mic.listened_to() == ["alice"]
        await mic.go(alice)
        assert (recorder.open, agent.open) == (0, 0)


async def test_somebody_who_left_while_waiting_is_not_listened_to_afterwards() -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    async with pump() as mic:
        await mic.come(alice, bob, carol)
        await mic.go(bob)
        await mic.go(alice)
        assert (bob.open, carol.open) == (0, 1)


async def test_of_those_who_wait_the_one_who_has_waited_longest_is_next() -> None:
    alice, bob, carol, dave = person("alice"), person("bob"), person("carol"), person("dave")
    async with pump() as mic:
        await mic.come(alice, bob, carol, dave)
        await mic.go(alice)
        await mic.go(bob)
        assert [track.open for track in (alice, bob, carol, dave)] == [0, 0, 1, 0]


async def test_a_person_who_comes_and_goes_in_one_breath_is_not_listened_to() -> None:
    alice, bob = person("alice"), person("bob")
    async with pump() as mic:
        mic.tracks.send_nowait(AudioTrackHeard(alice))
        mic.tracks.send_nowait(AudioTrackGone(alice.sid, alice.identity))
        await mic.come(bob)
        assert (alice.open, bob.open) == (0, 1)


async def test_a_person_who_comes_back_is_listened_to_again() -> None:
    async with pump() as mic:
        for number in range(20):
            alice = person("alice")
            await mic.come(alice)
            alice.speak(number)
            assert await mic.heard() == [number]
            await mic.go(alice)
            assert alice.open == 0


async def test_when_nobody_takes_the_sound_the_oldest_gives_way_and_the_latest_stays_in_order() -> None:
    alice = person("alice")
    async with pump(capacity=4) as mic:
        await mic.come(alice)
        for number in range(100):
            alice.speak(number)
            await wait_all_tasks_blocked()
        assert await mic.heard() == [96, 97, 98, 99]
        assert mic.service.statistics().dropped == 96
        alice.speak(100)
        assert await mic.heard() == [100]


async def test_the_onset_detector_gets_every_frame_too_and_may_be_slow() -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        for number in range(30):
            alice.speak(number)
        assert await mic.heard() == list(range(30))
        assert taken(mic.onset) == list(range(10, 30))


async def test_an_onset_detector_that_crashed_silences_nobody() -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        mic.onset.close()
        for number in range(30):
            alice.speak(number)
        assert await mic.heard() == list(range(30))


async def test_when_the_room_is_over_the_sound_ends_and_the_track_is_closed() -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        alice.speak(1)
        await wait_all_tasks_blocked()
        mic.tracks.close()
        await wait_all_tasks_blocked()
        assert mic.over
        assert alice.open == 0
        assert [number_of(frame) async for frame in mic.frames] == [1]
        assert [number_of(frame) async for frame in mic.onset] == [1]


async def test_cancelled_it_closes_the_track() -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        mic.scope.cancel()
        await wait_all_tasks_blocked()
        assert mic.over
        assert alice.open == 0


moves = st.tuples(st.sampled_from(["come", "come", "go", "end"]), st.sampled_from([0, 1, 2, 3, 4, 6]))


@given(st.lists(moves, min_size=10, max_size=40))
@settings(deadline=None)
def test_whoever_comes_and_goes_exactly_one_person_is_listened_to_the_one_who_has_waited_longest(
    moves: list[tuple[str, int]],
) -> None:
    async def watch() -> None:
        # The model: who waits, in the order in which they came; the even ones are people.
        waiting: list[Track] = []
        current: Track | None = None
        present: dict[int, Track] = {}
        everybody: list[Track] = []
        async with pump() as mic:
            for move, who in moves:
                if move == "come" and who not in present:
                    track = Track(
                        f"TR_{len(everybody)}",
                        f"guest {who}",
                        ParticipantKind.MACHINE if who % 2 else ParticipantKind.PERSON,
                    )
                    present[who] = track
                    everybody.append(track)
                    if who % 2 == 0:
                        waiting.append(track)
                    await mic.come(track)
                elif move == "go" and who in present:
                    track = present.pop(who)
                    waiting = [other for other in waiting if other is not track]
                    current = None if current is track else current
                    await mic.go(track)
                elif move == "end" and who in present and present[who] is current:
                    current.end()
                    current = None
                    await wait_all_tasks_blocked()
                if current is None and waiting:
                    current = waiting.pop(0)
                assert [track for track in everybody if track.open] == ([current] if current else [])

    trio.run(watch, clock=MockClock(autojump_threshold=0))
