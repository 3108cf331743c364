"""When the person makes a sound: judged by the real detector, on sound that comes in at virtual real time."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.mic import FRAME_MS
from actors.onset import OnsetDetector
from channels.bounded import Channel, Full
from channels.happenings import Happening, SoundStarted, SoundStopped, Taps
from channels.messages import MicrophoneFrame
from channels.sound import bytes_of_ms
from channels.vad import WINDOW_MS, Vad
from tests.speech import noise, silence, spoken


async def happenings_of(pcm: bytes) -> list[Happening]:
    """What the detector tells of sound whose first sample was made at 0 s."""
    frames = Channel[MicrophoneFrame](
        "onset", capacity=20, unit="frames", full=Full.DROP_OLDEST, because="test"
    )
    sounds = Channel[SoundStarted | SoundStopped](
        "sounds", capacity=64, unit="sounds", full=Full.FAIL, because="test"
    )
    taps = Taps()
    tap = taps.tap("test")
    sender = frames.sender()

    async def load() -> Vad:
        return Vad()

    step = bytes_of_ms(FRAME_MS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(OnsetDetector(frames.receiver(), sounds.sender(), taps, load, WINDOW_MS).run)
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        for number in range(len(pcm) // step):
            await trio.sleep_until(start + (number + 1) * FRAME_MS / 1000)
            sender.send_nowait(MicrophoneFrame(pcm[number * step : (number + 1) * step]))
        await trio.testing.wait_all_tasks_blocked()
        sender.close()
    taps.close()
    told = [happening async for happening in tap]
    assert told == [sound async for sound in sounds.receiver()], "the controller is told the same as the taps"
    return told


async def test_the_times_are_those_of_the_sound_and_not_of_the_decision() -> None:
    speech = spoken("Tell me about the weather.")
    told = await happenings_of(silence(500) + speech + silence(500))
    began, stopped = told
    assert isinstance(began, SoundStarted)
    assert isinstance(stopped, SoundStopped)
    length_s = stopped.at - began.at
    assert length_s == pytest.approx(len(speech) / 48_000, abs=0.5)


async def test_noise_is_no_sound_of_a_person() -> None:
    assert await happenings_of(noise(1500)) == []
