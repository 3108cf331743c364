"""SpeakerPump in virtual time, before a loudspeaker with the traps of the real one."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hypothesis.strategies as st
import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given

from actors.onset.played import PlayedSound
from actors.speaker import SpeakerPump
from actors.speaker.playout import FADE_MS
from channels.bounded import Channel, Full, Receiver, Sender
from channels.messages import (
    Cut,
    Duck,
    Finish,
    Finished,
    Hold,
    Play,
    Playing,
    Resume,
    Sounding,
    SpeakerCommand,
    SpeakerReport,
)
from channels.settings import SpeakerSettings
from sound.pcm import bytes_of_ms
from tests.actors.room_in_time import RoomQueue

TONE = 1009
SECOND = 2003


def sound(value: int, ms: float) -> bytes:
    return value.to_bytes(2, "little") * (bytes_of_ms(ms) // 2)


@define
class VirtualLoudspeaker:
    """A room whose captures land late, also after a clear, as the real SDK's do."""

    landing_s: float = 0.0
    steps_from: float | None = None
    queue: RoomQueue = field(factory=lambda: RoomQueue(trio.current_time))
    cleared_at: list[float] = field(factory=list)

    async def capture(self, pcm: bytes) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(self.landing_s)
            self.queue.land(pcm)

    def clear(self) -> None:
        self.cleared_at.append(trio.current_time())
        self.queue.clear()

    def heard_ms(self, value: int) -> float:
        return self.queue.hear()[value] / 24


@define
class Stage:
    speaker: SpeakerPump
    loudspeaker: VirtualLoudspeaker
    orders: Sender[SpeakerCommand]
    reports: Receiver[SpeakerReport]
    sounding: Receiver[Sounding]

    def told(self) -> list[SpeakerReport]:
        """The reports so far."""
        reports: list[SpeakerReport] = []
        while True:
            try:
                reports.append(self.reports.receive_nowait())
            except trio.WouldBlock:
                return reports


@asynccontextmanager
async def on_stage(*, queue_ms: int = 100, landing_s: float = 0.0) -> AsyncIterator[Stage]:
    orders = Channel[SpeakerCommand]("orders", capacity=8192, unit="orders", full=Full.FAIL, because="test")
    reports = Channel[SpeakerReport]("reports", capacity=8192, unit="reports", full=Full.FAIL, because="test")
    loudspeaker = VirtualLoudspeaker(landing_s)
    sounding = Channel[Sounding](
        "sounding", capacity=1024, unit="frames", full=Full.DROP_OLDEST, because="test"
    )
    speaker = SpeakerPump(
        SpeakerSettings(queue_ms), loudspeaker, orders.receiver(), reports.sender(), sounding.sender()
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(speaker.run)
        yield Stage(speaker, loudspeaker, orders.sender(), reports.receiver(), sounding.receiver())
        nursery.cancel_scope.cancel()


async def test_a_burst_is_played_in_real_time_without_a_gap(autojump_clock: trio.testing.MockClock) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 10_000)))
        stage.orders.send_nowait(Finish("r"))
        await trio.sleep(5)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(5000, abs=1)
        assert stage.loudspeaker.queue.waiting_ms() <= 100
        await trio.sleep(5.1)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(10_000)
        assert stage.told()[-1] == Finished("r", 10_000, underruns=0)


async def test_a_cut_is_silence_at_once_however_much_was_waiting(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 10_000)))
        await trio.sleep(2)
        stage.orders.send_nowait(Cut("r"))
        await trio.testing.wait_all_tasks_blocked()
        heard = stage.loudspeaker.heard_ms(TONE)
        assert heard == pytest.approx(2000, abs=1)
        assert stage.told()[-1] == Finished("r", pytest.approx(heard, abs=1))  # type: ignore[arg-type]
        await trio.sleep(20)
        assert stage.loudspeaker.heard_ms(TONE) == heard


async def test_what_is_said_to_be_sounding_is_what_the_room_hears_sample_by_sample(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        start = trio.current_time()
        stage.orders.send_nowait(Play("r", sound(TONE, 10_000)))
        await trio.sleep(0.507)
        stage.orders.send_nowait(Hold())
        await trio.sleep(0.8)
        stage.orders.send_nowait(Resume())
        await trio.sleep(0.333)
        stage.orders.send_nowait(Cut("r"))
        await trio.sleep(1)
        played = PlayedSound()
        with contextlib.suppress(trio.WouldBlock):
            while True:
                played.take(stage.sounding.receive_nowait())
        length = round((trio.current_time() - start) * 24_000)
        samples = memoryview(played.before(trio.current_time(), length)).cast("h")
        assert Counter(samples)[TONE] == pytest.approx(stage.loudspeaker.queue.hear()[TONE], abs=2)
        silent = samples[round(0.52 * 24_000) : round(1.30 * 24_000)]
        assert not any(silent), "a held voice makes no echo"
        assert samples[round(1.5 * 24_000)] == TONE
        assert not any(samples[round(1.65 * 24_000) :])


@pytest.mark.parametrize("at", [0.5, 0.501, 0.5195, 0.52, 0.525])
async def test_a_frame_that_lands_after_the_cut_is_not_heard(
    autojump_clock: trio.testing.MockClock, at: float
) -> None:
    async with on_stage(landing_s=0.004) as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 3_000)))
        await trio.sleep(at)
        stage.orders.send_nowait(Cut("r"))
        await trio.testing.wait_all_tasks_blocked()
        heard = stage.loudspeaker.heard_ms(TONE)
        await trio.sleep(5)
        # A frame that had not landed may sound until it has and is cleared again: not an ms longer.
        assert stage.loudspeaker.heard_ms(TONE) <= heard + 4


@pytest.mark.parametrize("order", [Cut("r"), Hold()])
async def test_a_room_that_takes_long_for_a_frame_does_not_play_it_after_the_cut_or_the_hold(
    autojump_clock: trio.testing.MockClock, order: SpeakerCommand
) -> None:
    async with on_stage(landing_s=0.25) as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 3_000)))
        await trio.sleep(0.6)
        stage.orders.send_nowait(order)
        await trio.testing.wait_all_tasks_blocked()
        heard = stage.loudspeaker.heard_ms(TONE)
        assert heard > 0
        await trio.sleep(5)
        assert stage.loudspeaker.heard_ms(TONE) == heard


async def test_nothing_counts_as_played_before_the_room_has_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage(landing_s=0.25) as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 3_000)))
        for _ in range(200):
            await trio.sleep(0.01)
            for report in stage.told():
                assert isinstance(report, Playing)
                assert report.played_ms <= stage.loudspeaker.heard_ms(TONE) + 0.1


async def test_the_next_reply_follows_a_cut_one_at_once_and_whole(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("a", sound(TONE, 3_000)))
        await trio.sleep(1)
        for order in (Cut("a"), Play("b", sound(SECOND, 1_000)), Finish("b")):
            stage.orders.send_nowait(order)
        await trio.sleep(1.05)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(1000, abs=1)
        assert stage.loudspeaker.heard_ms(SECOND) == pytest.approx(1000)


async def test_cutting_the_second_reply_takes_nothing_from_the_first(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        for order in (Play("a", sound(TONE, 500)), Finish("a"), Play("b", sound(SECOND, 3_000))):
            stage.orders.send_nowait(order)
        await trio.sleep(0.45)  # the end of the first and the beginning of the second lie in the room's queue
        stage.orders.send_nowait(Cut("b"))
        await trio.sleep(2)
        # To the sample: the one that is just leaving the queue may be counted on either side.
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(500, abs=0.05)
        assert stage.loudspeaker.heard_ms(SECOND) == 0


async def test_sound_that_comes_in_real_time_is_played_without_a_stutter(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        for number in range(300):
            await trio.sleep_until(number / 100 + (0.02 if number % 7 == 0 else 0))  # jitter of 20 ms
            stage.orders.send_nowait(Play("r", sound(TONE, 10)))
        stage.orders.send_nowait(Finish("r"))
        await trio.sleep(0.2)
        assert stage.told()[-1] == Finished("r", 3000, underruns=0)


async def test_a_stall_of_the_service_is_counted_and_nothing_is_lost(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 300)))
        await trio.sleep(1)
        stage.orders.send_nowait(Play("r", sound(TONE, 300)))
        stage.orders.send_nowait(Finish("r"))
        await trio.sleep(1)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(600)
        assert stage.told()[-1] == Finished("r", 600, underruns=1)


async def test_a_reply_without_sound_is_a_legal_reply(autojump_clock: trio.testing.MockClock) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Finish("silent"))
        stage.orders.send_nowait(Play("r", sound(TONE, 100)))
        stage.orders.send_nowait(Finish("r"))
        await trio.sleep(1)
        ends = [report for report in stage.told() if isinstance(report, Finished)]
        assert ends == [Finished("silent", 0), Finished("r", 100)]


async def test_a_reply_is_audible_when_its_first_sound_was_played_not_its_first_silence(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(0, 200) + sound(TONE, 300)))
        await trio.sleep(1)
        first = next(r for r in stage.told() if isinstance(r, Playing) and r.audible)
        assert 200 < first.played_ms <= 220


async def test_a_cancelled_speaker_falls_silent_at_once(autojump_clock: trio.testing.MockClock) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 3_000)))
        await trio.sleep(1)
    assert stage.loudspeaker.cleared_at[-1] == trio.current_time()


async def test_a_frame_that_lands_after_the_cancellation_is_not_heard(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage(landing_s=0.01) as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 3_000)))
        await trio.sleep(1.005)
        heard = stage.loudspeaker.heard_ms(TONE)
    await trio.sleep(1)
    assert stage.loudspeaker.heard_ms(TONE) <= heard + 10


async def test_a_held_voice_is_silent_at_once_and_loses_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 3_000)))
        stage.orders.send_nowait(Finish("r"))
        await trio.sleep(1)
        stage.orders.send_nowait(Hold())
        await trio.sleep(2)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(1000, abs=1)
        stage.orders.send_nowait(Resume())
        await trio.sleep(2.1)
        # 10 ms of it were heard while they fell, and again while they rose.
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(3000 - FADE_MS, abs=0.1)
        assert stage.told()[-1] == Finished("r", 3000)


async def test_a_voice_that_was_held_in_a_word_begins_the_word_again(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 3_000)))
        stage.orders.send_nowait(Finish("r"))
        await trio.sleep(1)
        stage.orders.send_nowait(Hold())
        await trio.sleep(1)
        played = [r.played_ms for r in stage.told() if isinstance(r, Playing)]
        stage.orders.send_nowait(Resume("r", 700))
        await trio.sleep(2.5)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(3300 - FADE_MS, abs=1)
        played += [r.played_ms for r in stage.told() if isinstance(r, Playing)]
        assert played == sorted(played), "what was played never goes back"


@pytest.mark.parametrize("settles", [False, True])
async def test_a_voice_that_is_lowered_cut_and_held_in_one_moment_is_silent_and_the_next_one_is_heard(
    autojump_clock: trio.testing.MockClock, settles: bool
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("r", sound(TONE, 1000)))
        await trio.sleep(0.512)
        for order in (Duck(12, 150), Cut("r"), Hold()):
            stage.orders.send_nowait(order)
            if settles:
                await trio.sleep(0.001)
        await trio.sleep(1)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(512, abs=1)
        stage.orders.send_nowait(Resume())
        stage.orders.send_nowait(Play("s", sound(SECOND, 500)))
        stage.orders.send_nowait(Finish("s"))
        await trio.sleep(1)
        assert stage.loudspeaker.heard_ms(SECOND) == pytest.approx(500, abs=1)
        ended = [report for report in stage.told() if isinstance(report, Finished)]
        assert [report.reply_id for report in ended] == ["r", "s"]


async def test_a_voice_that_is_lowered_in_its_last_moment_and_held_has_played_out(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.loudspeaker.steps_from = 0.0
        stage.orders.send_nowait(Play("r", sound(TONE, 500)))
        stage.orders.send_nowait(Finish("r"))
        await trio.sleep(0.494)
        stage.orders.send_nowait(Duck(12, 150))
        await trio.sleep(0.0005)
        stage.orders.send_nowait(Hold())
        await trio.sleep(1)
        assert stage.told()[-1] == Finished("r", 500)


async def test_what_comes_while_the_voice_is_held_waits_and_a_cut_still_cuts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with on_stage() as stage:
        stage.orders.send_nowait(Play("a", sound(TONE, 3_000)))
        await trio.sleep(1)
        for order in (Hold(), Play("b", sound(SECOND, 500)), Finish("b")):
            stage.orders.send_nowait(order)
        await trio.sleep(1)
        assert stage.loudspeaker.heard_ms(SECOND) == 0
        stage.orders.send_nowait(Cut("a"))
        stage.orders.send_nowait(Resume())
        await trio.sleep(1)
        assert stage.loudspeaker.heard_ms(TONE) == pytest.approx(1000, abs=1)
        assert stage.loudspeaker.heard_ms(SECOND) == 500


@given(cuts=st.lists(st.integers(1, 12_000), max_size=20, unique=True))
def test_sound_may_come_in_chunks_of_any_length_half_a_sample_included(cuts: list[int]) -> None:
    async def run() -> float:
        async with on_stage() as stage:
            whole = sound(TONE, 250)
            edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
            for begin, end in itertools.pairwise(edges):
                stage.orders.send_nowait(Play("r", whole[begin:end]))
            stage.orders.send_nowait(Finish("r"))
            await trio.sleep(1)
            return stage.loudspeaker.heard_ms(TONE)

    assert trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0)) == pytest.approx(250)
