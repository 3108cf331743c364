"""What one hears in the recording of a call."""

from __future__ import annotations

import signal
import subprocess
import sys
import wave
from array import array
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import MockClock

from channels.happenings import BystanderFailed
from channels.streams import Addition
from examples import recorder
from examples.recorder import Recorder
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms
from tests.examples.scripted_call import Call, call_at, scripted_call, tone

ROOT = Path(__file__).parents[2]

CLAP_MS = 5
CLAP_LEVEL = 20_000


def recording(folder: Path) -> Addition:
    return Addition(Recorder, {"folder": str(folder)})


def sides(folder: Path, part: str = "*.wav") -> tuple[array[int], array[int]]:
    """What is left and what is right."""
    (path,) = folder.glob(part)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, SAMPLE_RATE_HZ)
        both = array("h", file.readframes(file.getnframes()))
    return both[0::2], both[1::2]


def claps_at(side: array[int]) -> list[float]:
    """Where there are claps (ms)."""
    loud = [place for place, sample in enumerate(side) if sample == CLAP_LEVEL]
    return [
        place * 1000 / SAMPLE_RATE_HZ
        for before, place in zip([-10_000, *loud], loud, strict=False)
        if place - before > 240
    ]


def ms_of(side: array[int], level: int) -> float:
    """How much sound of a level there is."""
    return side.count(level) * 1000 / SAMPLE_RATE_HZ


async def clap_on_both_sides(call: Call, reply_id: str) -> float:
    """Both clap at one moment: the agent's is in its reply, 500 ms from its beginning."""
    await call.agent_says(reply_id, "clap", pcm=tone(500, 100) + tone(CLAP_MS, CLAP_LEVEL) + tone(500, 100))
    await trio.sleep(0.2)
    first = next(at for at, pcm in call.ears.heard if at > trio.current_time() - 0.25)
    call.microphone.sounds(tone(CLAP_MS, CLAP_LEVEL), first + 0.5)
    await trio.sleep(1.5)
    return first + 0.5


async def test_claps_at_one_moment_are_at_one_place_for_the_whole_of_a_call(
    call_clock: MockClock, tmp_path: Path
) -> None:
    async with scripted_call(recording(tmp_path)) as call:
        clapped = []
        for number in range(4):
            clapped.append(await clap_on_both_sides(call, f"r{number}"))
            await trio.sleep(20)
    person, agent = (claps_at(side) for side in sides(tmp_path))
    assert len(person) == len(agent) == 4
    for left, right, at in zip(person, agent, clapped, strict=True):
        assert abs(left - right) < 3
        assert left == pytest.approx(at * 1000, abs=3)


async def test_a_jittery_microphone_is_not_torn_apart_and_stays_in_place(
    call_clock: MockClock, tmp_path: Path
) -> None:
    random = Random(7)
    async with scripted_call(recording(tmp_path)) as call:
        call.microphone.jitter_s = lambda: random.choice([0.001, 0.01, 0.04])
        await trio.sleep(0.5)
        call.microphone.sounds(tone(3000, 500), trio.current_time())
        await trio.sleep(4)
        clapped = await clap_on_both_sides(call, "r1")
        await trio.sleep(2)
    person, agent = sides(tmp_path)
    speech = person[person.index(500) : len(person) - person[::-1].index(500)]
    assert len(speech) == 3 * SAMPLE_RATE_HZ
    assert set(speech) == {500}, "no hole, and no frame upon another"
    assert claps_at(person)[0] == pytest.approx(clapped * 1000, abs=4)
    assert claps_at(person)[0] == pytest.approx(claps_at(agent)[0], abs=4)


async def test_a_muted_microphone_is_silence_and_what_follows_is_in_its_place(
    call_clock: MockClock, tmp_path: Path
) -> None:
    async with scripted_call(recording(tmp_path)) as call:
        call.microphone.sounds(tone(20_000, 500), trio.current_time())
        await trio.sleep(2)
        call.microphone.muted = True
        await trio.sleep(3)
        call.microphone.muted = False
        await trio.sleep(15.2)
        clapped = await clap_on_both_sides(call, "r1")
        await trio.sleep(2)
    person, agent = sides(tmp_path)
    assert ms_of(person, 500) == pytest.approx(17_000, abs=110)
    assert not any(person[int(2.1 * SAMPLE_RATE_HZ) : int(4.9 * SAMPLE_RATE_HZ)])
    assert claps_at(person)[0] == pytest.approx(clapped * 1000, abs=3)
    assert claps_at(person)[0] == pytest.approx(claps_at(agent)[0], abs=3)


async def test_what_was_cut_is_not_in_it_and_what_the_room_heard_is_to_the_sample(
    call_clock: MockClock, tmp_path: Path
) -> None:
    async with scripted_call(recording(tmp_path)) as call:
        await call.agent_says("r1", "a long story", pcm=tone(10_000, 700))
        await trio.sleep(1.234)
        await call.service_interrupts("r1")
        await trio.sleep(1)
        await call.agent_says("r2", "another", pcm=tone(400, 900))
        await trio.sleep(2)
        heard = list(call.ears.heard)
    _, agent = sides(tmp_path)
    assert ms_of(agent, 700) == pytest.approx(1234, abs=1)
    assert ms_of(agent, 900) == 400
    assert agent.tobytes() == call_at(heard, 0, len(agent) / SAMPLE_RATE_HZ)


async def test_the_file_plays_at_any_moment_and_memory_is_bounded(
    call_clock: MockClock, tmp_path: Path
) -> None:
    async with scripted_call(recording(tmp_path)) as call:
        for second in range(3, 30, 3):
            await trio.sleep(3)
            person, _ = sides(tmp_path)
            assert second - 3.2 <= len(person) / SAMPLE_RATE_HZ <= second
        ends = trio.current_time()
        await call.leave()
    person, _ = sides(tmp_path)
    assert len(person) / SAMPLE_RATE_HZ == pytest.approx(ends, abs=0.1), "to the end of the call"


async def test_a_new_part_begins_before_a_file_is_too_large(
    call_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "PART", 5 * SAMPLE_RATE_HZ)
    async with scripted_call(recording(tmp_path)) as call:
        call.microphone.sounds(tone(12_000, 500), 0.0)
        await trio.sleep(14)
    parts = [sides(tmp_path, pattern)[0] for pattern in ("*Z.wav", "*Z-2.wav", "*Z-3.wav")]
    assert sum(ms_of(part, 500) for part in parts) == pytest.approx(12_000, abs=60)


async def test_a_disk_that_hangs_ends_the_recording_and_nothing_else(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(work: Callable[..., None], *arguments: bytes, **_: object) -> None:
        if arguments and trio.current_time() > 10:
            await trio.sleep_forever()
        work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", hang)
    async with scripted_call(recording(tmp_path)) as call:
        await call.until(BystanderFailed, within_s=100)
        (failed,) = call.happened(BystanderFailed)
        assert failed.why == "TimeoutError: the disk has taken nothing for 60 s"
        assert not call.over.is_set()


KILLED = """
import os, signal, sys
from datetime import datetime, timezone
from pathlib import Path
from examples.recorder import Tape
tape = Tape(Path(sys.argv[1]), datetime.now(timezone.utc))
tape.open()
for second in range(3):
    tape.write(b"\\1\\0\\2\\0" * 24_000)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_recorded_survives_kill_9(tmp_path: Path) -> None:
    program = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False, timeout=60)
    assert program.returncode == -signal.SIGKILL
    person, agent = sides(tmp_path)
    assert person.tobytes() == b"\1\0" * 3 * SAMPLE_RATE_HZ
    assert agent.tobytes() == b"\2\0" * 3 * SAMPLE_RATE_HZ
    assert len(person.tobytes()) == bytes_of_ms(3000)
