"""Whose microphone the agent listens to, and that live sound neither queues up nor gets out of order."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.mic import SILENCE_FOR_S
from actors.mic.roster import GRACE_S
from channels.happenings import FloorHolder, FloorPassed
from channels.ports import ParticipantKind, TrackSource
from sound.pcm import bytes_of_ms
from tests.actors.mic_support import Track, machine, number_of, person, pump, taken

SHORT_S, LONG_S = GRACE_S / 2, GRACE_S + 0.1


async def test_the_first_person_is_listened_to_in_frames_of_50_ms_in_order() -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        for number in range(100):
            alice.speak(number)
        assert await mic.heard() == list(range(100))
        assert alice.frame_ms == 50
        assert mic.listened_to() == ["alice"]


async def test_the_second_person_waits_and_is_listened_to_when_the_first_one_leaves(
    autojump_clock: MockClock,
) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump() as mic:
        await mic.come(alice, bob)
        bob.speak(7)
        assert await mic.heard() == []
        assert bob.open == 0
        await mic.go(alice)
        await trio.sleep(LONG_S)
        assert (alice.open, bob.open) == (0, 1)
        bob.speak(8)
        assert (await mic.heard())[-1] == 8
        assert mic.listened_to() == ["alice", None, "bob"]


async def test_a_track_that_ends_by_itself_makes_room_for_the_next_person(autojump_clock: MockClock) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump() as mic:
        await mic.come(alice, bob)
        alice.end()
        await trio.sleep(LONG_S)
        assert (alice.open, bob.open) == (0, 1)
        # That it is gone is said too, later.
        await mic.go(alice)
        assert bob.open == 1
        assert mic.listened_to() == ["alice", None, "bob"]


@pytest.mark.parametrize("new_track", ["", " after a reconnection"])
async def test_whoever_reconnects_within_a_moment_keeps_their_turn(
    autojump_clock: MockClock, new_track: str
) -> None:
    alice, bob, again = person("alice"), person("bob"), person("alice", new_track)
    async with pump() as mic:
        await mic.come(alice, bob)
        await mic.go(alice)
        await trio.sleep(SHORT_S)
        await mic.come(again)
        await trio.sleep(LONG_S)
        assert (again.open, bob.open) == (1, 0)
        assert mic.listened_to() == ["alice", None, "alice"]


async def test_whoever_reconnects_too_late_waits_for_their_turn(autojump_clock: MockClock) -> None:
    alice, bob, again = person("alice"), person("bob"), person("alice", "again")
    async with pump() as mic:
        await mic.come(alice, bob)
        await mic.go(alice)
        await trio.sleep(LONG_S)
        await mic.come(again)
        assert (again.open, bob.open) == (0, 1)
        await mic.go(bob)
        await trio.sleep(LONG_S)
        assert again.open == 1


async def test_whoever_reconnects_while_waiting_keeps_their_place(autojump_clock: MockClock) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    bob_again = person("bob", "again")
    async with pump() as mic:
        await mic.come(alice, bob, carol)
        await mic.go(bob)
        await trio.sleep(SHORT_S)
        await mic.come(bob_again)
        await mic.go(alice)
        await trio.sleep(LONG_S)
        assert (bob_again.open, carol.open) == (1, 0)


async def test_the_same_track_that_comes_anew_without_having_gone_is_opened_anew() -> None:
    before, after = person("alice"), person("alice")
    assert before.sid == after.sid
    async with pump() as mic:
        await mic.come(before)
        await mic.come(after)
        assert (before.open, after.open) == (0, 1)
        before.speak(1)
        after.speak(2)
        assert await mic.heard() == [2]


async def test_a_track_that_is_gone_is_not_heard_even_if_it_still_has_sound() -> None:
    # As the SDK does: the next track of anybody comes out of the stream of one that is gone.
    alice = Track("TR_alice", "alice", slow_to_close=True)
    async with pump() as mic:
        await mic.come(alice)
        alice.speak(1)
        assert await mic.heard() == [1]
        await mic.go(alice)
        alice.speak(2)
        assert await mic.heard() == []
        assert alice.open == 0


async def test_a_new_microphone_of_the_same_person_takes_over_when_the_old_one_goes() -> None:
    old, new, bob = person("alice", "old"), person("alice", "new"), person("bob")
    async with pump() as mic:
        await mic.come(old, bob, new)
        assert (old.open, new.open, bob.open) == (1, 0, 0)
        await mic.go(old)
        assert (old.open, new.open, bob.open) == (0, 1, 0)
        assert [heard_by.track_sid for heard_by in mic.told()] == [old.sid, new.sid]


@pytest.mark.parametrize("source", [TrackSource.SCREEN_SHARE, TrackSource.OTHER])
async def test_a_microphone_is_preferred_to_whatever_else_a_person_sends(source: TrackSource) -> None:
    other, microphone = person("alice", "other", source), person("alice", "microphone")
    async with pump() as mic:
        await mic.come(other)
        assert other.open == 1
        await mic.come(microphone)
        assert (other.open, microphone.open) == (0, 1)
        await mic.go(microphone)
        assert other.open == 1


@pytest.mark.parametrize("listen", ["first", "active", "mix", "identity:recorder"])
async def test_machines_are_never_listened_to_even_when_nobody_else_is_there(listen: str) -> None:
    recorder, agent, alice = machine("recorder"), machine("agent"), person("alice")
    async with pump(listen) as mic:
        await mic.come(recorder, agent)
        assert (recorder.open, agent.open) == (0, 0)
        assert mic.listened_to() == []
        await mic.come(alice)
        await mic.go(alice)
        assert (recorder.open, agent.open) == (0, 0)


async def test_only_the_one_who_was_named_is_listened_to_and_is_waited_for(autojump_clock: MockClock) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump("identity:bob") as mic:
        await mic.come(alice)
        await trio.sleep(60)
        assert alice.open == 0
        await mic.come(bob)
        assert (alice.open, bob.open) == (0, 1)
        await mic.go(bob)
        await trio.sleep(60)
        assert alice.open == 0
        again = person("bob", "again")
        await mic.come(again)
        assert again.open == 1
        assert mic.listened_to() == ["bob", None, "bob"]


async def test_somebody_who_left_while_waiting_is_not_listened_to_afterwards(
    autojump_clock: MockClock,
) -> None:
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    async with pump() as mic:
        await mic.come(alice, bob, carol)
        await mic.go(bob)
        await mic.go(alice)
        await trio.sleep(LONG_S)
        assert (bob.open, carol.open) == (0, 1)


async def test_of_those_who_wait_the_one_who_has_waited_longest_is_next(autojump_clock: MockClock) -> None:
    alice, bob, carol, dave = person("alice"), person("bob"), person("carol"), person("dave")
    async with pump() as mic:
        await mic.come(alice, bob, carol, dave)
        await mic.go(alice)
        await trio.sleep(LONG_S)
        await mic.go(bob)
        await trio.sleep(LONG_S)
        assert [track.open for track in (alice, bob, carol, dave)] == [0, 0, 1, 0]


async def test_a_person_who_comes_and_goes_in_one_breath_is_not_listened_to(
    autojump_clock: MockClock,
) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump() as mic:
        await mic.come(alice)
        await mic.go(alice)
        await mic.come(bob)
        await trio.sleep(LONG_S)
        assert (alice.open, bob.open) == (0, 1)


async def test_a_person_who_comes_back_again_and_again_is_listened_to_again() -> None:
    async with pump() as mic:
        for number in range(1, 20):
            alice = person("alice")
            await mic.come(alice)
            alice.speak(number)
            assert await mic.heard() == [number]
            await mic.go(alice)
            assert alice.open == 0


async def test_where_the_sound_stops_silence_goes_on_at_its_pace_so_that_the_service_can_end_the_turn(
    autojump_clock: MockClock,
) -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        alice.speak(7)
        await wait_all_tasks_blocked()
        await mic.go(alice)
        await trio.sleep(5)
        heard = await mic.heard()
        assert heard[0] == 7
        assert set(heard[1:]) == {0}
        assert 5 / 0.05 - 5 <= len(heard) <= 5 / 0.05
        await trio.sleep(100)
        left = await mic.heard()
        assert len(heard) + len(left) <= SILENCE_FOR_S / 0.05, "nobody is sent silence for ever"
        back = person("alice", "back")
        await mic.come(back)
        back.speak(8)
        assert (await mic.heard())[-1] == 8
        await trio.sleep(1)
        assert len(await mic.heard()) > 10


async def test_no_silence_is_put_between_frames_that_come_with_jitter(autojump_clock: MockClock) -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        for number in range(1, 50):
            await trio.sleep(0.15 if number % 3 == 0 else 0.0)
            alice.speak(number)
        assert await mic.heard() == list(range(1, 50))


async def test_nobody_has_spoken_yet_so_nothing_is_sent(autojump_clock: MockClock) -> None:
    async with pump() as mic:
        await mic.come(person("alice"))
        await trio.sleep(30)
        assert await mic.heard() == []


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


@pytest.mark.parametrize("listen", ["first", "identity:alice", "active"])
async def test_when_the_room_is_over_the_sound_ends_and_the_track_is_closed(listen: str) -> None:
    alice = person("alice")
    async with pump(listen) as mic:
        await mic.come(alice)
        alice.speak(1)
        await wait_all_tasks_blocked()
        mic.tracks.close()
        await wait_all_tasks_blocked()
        assert mic.over
        assert alice.open == 0
        assert [number_of(frame) async for frame in mic.frames] == [1]
        assert [number_of(frame) async for frame in mic.onset] == [1]


@pytest.mark.parametrize("listen", ["first", "identity:alice", "active", "mix"])
async def test_cancelled_it_closes_every_track(listen: str) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump(listen) as mic:
        await mic.come(alice, bob)
        mic.scope.cancel()
        await wait_all_tasks_blocked()
        assert mic.over
        assert (alice.open, bob.open) == (0, 0)


async def test_somebody_on_the_phone_is_a_person() -> None:
    # The edge gives SIP participants this kind; see also tests/conversation/test_listening.py.
    caller = Track("TR_phone", "sip_+4912345", ParticipantKind.PERSON, TrackSource.OTHER)
    async with pump() as mic:
        await mic.come(caller)
        assert mic.listened_to() == ["sip_+4912345"]


async def test_what_comes_in_a_bunch_after_a_stall_was_heard_when_it_was_spoken(
    autojump_clock: MockClock,
) -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        for number in range(36):
            await trio.sleep(0.05 if number < 20 else 0.0)
            if number == 20:
                await trio.sleep(0.8)
            alice.speak(number + 1)
        await wait_all_tasks_blocked()
        bridged = 0
        spoken_at = dict[int, float]()
        for frame in mic.waiting():
            bridged += not number_of(frame)
            spoken_at[number_of(frame)] = frame.at
        assert bridged, "the service heard silence meanwhile"
        assert [spoken_at[number] for number in range(1, 37)] == pytest.approx(
            [0.05 * number for number in range(1, 37)], abs=0.061
        )


@pytest.mark.parametrize("listen", ["active", "mix"])
async def test_of_a_crowd_so_many_are_listened_to_and_the_next_one_when_somebody_leaves(
    autojump_clock: MockClock, listen: str
) -> None:
    crowd = [person(f"guest {number}") for number in range(20)]
    second = [person(f"guest {number}", "again") for number in range(20)]
    async with pump(listen) as mic:
        await mic.come(*crowd, *second)
        assert [track.open for track in crowd] == [1] * 16 + [0] * 4
        assert not any(track.open for track in second), "one microphone each"
        await mic.go(crowd[3], second[3])
        await trio.sleep(LONG_S)
        assert [track.open for track in crowd] == [1] * 3 + [0] + [1] * 13 + [0] * 3


async def test_a_person_is_heard_at_once_whenever_the_agent_could_be_interrupted() -> None:
    alice = person("alice")
    async with pump() as mic:
        await mic.come(alice)
        assert alice.at_once is not None
        hurried = []
        for holder in "nobody person answer person agent person nobody person".split():
            mic.happened.send_nowait(FloorPassed(FloorHolder(holder), 1, trio.current_time()))
            await wait_all_tasks_blocked()
            hurried.append(alice.at_once())
        assert hurried == [False, False, True, True, True, True, False, False]


async def test_sound_reaches_the_detector_as_it_comes_and_the_service_in_frames() -> None:
    alice = person("alice")
    sound = bytes(range(240)) * 20
    async with pump() as mic:
        await mic.come(alice)
        for length_ms in (10, 10, 30, 50):
            alice.sound(sound[: bytes_of_ms(length_ms)])
        await wait_all_tasks_blocked()
        assert [len(frame.pcm) for frame in mic.waiting()] == [bytes_of_ms(50)] * 2
        judged = [len(mic.onset.receive_nowait().pcm) for _ in range(4)]
        assert judged == [bytes_of_ms(length_ms) for length_ms in (10, 10, 30, 50)]
