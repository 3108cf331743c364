"""What a person said reached the service late, for the rest of the call, or never.

Time is virtual, so ages are exact: of each frame, from when it was heard to when the service's server had it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import pytest
import trio
from trio.testing import MockClock

from actors.api.backlog import PATIENCE_S, WORDS_WAIT_S
from actors.api.uplink import JITTER_MS
from channels.happenings import SessionStarted, SoundWasLate
from channels.messages import MicrophoneFrame
from channels.wire.events import SessionFailed
from channels.wire.messages import InputAudio
from playground.voice_agent_api import Expect, Send, Wait
from tests.actors.test_api_support import START, Conversation, conversation, ready

FRAME_S = 0.05
SAMPLES = 1200


def sentences(number: int) -> bool:
    """Whether the person speaks in that frame: phrases of 600 ms, with 400 ms between them."""
    return number % 20 < 12


def always(number: int) -> bool:
    return True


@attrs.define
class Person:
    """Somebody who speaks, and keeps account of it."""

    talk: Conversation
    speaks: Callable[[int], bool] = sentences
    room: int = 3
    """The noise between the words, of 32767."""
    heard_at: list[float] = attrs.field(factory=list)

    async def speak(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            await trio.sleep(FRAME_S)
            self.frame()

    def frame(self) -> None:
        number = len(self.heard_at)
        loud = 6000 if self.speaks(number) else self.room
        samples = np.tile(np.array([loud, -loud], "<i2"), SAMPLES // 2)
        samples[:2] = number // 100 - 300, number % 100  # small: no gap becomes loud by it
        self.heard_at.append(trio.current_time())
        self.talk.microphone.send_nowait(MicrophoneFrame(samples.tobytes(), at=self.heard_at[-1]))

    def sent(self) -> list[tuple[int, float]]:
        """Which frames came to the service, and how old they were."""
        found = []
        for entry in self.talk.sent(InputAudio):
            first, second = np.frombuffer(entry.what.audio[:4], "<i2")
            number = int(first + 300) * 100 + int(second)
            found.append((number, entry.at_s - self.heard_at[number]))
        return found

    def words(self) -> list[int]:
        return [number for number in range(len(self.heard_at)) if self.speaks(number)]

    def words_sent(self) -> list[int]:
        return [number for number, _ in self.sent() if self.speaks(number)]

    def ages(self, since: float) -> list[float]:
        """Of what was heard from then on."""
        return [age for number, age in self.sent() if self.heard_at[number] >= since]


async def stall(talk: Conversation, seconds: float) -> None:
    talk.network.lines[0].stall()
    await trio.sleep(seconds)
    talk.network.lines[0].flow()


def assert_within_the_documented_rate(person: Person) -> None:
    times = [entry.at_s for entry in person.talk.sent(InputAudio)]
    for first in range(0, len(times), 7):
        for last in range(first, len(times)):
            assert (last - first + 1) * FRAME_S <= times[last] - times[first] + 1.0 + 1e-6


@pytest.mark.parametrize("stall_s", [0.4, 2.0])
async def test_after_a_stall_sound_is_in_time_again_within_a_second_and_no_word_is_lost(
    autojump_clock: MockClock, stall_s: float
) -> None:
    async with conversation(START) as talk, trio.open_nursery() as nursery:
        await talk.until(SessionStarted)
        person = Person(talk)
        nursery.start_soon(person.speak, 12)
        await trio.sleep(3.01)
        before = max(person.ages(0.0))
        await stall(talk, stall_s)
        over = trio.current_time()
        await trio.sleep(12)
        assert max(person.ages(over + 1.0)) <= before + 1e-6
        assert person.words_sent() == person.words()
        assert_within_the_documented_rate(person)
        if stall_s > 1:
            (late,) = talk.happened(SoundWasLate)
            assert 1500 < late.worst_ms < 2500
            assert late.silence_dropped_ms > 0
            assert late.speech_dropped_ms == 0


@pytest.mark.parametrize("ready_after_s", [0.9, 3.0, 9.0])
async def test_the_first_words_reach_the_service_although_it_was_not_ready_and_delay_nothing_afterwards(
    autojump_clock: MockClock, ready_after_s: float
) -> None:
    async with conversation([Expect("session.update"), Wait(ready_after_s), ready()]) as talk:
        person = Person(talk, lambda number: number < 40 and sentences(number))  # two phrases, then silence
        async with trio.open_nursery() as nursery:
            nursery.start_soon(person.speak, 15)
            await talk.until(SessionStarted)
            started = trio.current_time()
        assert person.words_sent() == person.words()
        assert max(person.ages(started + 2.0)) < 1e-6
        assert_within_the_documented_rate(person)


async def test_silence_before_the_service_was_ready_is_not_sent_to_it(autojump_clock: MockClock) -> None:
    async with conversation([Expect("session.update"), Wait(5), ready()]) as talk:
        person = Person(talk, lambda number: False)
        await person.speak(8)
        assert max(age for _, age in person.sent()) < FRAME_S + 1e-6
        assert talk.happened(SoundWasLate) == [], "nobody missed anything"


async def test_in_a_loud_room_the_gaps_are_the_noise_between_the_words(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk, trio.open_nursery() as nursery:
        await talk.until(SessionStarted)
        person = Person(talk, room=300)  # -41 dB of full scale
        nursery.start_soon(person.speak, 12)
        await trio.sleep(4.01)
        await stall(talk, 2)
        over = trio.current_time()
        await trio.sleep(12)
        assert max(person.ages(over + 1.0)) < 1e-6
        assert person.words_sent() == person.words()


async def test_music_that_has_no_gaps_is_not_late_for_ever(autojump_clock: MockClock) -> None:
    async with conversation(START) as talk, trio.open_nursery() as nursery:
        await talk.until(SessionStarted)
        person = Person(talk, always)
        nursery.start_soon(person.speak, 30)
        await trio.sleep(3.01)
        await stall(talk, 3)
        over = trio.current_time()
        await trio.sleep(30)
        lost = set(person.words()) - set(person.words_sent())
        assert person.ages(over)[0] > 1.5
        assert max(person.ages(over + PATIENCE_S + 12)) <= 3 * FRAME_S, "what a busy machine may do"
        assert len(lost) * FRAME_S < 3, "no more than the stall was long"
        dropped = talk.microphone.channel.statistics().dropped
        assert sum(late.speech_dropped_ms for late in talk.happened(SoundWasLate)) == dropped * 50
        assert len(talk.happened(SoundWasLate)) <= 3, "and not a line for each frame"


async def test_what_was_said_long_ago_is_not_brought_up_again(autojump_clock: MockClock) -> None:
    wait_s = WORDS_WAIT_S - 1
    async with conversation([Expect("session.update"), Wait(wait_s), ready()], down=True) as talk:
        person = Person(talk, lambda number: number < 200)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(person.speak, 40)
            await trio.sleep(8)
            talk.network.down = False
            await talk.until(SessionStarted)
        assert max(age for _, age in person.sent()) < 2 * WORDS_WAIT_S
        assert 0 < len(person.words_sent()) < len(person.words())
        assert person.words_sent() == sorted(person.words_sent())


async def test_a_service_that_finds_it_too_fast_is_sent_real_time_from_then_on(
    autojump_clock: MockClock,
) -> None:
    violation = Send(SessionFailed("audio_rate_violation", "Too fast"))
    script: Sequence[object] = [*START, Wait(2), violation]
    async with conversation(script) as talk, trio.open_nursery() as nursery:
        await talk.until(SessionStarted)
        person = Person(talk)
        nursery.start_soon(person.speak, 12)
        await trio.sleep(4.01)
        told = trio.current_time()
        await stall(talk, 1)
        await trio.sleep(12)
        times = [entry.at_s for entry in talk.sent(InputAudio) if entry.at_s > told]
        for first, last in itertools.combinations(range(len(times)), 2):
            assert (last - first) * FRAME_S <= times[last] - times[first] + JITTER_MS / 1000 + 1e-6
        assert person.words_sent() == person.words()


async def test_how_old_sound_is_when_it_is_sent_is_counted_with_the_channel(
    autojump_clock: MockClock,
) -> None:
    async with conversation(START) as talk, trio.open_nursery() as nursery:
        await talk.until(SessionStarted)
        person = Person(talk)
        nursery.start_soon(person.speak, 6)
        microphone = talk.microphone.channel
        await trio.sleep(2.01)
        assert microphone.statistics().age_ms == 0
        await stall(talk, 2)
        await trio.sleep(0.01)
        assert (microphone.statistics().age_ms or 0) > 100
        await trio.sleep(2)
        assert microphone.statistics().age_ms == 0
        dropped = len(person.heard_at) - len(person.sent())
        assert microphone.statistics().dropped == dropped > 0
