"""Whoever interrupts the agent hears its voice fall silent and go on, and no clicks."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given, settings

from actors.speaker import SpeakerPump
from channels.bounded import Channel, Full
from channels.messages import (
    Cut,
    Duck,
    Finish,
    Finished,
    Hold,
    Play,
    Resume,
    Sounding,
    SpeakerCommand,
    SpeakerReport,
)
from channels.settings import SpeakerSettings
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms

LOUDNESS = 8_000
TONE = array(
    "h",
    [round(LOUDNESS * math.sin(math.tau * 440 * at / SAMPLE_RATE_HZ)) for at in range(2 * SAMPLE_RATE_HZ)],
)
"""Two seconds."""


def biggest_step(samples: array[int]) -> int:
    return int(np.abs(np.diff(np.frombuffer(samples, "<i2").astype(int))).max(initial=0))


OWN_STEP = biggest_step(TONE)
STEEPER = LOUDNESS // (bytes_of_ms(10) // 2) + 2
"""What a fade of 10 ms adds to a step of what it fades."""


@define
class Ears:
    """A loudspeaker that remembers what was heard, sample by sample, silence as well."""

    steps_from: float | None = None
    """A moment at which 10 ms are taken, as every 10 ms; None: all is taken as it is due."""
    heard: array[int] = field(factory=lambda: array("h"))
    _queue: bytearray = field(factory=bytearray)
    _began: float = field(factory=trio.current_time)

    async def capture(self, pcm: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.listen()
        self._queue += pcm

    def clear(self) -> None:
        self.listen()
        self._queue.clear()

    def listen(self) -> array[int]:
        until = int((trio.current_time() - self._began) * SAMPLE_RATE_HZ + 1e-4)
        if self.steps_from is not None:
            until = (int((trio.current_time() - self.steps_from) * 100 + 1e-6) + 1) * 240
        due = until - len(self.heard)
        out = bytes(self._queue[: 2 * due])
        del self._queue[: len(out)]
        self.heard.frombytes(out.ljust(2 * due, b"\0"))
        return self.heard


async def what_is_heard(
    orders: Sequence[tuple[float, SpeakerCommand]], *, steps_from: float | None = None
) -> tuple[array[int], list[SpeakerReport]]:
    """What the room hears of orders that come so many seconds after one another, until all is over."""
    commands = Channel[SpeakerCommand]("orders", capacity=64, unit="orders", full=Full.FAIL, because="test")
    reports = Channel[SpeakerReport]("reports", capacity=8192, unit="reports", full=Full.FAIL, because="test")
    echo = Channel[Sounding]("sounding", capacity=64, unit="frames", full=Full.DROP_OLDEST, because="test")
    told: list[SpeakerReport] = []
    reports.overhear(told.append)
    ears, sender = Ears(steps_from), commands.sender()
    receivers = reports.receiver(), echo.receiver()
    async with trio.open_nursery() as nursery:
        pump = SpeakerPump(SpeakerSettings(100), ears, commands.receiver(), reports.sender(), echo.sender())
        nursery.start_soon(pump.run)
        for after_s, order in orders:
            await trio.sleep(after_s)
            sender.send_nowait(order)
        await trio.sleep(4)
        heard = ears.listen()[:]
        nursery.cancel_scope.cancel()
    for receiver in receivers:
        receiver.close()
    return heard, told


@pytest.mark.parametrize("held_s", [0.003, 0.007, 0.5])
async def test_a_voice_that_is_held_and_given_back_does_not_click(
    autojump_clock: trio.testing.MockClock, held_s: float
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [
        (0, Play("r", TONE.tobytes())),
        (0, Finish("r")),
        (1.0127, Hold()),
        (held_s, Resume()),
    ]
    heard, told = await what_is_heard(orders)
    assert biggest_step(heard) <= OWN_STEP + STEEPER
    assert told[-1] == Finished("r", 2000)


async def test_a_voice_that_is_cut_does_not_click_and_what_follows_is_whole(
    autojump_clock: trio.testing.MockClock,
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [
        (0, Play("a", TONE.tobytes())),
        (1.0127, Cut("a")),
        (0, Play("b", TONE.tobytes())),
        (0, Finish("b")),
    ]
    heard, told = await what_is_heard(orders)
    assert biggest_step(heard) <= OWN_STEP + STEEPER
    begins = next(at for at in range(24_300, len(heard)) if heard[at : at + 240] == TONE[:240])
    assert begins <= 24_300 + 2 * 240, "it begins when the other has faded"
    assert heard[begins : begins + len(TONE)] == TONE
    assert [report for report in told if isinstance(report, Finished)] == [
        Finished("a", pytest.approx(1012.7, abs=0.1)),  # type: ignore[arg-type]
        Finished("b", 2000),
    ]


async def test_a_cut_behind_the_voice_that_is_heard_is_not_heard_at_all(
    autojump_clock: trio.testing.MockClock,
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [
        (0, Play("a", TONE.tobytes())),
        (0, Finish("a")),
        (0, Play("b", TONE.tobytes())),
        (1.95, Cut("b")),
    ]
    heard, _ = await what_is_heard(orders)
    assert heard[: len(TONE)] == TONE
    assert not any(heard[len(TONE) :])


@pytest.mark.parametrize("steps_from", [-0.0001, -0.0049, -0.0099])
@pytest.mark.parametrize("order", [Hold(), Cut("r")])
async def test_a_room_that_takes_ten_milliseconds_at_a_time_hears_no_click_either(
    autojump_clock: trio.testing.MockClock, steps_from: float, order: SpeakerCommand
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [(0, Play("r", TONE.tobytes())), (0, Finish("r"))]
    orders += [(1.0127, order), (0.2133, Resume())]
    heard, told = await what_is_heard(orders, steps_from=steps_from)
    assert biggest_step(heard) <= OWN_STEP + STEEPER
    (ended,) = [report for report in told if isinstance(report, Finished)]
    assert ended.played_ms == 2000 if order == Hold() else ended.played_ms % 10 == 0


PAUSES = st.lists(st.tuples(st.floats(0.0005, 0.3), st.floats(0.0005, 0.1)), min_size=1, max_size=5)


@given(pauses=PAUSES, cut=st.booleans())
@settings(max_examples=40)
def test_nothing_is_lost_or_said_twice_by_fades_however_often_the_voice_is_held(
    pauses: list[tuple[float, float]], cut: bool
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [(0, Play("r", TONE.tobytes())), (0, Finish("r"))]
    for after_s, for_s in pauses:
        orders += [(after_s, Hold()), (for_s, Resume())]
    if cut:
        orders += [(0.0123, Hold()), (0.004, Cut("r")), (0.002, Resume())]

    async def run() -> tuple[array[int], list[SpeakerReport]]:
        return await what_is_heard(orders)

    heard, told = trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert biggest_step(heard) <= OWN_STEP + 2 * STEEPER, "one fade may begin within another"
    ends = [report.played_ms for report in told if isinstance(report, Finished)]
    assert len(ends) == 1
    # Rectified, a tone of whole periods is as long as it is loud; a sample that fades in and out weighs once.
    weight, whole = (
        np.abs(np.frombuffer(heard, "<i2").astype(int)).sum(),
        LOUDNESS * 2 / math.pi * 24 * ends[0],
    )
    assert weight == pytest.approx(whole, abs=LOUDNESS * 240 * (len(pauses) + 1 if not cut else 2))
    # What comes after the last fade is the rest of the tone, to the sample.
    if not cut:
        rest = min(len(TONE), 480)
        assert TONE[-rest:].tobytes() in heard.tobytes()


@pytest.mark.parametrize("steps_from", [None, -0.0001, -0.0049, -0.0099])
async def test_a_voice_that_is_lowered_for_nothing_is_soon_back_without_a_click_or_a_gap(
    autojump_clock: trio.testing.MockClock, steps_from: float | None
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [
        (0, Play("r", TONE.tobytes())),
        (0, Finish("r")),
        (1.0127, Duck(12, 150)),
    ]
    heard, told = await what_is_heard(orders, steps_from=steps_from)
    assert biggest_step(heard) <= OWN_STEP + STEEPER
    assert told[-1] == Finished("r", 2000)
    loudness = [
        max(map(abs, heard[at : at + 240])) / LOUDNESS for at in range(0, len(TONE), 240)
    ]  # of each 10 ms
    # At once: the sound that lay in the room's queue at full loudness is not heard.
    soft = [at for at, one in enumerate(loudness) if one < 0.9 and 50 < at < 190]
    assert 101 <= soft[0] <= 104
    assert loudness[soft[2]] == pytest.approx(10 ** (-12 / 20), abs=0.02)
    assert soft == list(range(soft[0], soft[0] + len(soft))), "it is lowered once"
    assert 14 <= len(soft) <= 18
    assert TONE[-4800:].tobytes() in heard.tobytes()


@pytest.mark.parametrize("after_s", [0.004, 0.05, 0.12])
async def test_a_lowered_voice_is_held_and_goes_on_as_loud_as_ever(
    autojump_clock: trio.testing.MockClock, after_s: float
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [
        (0, Play("r", TONE.tobytes())),
        (0, Finish("r")),
        (1.0127, Duck(12, 150)),
        (after_s, Hold()),
        (0.5, Resume()),
    ]
    heard, told = await what_is_heard(orders)
    assert biggest_step(heard) <= OWN_STEP + STEEPER
    assert told[-1] == Finished("r", 2000)
    assert TONE[-20_000:].tobytes() in heard.tobytes()


async def test_a_voice_that_is_lowered_again_and_again_loses_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [(0, Play("r", TONE.tobytes())), (0, Finish("r"))]
    orders += [(0.0731, Duck(12, 150))] * 20
    heard, told = await what_is_heard(orders)
    assert biggest_step(heard) <= OWN_STEP + STEEPER
    assert told[-1] == Finished("r", 2000)
    ended = max(at for at, sample in enumerate(heard) if sample)
    assert abs(ended - len(TONE)) <= 480


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.02])
@pytest.mark.parametrize("held_s", [0.0, 0.3])
async def test_a_voice_that_is_held_in_the_moment_in_which_it_is_lowered_does_not_click(
    autojump_clock: trio.testing.MockClock, after_s: float, held_s: float
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [
        (0, Play("r", TONE.tobytes())),
        (0, Finish("r")),
        (1.0127, Duck(12, 150)),
        (after_s, Hold()),
        (held_s, Resume()),
    ]
    heard, told = await what_is_heard(orders)
    assert biggest_step(heard) <= OWN_STEP + 2 * STEEPER
    assert told[-1] == Finished("r", 2000)


@pytest.mark.parametrize("steps_from", [None, -0.0001, -0.0079])
@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.003, 0.02])
async def test_a_voice_that_is_cut_in_the_moment_in_which_it_is_lowered_does_not_click(
    autojump_clock: trio.testing.MockClock, after_s: float, steps_from: float | None
) -> None:
    orders: list[tuple[float, SpeakerCommand]] = [
        (0, Play("r", TONE.tobytes())),
        (0, Finish("r")),
        (1.0127, Duck(12, 150)),
        (after_s, Cut("r")),
        (0, Hold()),
    ]
    heard, told = await what_is_heard(orders, steps_from=steps_from)
    assert biggest_step(heard) <= OWN_STEP + 2 * STEEPER
    assert not any(heard[int((1.0127 + after_s + 0.03) * SAMPLE_RATE_HZ) :]), "it is cut"
    assert told[-1] == Finished("r", pytest.approx(1012.7 + 1000 * after_s, abs=12))  # type: ignore[arg-type]


@pytest.mark.parametrize("piece_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("after_s", [0.0011, 0.0031, 0.0143, 0.0225, 0.0352, 0.0451])
async def test_a_voice_that_comes_just_in_time_is_lowered_without_a_gap(
    autojump_clock: trio.testing.MockClock, piece_ms: int, after_s: float
) -> None:
    """The queue holds all there is of it: what little would come back might not be given again at once."""
    size = bytes_of_ms(piece_ms)
    starts = range(0, 2 * len(TONE), size)
    due: list[tuple[float, SpeakerCommand]] = [
        (number * piece_ms / 1000, Play("r", TONE.tobytes()[at : at + size]))
        for number, at in enumerate(starts)
    ]
    due += [(len(starts) * piece_ms / 1000, Finish("r")), (0.6 + after_s, Duck(12, 150))]
    due.sort(key=lambda each: each[0])
    before = [0.0, *(at for at, _ in due)]
    orders = [(at - earlier, order) for (at, order), earlier in zip(due, before, strict=False)]
    heard, told = await what_is_heard(orders, steps_from=-0.0001)
    assert biggest_step(heard) <= OWN_STEP + STEEPER
    assert told[-1] == Finished("r", 2000)


async def test_a_voice_that_is_all_but_out_of_sound_is_lowered_without_a_gap(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its last 10 ms are being heard, and the next piece comes before they are over."""
    size = bytes_of_ms(20)
    orders: list[tuple[float, SpeakerCommand]] = [(0, Play("r", TONE.tobytes()[: 2 * size]))]
    orders += [(0.0411, Duck(12, 150)), (0.004, Play("r", TONE.tobytes()[2 * size : 3 * size]))]
    orders += [(0.02, Play("r", TONE.tobytes()[at : at + size])) for at in range(3 * size, 30 * size, size)]
    orders.append((0, Finish("r")))
    heard, told = await what_is_heard(orders, steps_from=-0.0001)
    ends = max(at for at, sample in enumerate(heard) if sample)
    assert biggest_step(heard[: ends + 1]) <= OWN_STEP + STEEPER
    assert told[-1] == Finished("r", 600)
