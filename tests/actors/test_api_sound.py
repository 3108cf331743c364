"""The sound of the person on the wire: all of it, at once, in order, and never faster than real time."""

from __future__ import annotations

import itertools

import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.api.uplink import AHEAD_MS, JITTER_MS, Pace
from channels.happenings import SessionStarted
from channels.wire.messages import InputAudio
from playground.voice_agent.record import RecordedMessage
from playground.voice_agent_api import Drop, Expect, Wait
from sound.pcm import ms_of_bytes
from tests.actors.test_api_support import RESUME, START, conversation, in_virtual_time

SLACK_MS = AHEAD_MS + JITTER_MS
A_HAIR_MS = 1e-6

gaps_ms = st.lists(st.sampled_from([0, 0, 10, 49, 50, 50, 50, 51, 75, 200, 1000]), min_size=2, max_size=60)
lengths_ms = st.sampled_from([10, 20, 50, 200])
# Two of them are less than the 15 s after which a connection is given up.
stalls_ms = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 7000)), max_size=2)


def assert_never_faster_than_real_time(sounds: list[RecordedMessage[InputAudio]]) -> None:
    """Between any two frames on the wire there is no more sound than time, but for the slack."""
    lengths = [ms_of_bytes(len(entry.what.audio)) for entry in sounds]
    sent_before = list(itertools.accumulate(lengths, initial=0.0))
    for first in range(len(sounds)):
        for last in range(first + 1, len(sounds)):
            span_ms = (sounds[last].at_s - sounds[first].at_s) * 1000
            sound_ms = sent_before[last] - sent_before[first]
            assert sound_ms <= span_ms + SLACK_MS + A_HAIR_MS


async def test_a_steady_voice_arrives_whole_in_order_and_without_any_delay(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk:
        await talk.until(SessionStarted)
        start = trio.current_time()
        await talk.speak_for(60)
        sounds = talk.sent(InputAudio)
        assert [int.from_bytes(entry.what.audio[:2], "little") for entry in sounds] == list(range(1200))
        assert max(abs(entry.at_s - start - number * 0.05) for number, entry in enumerate(sounds)) < 1e-6
        assert {len(entry.what.audio) for entry in sounds} == {2400}


async def test_a_frame_that_comes_late_delays_none_after_it(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk:
        await talk.until(SessionStarted)
        start = trio.current_time()
        spoken: list[float] = []
        for number in range(400):
            # Every third comes 45 ms late, as from a busy machine.
            await trio.sleep_until(start + number * 0.05 + (0.045 if number % 3 == 2 else 0))
            spoken.append(trio.current_time())
            talk.speak(mark=number)
        await trio.sleep(1)
        assert [entry.at_s for entry in talk.sent(InputAudio)] == spoken


@given(gaps_ms, lengths_ms, stalls_ms)
@example([50] * 40, 50, [(500, 3000)])
@example([0] * 60, 50, [(0, 1), (1, 8000)])
@settings(max_examples=150, deadline=None)
def test_however_frames_come_in_and_the_network_stalls_sound_is_never_sent_faster_than_real_time(
    gaps: list[int], length_ms: int, stalls: list[tuple[int, int]]
) -> None:
    async def talk_it_through() -> None:
        async with conversation(START) as talk, trio.open_nursery() as nursery:
            await talk.until(SessionStarted)

            async def stall() -> None:
                for after_ms, for_ms in stalls:
                    await trio.sleep(after_ms / 1000)
                    talk.network.lines[0].stall()
                    await trio.sleep(for_ms / 1000)
                    talk.network.lines[0].flow()

            nursery.start_soon(stall)
            for number, gap_ms in enumerate(gaps):
                await trio.sleep(gap_ms / 1000)
                talk.speak(ms=length_ms, mark=number)
            await trio.sleep(20)
            sounds = talk.sent(InputAudio)
            marks = [entry.what.audio[0] for entry in sounds]
            assert marks == sorted(set(marks))
            assert marks[-1] == len(gaps) - 1
            assert_never_faster_than_real_time(sounds)

    in_virtual_time(talk_it_through)


@given(gaps_ms)
@settings(max_examples=100, deadline=None)
def test_however_frames_come_in_what_is_sent_is_at_most_three_tenths_of_a_second_old(gaps: list[int]) -> None:
    async def talk_it_through() -> None:
        async with conversation(START) as talk:
            await talk.until(SessionStarted)
            spoken: list[float] = []
            for number, gap_ms in enumerate(gaps):
                await trio.sleep(gap_ms / 1000)
                spoken.append(trio.current_time())
                talk.speak(mark=number)
            await trio.sleep(5)
            ages = [entry.at_s - spoken[entry.what.audio[0]] for entry in talk.sent(InputAudio)]
            assert max(ages) <= 0.3

    in_virtual_time(talk_it_through)


async def test_after_a_stalled_network_the_service_hears_the_present_not_the_past(
    autojump_clock: MockClock,
) -> None:
    async with conversation(START) as talk, trio.open_nursery() as nursery:
        await talk.until(SessionStarted)
        start = trio.current_time()
        nursery.start_soon(talk.speak_for, 10)
        await trio.sleep(2.01)
        talk.network.lines[0].stall()
        await trio.sleep(5)
        talk.network.lines[0].flow()
        await trio.sleep(4)
        after = [entry for entry in talk.sent(InputAudio) if entry.at_s - start > 2.01]
        # The frame that the stall caught on its way, then at most 200 ms of what came in meanwhile.
        ages = [entry.at_s - start - entry.what.audio[0] * 0.05 for entry in after]
        assert max(ages[1:]) < 0.3
        assert ages[-1] < 0.3
        assert_never_faster_than_real_time(talk.sent(InputAudio))


async def test_what_was_said_while_the_connection_was_away_is_not_sent_in_a_burst_afterwards(
    autojump_clock: MockClock,
) -> None:
    away = [Expect("session.update"), START[1], Wait(2.01), Drop()]
    slow_to_resume = [RESUME[0], Wait(2.9), RESUME[1]]
    async with conversation(away, slow_to_resume) as talk:
        await talk.until(SessionStarted)
        start = trio.current_time()
        await talk.speak_for(12)
        second = [entry for entry in talk.sent(InputAudio) if entry.connection == 2]
        assert second[0].at_s - start > 4.9
        assert max(entry.at_s - start - entry.what.audio[0] * 0.05 for entry in second) < 0.3
        assert_never_faster_than_real_time(second)


@given(st.lists(st.tuples(st.floats(0, 0.5), st.sampled_from([5.0, 20.0, 50.0, 1000.0]), st.floats(0, 2))))
def test_the_pace_lets_no_more_sound_pass_in_any_span_than_the_span_is_long(
    frames: list[tuple[float, float, float]],
) -> None:
    pace = Pace()
    now = 0.0
    passed: list[tuple[float, float]] = []
    for comes_after_s, ms, takes_s in frames:
        now = max(now + comes_after_s, pace.pass_at(now + comes_after_s)) + takes_s
        pace.passed(now, ms)
        passed.append((now, ms))
    for first in range(len(passed)):
        for last in range(first + 1, len(passed)):
            span_ms = (passed[last][0] - passed[first][0]) * 1000
            assert sum(ms for _, ms in passed[first:last]) <= span_ms + SLACK_MS + A_HAIR_MS


def test_the_pace_lets_live_sound_pass_at_once() -> None:
    pace = Pace()
    for number in range(1000):
        assert pace.pass_at(number * 0.05) == number * 0.05
        pace.passed(number * 0.05, 50)
