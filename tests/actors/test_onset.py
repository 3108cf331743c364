"""When the person makes a sound: judged by the real detector, on sound that comes in at virtual real time.

The echo is made as a room makes it: what the agent plays, late, faint and reverberant, in the microphone.
"""

from __future__ import annotations

import numpy as np
import pytest
import trio
import trio.testing

from actors.onset import OnsetDetector
from actors.room.livekit_edge import WebRtcEchoCanceller
from bench.speech import noise, silence, spoken
from channels.bounded import Channel, Full, Watched
from channels.happenings import Happening, SoundRose, SoundStarted, SoundStopped
from channels.messages import MicrophoneFrame, Sounding
from channels.ports import EchoCanceller
from channels.settings import BargeInSettings
from channels.taps import Taps
from sound.arrival import ArrivalClock
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms
from sound.vad import WINDOW_MS, Vad

STEP_MS = 10
"""In which a person's sound comes while the agent speaks."""
SPEAKER_FRAME_MS = 20
QUEUE_S = 0.1
PERSON = "alba"
WAY_MS = 250
"""From the room's queue to the microphone's frame: both ways through the network, and the air."""

STORY = (
    "Once upon a time there was a little robot who lived in a house at the edge of the sea. Every morning it "
    "went down to the water and counted the boats, and every evening it told the gulls how many there were."
)


async def happenings_of(
    heard: bytes,
    *,
    played: bytes = b"",
    canceller: EchoCanceller | None = None,
    settings: BargeInSettings | None = None,
    loads_for_s: float = 0.0,
) -> list[Happening]:
    """What the detector tells of sound whose first sample was made at 0 s."""
    frames = Channel[MicrophoneFrame](
        "onset", capacity=100, unit="frames", full=Full.DROP_OLDEST, because="test"
    )
    sounding = Channel[Sounding](
        "sounding", capacity=128, unit="frames", full=Full.DROP_OLDEST, because="test"
    )
    sounds = Channel[SoundRose | SoundStarted | SoundStopped](
        "sounds", capacity=64, unit="sounds", full=Full.FAIL, because="test"
    )
    taps = Taps()
    tap = taps.tap("test")
    sender, speaker = frames.sender(), sounding.sender()

    async def load() -> Vad:
        await trio.sleep(loads_for_s)
        return Vad()

    speaking = trio.CancelScope()

    async def play(start: float) -> None:
        size = bytes_of_ms(SPEAKER_FRAME_MS)
        with speaking:
            for number in range(len(played) // size):
                at = start + number * SPEAKER_FRAME_MS / 1000
                await trio.sleep_until(at - QUEUE_S)
                speaker.send_nowait(Sounding(at, played[number * size : (number + 1) * size]))

    detector = OnsetDetector(
        frames.receiver(),
        sounding.receiver(),
        sounds.sender(),
        taps,
        Watched("inputs"),
        load,
        WINDOW_MS,
        settings or BargeInSettings(),
        canceller,
    )
    step = bytes_of_ms(STEP_MS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(detector.run)
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        nursery.start_soon(play, start)
        for number in range(len(heard) // step):
            await trio.sleep_until(start + (number + 1) * STEP_MS / 1000)
            pcm = heard[number * step : (number + 1) * step]
            sender.send_nowait(MicrophoneFrame(pcm, at=trio.current_time()))
        await trio.testing.wait_all_tasks_blocked()
        speaking.cancel()
        sender.close()
    taps.close()
    told = [happening async for happening in tap]
    assert told == [sound async for sound in sounds.receiver()], "the controller is told the same as the taps"
    return [_since(happening, start) for happening in told]


def _since(happening: Happening, start: float) -> Happening:
    assert isinstance(happening, SoundRose | SoundStarted | SoundStopped)
    return type(happening)(happening.at - start)


def echo_of(played: bytes, *, level_db: float) -> bytes:
    """What a microphone hears of it in a room of 100 ms reverberation."""
    random = np.random.default_rng(1)
    length = SAMPLE_RATE_HZ // 10
    room = random.normal(size=length) * np.exp(-6.9 * np.arange(length) / length)
    room[0] = 4.0
    room *= 10 ** (level_db / 20) / np.sqrt(np.sum(room**2))
    sound = np.convolve(np.frombuffer(played, "<i2").astype(float), room)
    return silence(WAY_MS) + sound.clip(-32768, 32767).astype("<i2").tobytes()


def together(*sounds: bytes) -> bytes:
    """All at once, as long as the longest."""
    mixed = np.zeros(max(map(len, sounds)) // 2)
    for sound in sounds:
        mixed[: len(sound) // 2] += np.frombuffer(sound, "<i2")
    return mixed.clip(-32768, 32767).astype("<i2").tobytes()


def sounds_in(told: list[Happening]) -> list[SoundStarted | SoundStopped]:
    return [happening for happening in told if isinstance(happening, SoundStarted | SoundStopped)]


def quiet(ms: float) -> bytes:
    """A room in which nobody says anything, at -50 dB."""
    return noise(ms, 0.003)


def rises(told: list[Happening]) -> list[float]:
    return [happening.at for happening in told if isinstance(happening, SoundRose)]


def starts(told: list[Happening]) -> list[float]:
    return [happening.at for happening in told if isinstance(happening, SoundStarted)]


async def test_the_times_are_those_of_the_sound_and_not_of_the_decision(
    autojump_clock: trio.testing.MockClock,
) -> None:
    speech = spoken("Tell me about the weather.")
    told = await happenings_of(silence(500) + speech + silence(500))
    began, stopped = sounds_in(told)
    assert isinstance(began, SoundStarted)
    assert isinstance(stopped, SoundStopped)
    length_s = stopped.at - began.at
    assert length_s == pytest.approx(len(speech) / 48_000, abs=0.5)
    assert began.at == pytest.approx(0.5, abs=0.3)


async def test_what_is_judged_late_was_heard_when_it_was_spoken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    heard = silence(200) + spoken("Tell me about the weather.") + silence(500)
    late, at_once = await happenings_of(heard, loads_for_s=0.9), await happenings_of(heard)
    assert [type(each) for each in sounds_in(late)] == [SoundStarted, SoundStopped]
    assert [each.at for each in sounds_in(late)] == pytest.approx([each.at for each in sounds_in(at_once)])


async def test_noise_is_no_sound_of_a_person(autojump_clock: trio.testing.MockClock) -> None:
    assert await happenings_of(noise(1500)) == []


async def test_a_breath_before_a_word_is_noticed_before_the_voice(
    autojump_clock: trio.testing.MockClock,
) -> None:
    breath = noise(150, 0.015)
    told = await happenings_of(quiet(600) + breath + spoken("Stop.") + quiet(500))
    rose, began, *_ = told
    assert isinstance(rose, SoundRose)
    assert isinstance(began, SoundStarted)
    assert rose.at == pytest.approx(0.6 + 0.02, abs=0.011)


@pytest.mark.parametrize("muted_ms", [300, 1500, 10_000])
async def test_after_a_mute_the_room_is_no_news_and_a_breath_is(
    autojump_clock: trio.testing.MockClock, muted_ms: int
) -> None:
    before = quiet(2000) + silence(muted_ms) + quiet(500)
    told = await happenings_of(before + noise(150, 0.03) + quiet(300))
    assert rises(told) == pytest.approx([len(before) / 48_000 + 0.02], abs=0.011)


@pytest.mark.parametrize(("pause_s", "news"), [(4, 1), (7, 2)])
async def test_a_bang_makes_a_soft_sound_no_news_for_six_seconds(
    autojump_clock: trio.testing.MockClock, pause_s: int, news: int
) -> None:
    bang = noise(60, 0.4)
    told = await happenings_of(quiet(1000) + bang + quiet(1000 * pause_s) + noise(100, 0.03) + quiet(300))
    assert len(rises(told)) == news


async def test_a_key_that_is_struck_after_a_louder_one_was_forgotten_is_news_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    key = noise(40, 0.03) + quiet(960)
    told = await happenings_of(quiet(1000) + noise(60, 0.4) + quiet(940) + key * 15)
    assert len(rises(told)) == 1, "those that were struck meanwhile are known"


async def test_keys_that_are_struck_again_and_again_are_news_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    key = noise(40, 0.1) + quiet(460)
    told = await happenings_of(quiet(600) + key * 10)
    assert [type(each) for each in told] == [SoundRose]


async def test_a_voice_after_a_slammed_door_is_heard_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    door = noise(60, 0.3)
    told = await happenings_of(silence(500) + door + silence(500) + spoken("Stop.") + silence(500))
    assert len(starts(told)) == 1


async def test_the_agents_own_echo_is_no_sound_of_a_person(autojump_clock: trio.testing.MockClock) -> None:
    story = spoken(STORY)
    echo = together(echo_of(story, level_db=-20), noise(len(story) / 48 + 500, level=0.0002))
    assert sounds_in(await happenings_of(echo, played=story, canceller=WebRtcEchoCanceller())) == []
    assert starts(await happenings_of(echo)), "or this echo proves nothing"


async def test_a_person_is_noticed_over_the_echo(autojump_clock: trio.testing.MockClock) -> None:
    story = spoken(STORY)
    person = silence(4000) + spoken("Stop, please. What about the weather?", PERSON)
    heard = together(echo_of(story, level_db=-20), person)
    first, *_ = starts(await happenings_of(heard, played=story, canceller=WebRtcEchoCanceller()))
    assert first == pytest.approx(4.0, abs=0.7)


async def test_with_headphones_a_person_is_noticed_as_soon_as_without_a_canceller(
    autojump_clock: trio.testing.MockClock,
) -> None:
    story = spoken(STORY)
    heard = together(silence(8000), silence(4000) + spoken("Stop, please. What about the weather?", PERSON))
    alone = starts(await happenings_of(heard))
    assert starts(await happenings_of(heard, played=story, canceller=WebRtcEchoCanceller())) == alone


async def test_an_echo_that_begins_in_mid_call_is_found(autojump_clock: trio.testing.MockClock) -> None:
    # The headphones are pulled out while the agent speaks: it may hold once, and then no more.
    story = spoken(STORY) + silence(1000) + spoken(STORY)
    half = bytes_of_ms(len(story) / 48 / 2)
    heard = silence(len(story) / 96) + echo_of(story, level_db=-20)[half:]
    told = starts(await happenings_of(heard, played=story, canceller=WebRtcEchoCanceller()))
    assert [at for at in told if at > len(story) / 96_000 + 1.5] == []


@pytest.mark.parametrize(("min_speech_ms", "noticed"), [(32, 1), (64, 1), (1000, 0)])
async def test_a_sound_that_is_too_short_is_none(
    autojump_clock: trio.testing.MockClock, min_speech_ms: int, noticed: int
) -> None:
    heard = silence(500) + spoken("Stop.") + silence(1000)
    told = await happenings_of(heard, settings=BargeInSettings(min_speech_ms=min_speech_ms))
    assert len(starts(told)) == noticed


async def test_a_frame_that_comes_late_and_those_behind_it_in_a_bunch_move_no_clock() -> None:
    clock = ArrivalClock()
    arrivals = [0.05, 0.10, 0.15, 0.40, 0.401, 0.402, 0.403, 0.404, 0.45]
    times = [clock.take(1200, at) for at in arrivals]
    assert times == pytest.approx([0.05 * (number + 1) for number in range(len(arrivals))])
