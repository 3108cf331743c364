"""What is counted of a room, in which buckets, and under no name that anybody else chose."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.samples import Sample

from actors.metrics.actor import MetricsActor
from actors.metrics.exposition import FOLDER_VARIABLE, exposition, exposition_of_all, forget_process
from actors.metrics.labels import JUDGEMENTS, UNKNOWN, Declined
from actors.metrics.process import LAG_ASKED_EVERY_S, SAMPLED_EVERY_S, Metrics
from bench.scraping import read_samples, value
from channels.bounded import Channel, ChannelStatistics, Full
from channels.happenings import (
    AnswerMissing,
    BystanderFailed,
    CallBegan,
    Happening,
    HeardBy,
    Interrupted,
    LoopHeld,
    ModelFailed,
    ParticipantJoined,
    PersonSaid,
    PersonTyped,
    ReplyEnded,
    ReplyOutcome,
    RoomJoined,
    RoomLost,
    RoomRestored,
    ServiceComplained,
    SessionLost,
    SessionStarted,
    SoundJudged,
    SoundWasLate,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
    TurnTimed,
    VoiceHeld,
    VoiceResumed,
    VoiceUnheard,
)
from channels.taps import Taps

TOOLS = frozenset({"order_status"})
PLAYED = ReplyEnded("r1", ReplyOutcome.PLAYED, 2000, "Hello.", 9.0, underruns=2)


def samples_of(metrics: Metrics) -> list[Sample]:
    return read_samples(exposition(metrics.series))


async def count(*happened: Happening, metrics: Metrics | None = None) -> list[Sample]:
    """What is exported after these happenings, while the room still runs."""
    metrics = metrics or Metrics()
    taps = Taps()
    actor = MetricsActor(metrics, TOOLS, list, taps.tap("metrics", capacity=1000))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(actor.run)
        for each in happened:
            taps.publish(each)
        await trio.testing.wait_all_tasks_blocked()
        samples = samples_of(metrics)
        nursery.cancel_scope.cancel()
    return samples


async def test_the_times_of_a_turn_are_counted_where_they_happened() -> None:
    samples = await count(
        TurnTimed(1, None, None, None, PLAYED),
        TurnTimed(2, 900, None, 500, PLAYED),
        TurnTimed(3, 1700, 65, None, PLAYED, interrupted=True),
    )
    assert value(samples, "voice_agent_turn_latency_seconds_count") == 2
    assert value(samples, "voice_agent_turn_latency_seconds_sum") == pytest.approx(2.6)
    assert value(samples, "voice_agent_turn_latency_seconds_bucket", le="1.0") == 1
    assert value(samples, "voice_agent_endpointing_seconds_sum") == pytest.approx(0.5)
    assert value(samples, "voice_agent_barge_in_seconds_bucket", le="0.08") == 1
    assert value(samples, "voice_agent_barge_in_seconds_count") == 1


async def test_how_replies_holds_and_sounds_end_is_counted() -> None:
    samples = await count(
        PLAYED,
        ReplyEnded("r2", ReplyOutcome.CUT, 500, "", 12.0),
        Interrupted("r2", 12.0),
        Interrupted("r3", 13.0, by_person=False),
        VoiceHeld(11.0),
        VoiceResumed(11.7, 700),
        VoiceHeld(12.0),
        SoundJudged(11.0, keeps=False, why="no voice"),
        SoundWasLate(1200, 300, 50, 12.0),
        AnswerMissing(3, "what they said", "empty", 20.0),
    )
    assert value(samples, "voice_agent_replies_total", outcome="played") == 1
    assert value(samples, "voice_agent_replies_total", outcome="cut") == 1
    assert value(samples, "voice_agent_replies_total", outcome="abandoned") == 0
    assert value(samples, "voice_agent_underruns_total") == 2
    assert value(samples, "voice_agent_interruptions_total", by="person") == 1
    assert value(samples, "voice_agent_interruptions_total", by="other") == 1
    assert value(samples, "voice_agent_holds_total") == 2
    assert value(samples, "voice_agent_hold_given_back_seconds_sum") == pytest.approx(0.7)
    assert value(samples, "voice_agent_sounds_judged_total", judgement="no voice") == 1
    assert value(samples, "voice_agent_late_sound_seconds_sum") == pytest.approx(1.2)
    dropped = "voice_agent_late_sound_dropped_seconds_total"
    assert value(samples, dropped, sound="silence") == pytest.approx(0.3)
    assert value(samples, dropped, sound="speech") == pytest.approx(0.05)
    assert value(samples, "voice_agent_answers_missing_total", why="empty") == 1


async def test_connections_that_break_and_come_back_are_counted() -> None:
    samples = await count(
        RoomJoined("r", rejoined=False),
        RoomLost("wait"),
        RoomRestored(),
        CallBegan(),
        SessionStarted("s", resumed=False),
        SessionLost("gone", 1.0),
        SessionStarted("s", resumed=True),
        ServiceComplained("c", "m", "f"),
        ModelFailed("r", "c", "m", "f"),
        VoiceUnheard("muted", "f"),
        BystanderFailed("A", "w"),
    )
    for name, labels in (
        ("rooms_begun_total", {}),
        ("rooms_lost_total", {}),
        ("rooms_restored_total", {}),
        ("rooms", {}),
        ("rooms_connected", {}),
        ("calls_total", {}),
        ("sessions_started_total", {"how": "fresh"}),
        ("sessions_started_total", {"how": "resumed"}),
        ("sessions_lost_total", {}),
        ("service_complaints_total", {}),
        ("model_failures_total", {}),
        ("unheard_total", {"why": "muted"}),
        ("bystanders_failed_total", {}),
    ):
        assert value(samples, f"voice_agent_{name}", **labels) == 1, name


async def test_a_room_that_lost_its_connection_or_ended_is_not_connected() -> None:
    metrics = Metrics()
    samples = await count(RoomJoined("r", rejoined=False), RoomLost("wait"), metrics=metrics)
    assert value(samples, "voice_agent_rooms") == 1
    assert value(samples, "voice_agent_rooms_connected") == 0
    await count(RoomJoined("r", rejoined=False), metrics=metrics)
    assert metrics.rooms_connected == 0, "it has ended"
    assert value(samples_of(metrics), "voice_agent_rooms") == 0


async def test_tools_are_counted_by_the_owners_names_and_no_others() -> None:
    samples = await count(
        ToolCalled("1", "order_status"),
        ToolAnswered("1", "order_status", 250),
        ToolCalled("2", "order_status"),
        ToolAnswered("2", "order_status", 750, error="ValueError: my secret"),
        ToolDropped("2", "order_status", "the person went on"),
        *(ToolCalled(str(n), f"made_up_{n}") for n in range(50)),
    )
    assert value(samples, "voice_agent_tool_calls_total", tool="order_status") == 2
    assert value(samples, "voice_agent_tool_failures_total", tool="order_status") == 1
    assert value(samples, "voice_agent_tool_results_dropped_total", tool="order_status") == 1
    assert value(samples, "voice_agent_tool_seconds_sum", tool="order_status") == pytest.approx(1.0)
    assert value(samples, "voice_agent_tool_calls_total", tool=UNKNOWN) == 50
    assert {each.labels["tool"] for each in samples if "tool" in each.labels} == {"order_status", UNKNOWN}


_WORDS = st.text(min_size=1, max_size=40)


@given(_WORDS.map(lambda word: f"zq{word}"))
def test_no_word_of_anybody_else_becomes_a_label_or_a_new_series(word: str) -> None:
    happened = (
        RoomJoined(word, rejoined=False),
        ParticipantJoined(word),
        HeardBy(word, word),
        PersonSaid(word, final=True),
        PersonTyped(word, word),
        SessionStarted(word, resumed=False),
        ServiceComplained(word, word, word, word),
        ModelFailed(word, word, word, word),
        AnswerMissing(1, word, word, 1.0),
        SoundJudged(1.0, keeps=True, why=word),
        VoiceUnheard(word, word),
        ToolCalled(word, word),
        ToolAnswered(word, word, 5, error=word),
        ToolDropped(word, word, word),
        BystanderFailed(word, word),
        ReplyEnded(word, ReplyOutcome.PLAYED, 1, word, 1.0),
    )
    samples = trio.run(lambda: count(*happened))
    assert not [each for each in samples if "zq" in str((each.name, each.labels))]


def test_every_judgement_of_short_sounds_has_a_label() -> None:
    folder = Path(__file__).resolve().parents[2] / "actors" / "short_sounds"
    told = [
        keyword.value
        for path in folder.glob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "SoundJudged"
        for keyword in call.keywords
        if keyword.arg == "why"
    ]
    whys = {each.value for why in told for each in ast.walk(why) if isinstance(each, ast.Constant)}
    assert whys == set(JUDGEMENTS)


async def test_what_channels_carry_is_sampled_over_all_rooms(
    autojump_clock: trio.testing.MockClock,
) -> None:
    metrics = Metrics()
    rooms = [Channel[int]("frames", 4, "frames", Full.DROP_OLDEST, "of a test") for _ in range(2)]
    ends = [(channel.sender(), channel.receiver()) for channel in rooms]

    def of(channel: Channel[int]) -> Sequence[ChannelStatistics]:
        return [channel.statistics()]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(metrics.run)
        with metrics.room(lambda: of(rooms[0])), metrics.room(lambda: of(rooms[1])):
            for number in range(6):
                ends[0][0].send_nowait(number)
            ends[1][0].send_nowait(1)
            ends[1][1].account(kept_back=0, dropped=0, age_s=1.5)
            await trio.sleep(SAMPLED_EVERY_S + 1)
            samples = samples_of(metrics)
            assert value(samples, "voice_agent_channel_depth", channel="frames") == 4
            assert value(samples, "voice_agent_channel_deepest", channel="frames") == 4
            assert value(samples, "voice_agent_channel_capacity", channel="frames") == 4
            assert value(samples, "voice_agent_channel_age_seconds", channel="frames") == 1.5
            assert value(samples, "voice_agent_channel_passed_total", channel="frames") == 7
            assert value(samples, "voice_agent_channel_dropped_total", channel="frames") == 2
            ends[1][0].send_nowait(2)  # in the last moment of its room
        assert value(samples_of(metrics), "voice_agent_channel_passed_total", channel="frames") == 8
        await trio.sleep(SAMPLED_EVERY_S + 1)
        samples = samples_of(metrics)
        assert value(samples, "voice_agent_channel_depth", channel="frames") == 0, "its rooms have ended"
        assert value(samples, "voice_agent_channel_age_seconds", channel="frames") == 0
        assert value(samples, "voice_agent_channel_passed_total", channel="frames") == 8
        nursery.cancel_scope.cancel()


async def test_the_process_says_how_late_its_loop_is_what_it_uses_and_which_jobs_it_took(
    autojump_clock: trio.testing.MockClock,
) -> None:
    metrics = Metrics()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(metrics.run)
        await trio.sleep(10.5 * LAG_ASKED_EVERY_S)
        metrics.job_accepted()
        metrics.job_declined(Declined.FULL)
        metrics.cpu_share(0.7)
        metrics.load(0.6)
        metrics.loop_held(LoopHeld("tool my secret tool", 300, "fix"))
        metrics.loop_held(LoopHeld("some task", 150, "fix"))
        samples = samples_of(metrics)
        nursery.cancel_scope.cancel()
    assert value(samples, "voice_agent_loop_lag_seconds_count") == 10
    assert value(samples, "voice_agent_processes") == 1
    assert value(samples, "voice_agent_cpu_seconds_total") > 0
    assert sys.platform != "linux" or value(samples, "voice_agent_memory_bytes") > 1e6
    assert value(samples, "voice_agent_jobs_accepted_total") == 1
    assert value(samples, "voice_agent_jobs_declined_total", reason="full") == 1
    assert value(samples, "voice_agent_jobs_declined_total", reason="draining") == 0
    assert value(samples, "voice_agent_cpu_share") == 0.7
    assert value(samples, "voice_agent_load") == 0.6
    assert value(samples, "voice_agent_loop_held_seconds_count", whose="tool") == 1
    assert value(samples, "voice_agent_loop_held_seconds_sum", whose="ours") == pytest.approx(0.15)


_WORKER = """
import sys, trio
from actors.metrics.process import Metrics
from channels.happenings import LoopHeld

metrics = Metrics()
with metrics.room(list) as room:
    metrics.connected(room, True)
    metrics.job_accepted()
    metrics.cpu_share(float(sys.argv[1]))
    metrics.series.turn_latency.observe(0.9)
    print("counted", flush=True)
    sys.stdin.read()
"""


def test_several_processes_are_one_in_the_metrics_and_a_dead_one_leaves_only_its_counts(
    tmp_path: Path,
) -> None:
    environ = {**os.environ, FOLDER_VARIABLE: str(tmp_path)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER, share],
            env=environ,
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for share in ("0.25", "0.75")
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"counted\n"
        samples = read_samples(exposition_of_all(tmp_path))
        assert value(samples, "voice_agent_rooms_connected") == 2
        assert value(samples, "voice_agent_cpu_share") == 0.75
        assert value(samples, "voice_agent_turn_latency_seconds_bucket", le="1.0") == 2
        workers[1].kill()
        workers[1].wait()
        forget_process(workers[1].pid, tmp_path)
        samples = read_samples(exposition_of_all(tmp_path))
        assert value(samples, "voice_agent_rooms_connected") == 1
        assert value(samples, "voice_agent_cpu_share") == 0.25
        assert value(samples, "voice_agent_jobs_accepted_total") == 2
        assert value(samples, "voice_agent_turn_latency_seconds_count") == 2
        assert not [each for each in samples if "pid" in each.labels]
        assert not list(tmp_path.glob(f"*_{workers[1].pid}.db")), "no file for each process that ever was"
        workers[0].kill()
        workers[0].wait()
        forget_process(workers[0].pid, tmp_path)
        forget_process(workers[0].pid, tmp_path)  # twice is once
        samples = read_samples(exposition_of_all(tmp_path))
        assert value(samples, "voice_agent_rooms") == 0
        assert value(samples, "voice_agent_jobs_accepted_total") == 2
        assert value(samples, "voice_agent_turn_latency_seconds_bucket", le="1.0") == 2
        assert value(samples, "voice_agent_turn_latency_seconds_sum") == pytest.approx(1.8)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_a_room_without_metrics_does_not_load_what_counts_them() -> None:
    code = "import runner, sys; print([n for n in sys.modules if n.startswith(('prometheus', 'opentel'))])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr
