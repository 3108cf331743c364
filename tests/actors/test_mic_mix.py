"""All voices in one stream: everybody at their own level, nobody held up by anybody, and never clipped."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.mic.mixing import CUSHION_FRAMES, MOST_FRAMES, Mixing, limit
from bench.speech import spoken
from channels.ports import TrackSource
from sound.pcm import bytes_of_ms
from tests.actors.mic_support import Track, person, pump

SAMPLES = bytes_of_ms(50) // 2


def level(value: int) -> bytes:
    """50 ms at one level, which makes sums easy to read."""
    return np.full(SAMPLES, value, np.int16).tobytes()


def samples(pcm: bytes) -> npt.NDArray[np.int16]:
    return np.frombuffer(pcm, np.int16)


def middle(pcm: bytes) -> int:
    """The level of a frame, away from the fades at its ends."""
    return int(samples(pcm)[SAMPLES // 2])


def test_somebody_who_is_alone_is_passed_on_bit_by_bit() -> None:
    mixing, pcm = Mixing(50), spoken("The weather is very nice today.")
    frames = [pcm[at : at + 2400] for at in range(0, len(pcm) - 2400, 2400)]
    out = []
    for frame in frames:
        mixing.take("alice", frame)
        mixing.take("muted", bytes(2400))
        out.append(mixing.mix())
    assert out[: CUSHION_FRAMES - 1] == [bytes(2400)] * (CUSHION_FRAMES - 1)
    assert out[CUSHION_FRAMES:] == frames[1 : len(out) - CUSHION_FRAMES + 1]


def test_voices_are_added_at_their_own_level() -> None:
    mixing = Mixing(50)
    for _ in range(5):
        for sid, value in (("alice", 3000), ("bob", -1000), ("carol", 500)):
            mixing.take(sid, level(value))
        out = mixing.mix()
    assert abs(middle(out) - 2500) <= 1


def test_one_that_stalls_holds_up_nobody_and_comes_back_without_being_late() -> None:
    mixing = Mixing(50)
    heard = []
    for number in range(30):
        mixing.take("alice", level(1000))
        if number < 10:
            mixing.take("bob", level(100))
        if number == 20:  # what the network held back comes all at once
            for _ in range(10):
                mixing.take("bob", level(100))
        if number > 20:
            mixing.take("bob", level(100))
        heard.append(round(middle(mixing.mix()), -1))
    begins = CUSHION_FRAMES - 1
    assert heard[begins:10] == [1100] * (10 - begins)
    assert heard[12:20] == [1000] * 8
    assert heard[20:] == [1100] * 10
    assert mixing.dropped == 10 - MOST_FRAMES


def test_jitter_of_a_frame_is_not_heard() -> None:
    mixing, random = Mixing(50), np.random.default_rng(1)
    # The first one is as early as any can be, so that all others are late.
    arrivals = [(number * 50 + (random.uniform(0, 45) if number else 0.0), number) for number in range(200)]
    heard = []
    for tick in range(200):
        while arrivals and arrivals[0][0] <= tick * 50 + 5:
            mixing.take("alice", level(arrivals.pop(0)[1] + 1))
        heard.append(middle(mixing.mix()))
    voiced = [value for value in heard if value]
    begins = heard.index(voiced[0])
    assert heard[begins:] == voiced, "no hole"
    assert voiced == list(range(1, len(voiced) + 1)), "nothing lost, nothing doubled"


def test_comings_and_goings_of_others_leave_no_gap_in_a_voice() -> None:
    mixing = Mixing(50)
    heard = []
    for number in range(40):
        mixing.take("alice", level(number + 1))
        if 10 <= number < 20:
            mixing.take("bob", level(0))
        if number == 20:
            mixing.forget("bob")
        heard.append(middle(mixing.mix()))
    begins = CUSHION_FRAMES - 1
    assert heard[begins:] == list(range(1, 41 - begins))


def test_the_last_words_of_somebody_who_leaves_are_still_heard() -> None:
    mixing = Mixing(50)
    for value in (10, 20, 30):
        mixing.take("alice", level(value))
    heard = [middle(mixing.mix())]
    mixing.forget("alice")
    heard += [middle(mixing.mix()) for _ in range(4)]
    assert heard == [10, 20, 30, 0, 0]


def test_a_voice_begins_and_breaks_off_without_a_click() -> None:
    mixing = Mixing(50)
    for _ in range(CUSHION_FRAMES):
        mixing.take("alice", level(20_000))
    out = np.concatenate([samples(mixing.mix()) for _ in range(CUSHION_FRAMES + 2)]).astype(int)
    assert np.max(np.abs(np.diff(out))) < 20_000 / 100
    assert out[-1] == 0


@given(st.lists(st.integers(-32768, 32767), min_size=2, max_size=12))
def test_however_many_and_however_loud_nothing_clips_or_wraps_around(values: list[int]) -> None:
    mixing = Mixing(50)
    for _ in range(CUSHION_FRAMES + 1):
        for number, value in enumerate(values):
            mixing.take(str(number), level(value))
        out = middle(mixing.mix())
    total = sum(values)
    if sum(1 for value in values if value) > 1:
        assert abs(out) <= 32767
        assert out == 0 or (out > 0) == (total > 0)
        if abs(total) <= 0.7 * 32768:
            assert abs(out - total) <= 2, "what is not loud is not touched"


def test_the_limiter_is_smooth_and_keeps_the_order_of_levels() -> None:
    ramp = np.linspace(-4, 4, 100_001, dtype=np.float32)
    out = limit(ramp)
    assert np.max(np.abs(out)) <= 1
    assert np.all(np.diff(out) >= 0)
    assert np.max(np.diff(out)) <= 8 / 100_000 * 1.01


async def test_in_a_mix_everybody_is_sent_on_time_with_every_track_they_have(
    autojump_clock: MockClock,
) -> None:
    alice, screen, bob = person("alice"), person("alice", "screen", TrackSource.SCREEN_SHARE), person("bob")
    worth: list[tuple[Track, int]] = [(alice, 1000), (screen, 200), (bob, 30)]
    async with pump("mix") as mic:
        await mic.come(alice, screen, bob)
        assert [track.open for track, _ in worth] == [1, 1, 1]
        for _ in range(40):
            for track, value in worth:
                track.sound(level(value))
            await trio.sleep(0.05)
        sent = [middle(pcm) for pcm in mic.sounds()]
        assert 39 <= len(sent) <= 41
        assert [round(value, -1) for value in sent[5:]] == [1230] * len(sent[5:])


async def test_in_a_mix_everybody_is_told_to_be_heard_and_who_of_them_spoke_last(
    autojump_clock: MockClock,
) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump("mix") as mic:
        await mic.come(alice, bob)
        for number in range(60):
            alice.sound(level(5000 if number < 20 else 0))
            bob.sound(level(5000 if number > 35 else 0))
            await trio.sleep(0.05)
        told = mic.told()
        assert all(heard_by.everybody for heard_by in told)
        assert [heard_by.identity for heard_by in told] == [None, "alice", "bob"]
        await mic.go(alice, bob)
        assert not mic.told()[-1].everybody


async def test_in_a_mix_the_last_frame_of_somebody_who_leaves_is_sent(autojump_clock: MockClock) -> None:
    alice, bob = person("alice"), person("bob")
    async with pump("mix") as mic:
        await mic.come(alice, bob)
        for number in range(10):
            alice.sound(level(1000))
            if number == 5:
                bob.sound(level(30))
                await trio.lowlevel.checkpoint()
                await mic.go(bob)
            await trio.sleep(0.05)
        assert 1030 in {round(middle(pcm), -1) for pcm in mic.sounds()}


async def test_in_a_mix_silence_ends_the_turn_of_those_who_left(autojump_clock: MockClock) -> None:
    alice = person("alice")
    async with pump("mix") as mic:
        await mic.come(alice)
        for _ in range(10):
            alice.sound(level(1000))
            await trio.sleep(0.05)
        mic.sounds()
        await mic.go(alice)
        await trio.sleep(4)
        sent = mic.sounds()
        assert 78 <= len(sent) <= 82
        assert all(not pcm.strip(b"\0") for pcm in sent[5:])
        await trio.sleep(100)
        assert len(mic.sounds()) < 10 / 0.05
