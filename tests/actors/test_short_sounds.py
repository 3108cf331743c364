"""Short sounds over the agent's voice: judged by the real detector, judge and recogniser, and the machine.

Sound comes in at virtual real time, in which the recogniser's thread takes no time.
"""

from __future__ import annotations

import math
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import trio
from attrs import field, frozen
from trio.testing import MockClock, wait_all_tasks_blocked

import runner
from actors.barge_in import BargeInController
from actors.onset import OnsetDetector
from actors.onset.sounds import Onsets
from actors.short_sounds import ShortSoundJudge, Transcribe
from actors.short_sounds.actor import LATE_S
from actors.short_sounds.following import Followed, ShortSound
from actors.short_sounds.verdict import judged
from bench.noises import noise_of
from bench.speech import at_16_khz, silence, spoken
from channels.bounded import Sender, Watched
from channels.happenings import BystanderFailed, Happening, SessionConfigured, SoundJudged, SoundStarted
from channels.messages import (
    ApiEvent,
    Cut,
    HeardWindow,
    Hold,
    MicrophoneFrame,
    Playing,
    Resume,
    SpeakerCommand,
)
from channels.seen import Seen
from channels.settings import BargeInSettings
from channels.settings.short_words import words_of
from channels.settings.short_words_file import read_short_words
from channels.taps import Taps
from channels.wire.events import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
)
from sound.pcm import bytes_of_ms
from sound.recogniser import LANGUAGES, Recogniser, decode
from sound.vad import WINDOW_MS, Vad

ROOT = Path(__file__).parents[2]
RECOGNISER = Recogniser()
WORDS = read_short_words(())
STEP_MS = 10
"""In which a person's sound comes while the agent speaks."""
LEAD_S = 0.5
"""Silence before the person's sound."""


@frozen
class Came:
    """What came of a sound, with times from its beginning (ms)."""

    orders: list[tuple[float, SpeakerCommand]] = field(factory=list)
    judged: list[SoundJudged] = field(factory=list)
    failed: list[BystanderFailed] = field(factory=list)

    @property
    def voice_is_back(self) -> list[float]:
        """Whenever the agent's voice went on."""
        return [at for at, order in self.orders if isinstance(order, Resume)]

    @property
    def whys(self) -> list[str]:
        """Why it was given back or kept."""
        return [one.why for one in self.judged]


async def over_the_voice(
    clock: MockClock,
    sound: bytes,
    *,
    service: Sequence[tuple[float, ApiEvent]] = (),
    recogniser: Transcribe | None = RECOGNISER.transcribe,
    hangs: bool = False,
    lasts_s: float = 4.0,
) -> Came:
    """What comes of a sound that a person makes while the agent speaks.

    Args:
        clock: moved on here.
        sound: of the person.
        service: what it says, and when (s from the beginning of the sound).
        recogniser: None: there is none, and nobody judges.
        hangs: whether the recogniser does; else it takes no time of this clock.
        lasts_s: how long to go on from the beginning of the sound.
    """
    c, taps, came = runner.Channels(), Taps(), Came()
    thread = trio.CapacityLimiter(1)
    inputs, events = Watched[Seen]("inputs"), c.service.sender()

    async def load_vad() -> Vad:
        return Vad()

    async def load_recogniser() -> Transcribe:
        assert recogniser is not None
        return recogniser

    controller = BargeInController(
        BargeInSettings(),
        c.service.receiver(),
        c.sounds.receiver(),
        c.room.receiver(),
        c.fills.receiver(),
        c.reports.receiver(),
        taps.tap("controller"),
        c.orders.sender(),
        taps,
        inputs,
    )
    detector = OnsetDetector(
        c.onset.receiver(),
        c.sounding.receiver(),
        c.sounds.sender(),
        taps,
        inputs,
        load_vad,
        WINDOW_MS,
        windows=c.windows.sender(),
    )
    judge = ShortSoundJudge(
        c.windows.receiver(),
        taps.tap("short sounds"),
        c.sounds.sender(),
        taps,
        WORDS,
        None,
        load_recogniser,
        LANGUAGES,
        thread,
    )
    frames, reports = c.onset.sender(), c.reports.sender()
    started = trio.current_time()

    def since_ms() -> float:
        return (trio.current_time() - started - LEAD_S) * 1000

    c.orders.overhear(
        lambda order: (
            came.orders.append((since_ms(), order)) if isinstance(order, Hold | Resume | Cut) else None
        )
    )

    def told(happening: Happening) -> None:
        match happening:
            case SoundJudged():
                came.judged.append(happening)
            case BystanderFailed():
                came.failed.append(happening)
            case _:
                pass

    taps.overhear(told)
    async with c.orders.receiver(), trio.open_nursery() as nursery:
        nursery.start_soon(controller.run)
        nursery.start_soon(detector.run)
        if recogniser is not None:
            nursery.start_soon(judge.run)
        await wait_all_tasks_blocked()
        for event in (SessionReady("s"), ReplyStarted("r"), ReplyAudio(bytes(bytes_of_ms(60_000)), "r")):
            events.send_nowait(event)
        reports.send_nowait(Playing("r", 600.0, audible=True))
        heard = silence(LEAD_S * 1000) + sound
        heard += silence(max(0.0, (LEAD_S + lasts_s) * 1000 - len(heard) / 48))
        size, said = bytes_of_ms(STEP_MS), list(service)
        for number in range(len(heard) // size):
            clock.jump(started + (number + 1) * STEP_MS / 1000 - trio.current_time())
            frames.send_nowait(
                MicrophoneFrame(heard[number * size : (number + 1) * size], at=trio.current_time())
            )
            while said and said[0][0] * 1000 <= since_ms():
                events.send_nowait(said.pop(0)[1])
            await wait_all_tasks_blocked()
            while thread.borrowed_tokens and not hangs:
                await trio.to_thread.run_sync(time.sleep, 0.001)
                await wait_all_tasks_blocked()
        clock.autojump_threshold = 0.1  # a recogniser that hangs is not waited for for long
        nursery.cancel_scope.cancel()
    clock.autojump_threshold = math.inf
    return came


def heard_windows(
    probabilities: Sequence[float], settings: BargeInSettings | None = None, pcm: bytes = b"\1\0\2\0" * 256
) -> list[HeardWindow]:
    """The windows of a sound that is judged so, as the detector tells them."""
    onsets, windows = Onsets(WINDOW_MS, settings or BargeInSettings()), []
    for number, probability in enumerate(probabilities, 1):
        at = number * WINDOW_MS / 1000
        onsets.take(probability, at)
        windows.append(HeardWindow(pcm, at, probability, onsets.silent_ms if onsets.sounding else None))
    return windows


@frozen
class Judging:
    """A judge at work, without a detector, in no time."""

    windows: Sender[HeardWindow]
    taps: Taps
    thread: trio.CapacityLimiter
    judged: list[SoundJudged] = field(factory=list)

    async def hear(self, probabilities: Sequence[float]) -> list[str]:
        """Why a sound of such windows was given back or kept."""
        before = len(self.judged)
        for window in heard_windows(probabilities):
            self.windows.send_nowait(window)
            await self.settle()
        return [one.why for one in self.judged[before:]]

    async def settle(self) -> None:
        """Until all that was heard is judged."""
        await wait_all_tasks_blocked()
        while self.thread.borrowed_tokens:
            await trio.to_thread.run_sync(time.sleep, 0.001)
            await wait_all_tasks_blocked()


@asynccontextmanager
async def judging(
    recogniser: Transcribe | None = None, languages: Sequence[str] | None = None
) -> AsyncIterator[Judging]:
    """A judge that listens to windows, until the end of the block."""
    c, taps, thread = runner.Channels(), Taps(), trio.CapacityLimiter(1)

    async def load() -> Transcribe:
        assert recogniser is not None
        return recogniser

    judge = ShortSoundJudge(
        c.windows.receiver(),
        taps.tap("short sounds"),
        c.sounds.sender(),
        taps,
        WORDS,
        languages,
        load if recogniser is not None else None,
        LANGUAGES,
        thread,
    )
    at_work = Judging(c.windows.sender(), taps, thread)
    taps.overhear(lambda told: at_work.judged.append(told) if isinstance(told, SoundJudged) else None)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(judge.run)
        await wait_all_tasks_blocked()
        yield at_work
        nursery.cancel_scope.cancel()


def cough(ms: int, seed: int = 2) -> bytes:
    """The beginning of one."""
    return noise_of("cough", Random(seed))[: bytes_of_ms(ms)]


def at_once(pcm: bytes) -> bytes:
    """A word without the silence around it."""
    samples = np.frombuffer(pcm, "<i2")
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 400)
    return samples[loud[0] : loud[-1]].tobytes()


def decided(named_s: float, decided_s: float) -> list[tuple[float, ApiEvent]]:
    """As the live service does: speech, its end, the decision."""
    done = ReplyDone("r", "interrupted")
    return [(named_s, SpeechStarted()), (decided_s, SpeechStopped()), (decided_s + 0.01, done)]


@pytest.mark.parametrize("seed", [2, 5, 10])
async def test_a_cough_costs_less_than_a_second_of_the_voice(mock_clock: MockClock, seed: int) -> None:
    came = await over_the_voice(mock_clock, cough(250, seed))
    assert came.whys == ["no voice"]
    (back,) = came.voice_is_back
    assert back <= 700


@pytest.mark.parametrize("text", ["Yeah.", "Okay.", "Right."])
async def test_who_says_that_they_listen_is_not_waited_for(mock_clock: MockClock, text: str) -> None:
    came = await over_the_voice(mock_clock, at_once(spoken(text)))
    assert came.whys == ["back-channel"]
    (back,) = came.voice_is_back
    assert back <= len(at_once(spoken(text))) / 48 + 350


async def test_words_count_in_the_languages_that_the_session_has_now(mock_clock: MockClock) -> None:
    said = at_once(spoken("Okay.")) + silence(1500) + at_once(spoken("Okay."))
    german: dict[str, Any] = {"input": {"language_codes": ["de", 7]}}
    odd: dict[str, Any] = {"input": {"language_codes": "en"}}
    service = [(1.5, SessionUpdated(german)), (1.6, SessionUpdated(odd))]
    came = await over_the_voice(mock_clock, said, service=service)
    assert came.whys == ["back-channel"], "German is not understood here: the voice waits for the service"
    back = [(1.5, SessionUpdated({"input": {"language_codes": ["en-GB"]}}))]
    came = await over_the_voice(mock_clock, said, service=[(-1.5, SessionUpdated(german)), *back])
    assert came.whys == ["back-channel"], "the second one, which the session understands again"


async def test_a_hum_is_not_waited_for(mock_clock: MockClock) -> None:
    came = await over_the_voice(mock_clock, at_once(spoken("Mm-hm.", "alba")), recogniser=lambda pcm: "Mama.")
    assert came.whys == ["hummed"]
    assert len(came.voice_is_back) == 1


@pytest.mark.parametrize("text", ["Stop.", "Wait.", "No.", "Hold on."])
async def test_who_says_stop_does_not_hear_the_voice_come_back_before_it_is_decided(
    mock_clock: MockClock, text: str
) -> None:
    for service in (decided(2.2, 3.8), [(3.8, ReplyDone("r", "interrupted"))]):
        came = await over_the_voice(mock_clock, at_once(spoken(text)), service=service)
        assert came.whys == ["words"]
        orders = [order for _, order in came.orders]
        assert orders[:2] == [Hold(), Cut("r")], "nothing is heard in between"


async def test_a_voice_that_the_service_does_not_decide_about_comes_back(mock_clock: MockClock) -> None:
    came = await over_the_voice(mock_clock, at_once(spoken("Stop.")), lasts_s=7)
    (back,) = came.voice_is_back
    assert 4500 < back < 5700


async def test_who_hesitates_after_mm_hm_and_goes_on_holds_the_voice_again(mock_clock: MockClock) -> None:
    said = at_once(spoken("Yeah.")) + silence(260) + at_once(spoken("Wait, please."))
    came = await over_the_voice(mock_clock, said, service=decided(2.2, 3.8))
    assert came.whys == ["back-channel", "goes on", "words"]
    assert [order for _, order in came.orders[:4]] == [Hold(), Resume(), Hold(), Cut("r")]


async def test_a_cough_after_stop_takes_nothing_back(mock_clock: MockClock) -> None:
    said = at_once(spoken("Stop.")) + silence(700) + cough(250)
    came = await over_the_voice(mock_clock, said, service=[(3.8, ReplyDone("r", "interrupted"))])
    assert came.whys == ["words", "no voice"]
    assert [order for _, order in came.orders[:2]] == [Hold(), Cut("r")]


async def test_a_recogniser_that_breaks_is_told_once_and_without_what_was_said(mock_clock: MockClock) -> None:
    said = at_once(spoken("Okay.")) + silence(1500) + at_once(spoken("Okay.")) + silence(1500) + cough(250)
    asked = list[int]()

    def recognise(pcm: bytes) -> str:
        asked.append(len(pcm))
        raise ValueError("the person said: my PIN is 1234")

    came = await over_the_voice(mock_clock, said, recogniser=recognise, lasts_s=6)
    assert came.whys == ["no voice"], "the judge goes on without it"
    (failed,) = came.failed
    assert "ValueError" in failed.why
    assert "1234" not in repr(failed)
    assert len(asked) == 1


@pytest.mark.parametrize("how", ["breaks", "hangs", "is not there"])
async def test_without_a_judge_the_voice_waits_as_long_as_it_did_without_one(
    mock_clock: MockClock, how: str
) -> None:
    word, go_on = at_once(spoken("Okay.")), threading.Event()

    def recognise(pcm: bytes) -> str:
        if how == "breaks":
            raise ValueError("the model is broken")
        go_on.wait(30)
        return "Stop."

    recogniser = None if how == "is not there" else recognise
    came = await over_the_voice(mock_clock, word, recogniser=recogniser, hangs=how == "hangs")
    go_on.set()
    assert came.whys == []
    (back,) = came.voice_is_back
    assert len(word) / 48 + 800 < back < len(word) / 48 + 1300
    assert LATE_S < 0.8 + 0.17, "what is judged late is not judged in the middle of the voice"


VOICED, PAUSE, OVER = [0.9] * 12, [0.0] * 6, [0.0] * 12
"""Windows: a word, a pause within a sound, and one that ends it."""


async def test_the_flickering_tail_of_a_cough_does_not_hold_the_voice_again(
    mock_clock: MockClock,
) -> None:
    tail = [0.1] * 4 + [0.4]
    async with judging() as judge:
        assert await judge.hear([0.9] * 4 + tail * 6 + OVER) == ["no voice"]
        assert await judge.hear([0.9] * 4 + PAUSE + [0.4] * 3 + OVER) == ["no voice", "goes on", "no voice"]
        assert await judge.hear([0.9] * 4 + PAUSE + [0.9] + OVER) == ["no voice", "goes on", "no voice"]


async def test_a_flicker_behind_a_word_does_not_keep_it_from_being_judged(mock_clock: MockClock) -> None:
    go_on = threading.Event()

    def recognise(pcm: bytes) -> str:
        go_on.wait(30)
        return "Okay."

    async with judging(recognise) as judge:
        for window in heard_windows([*VOICED, *PAUSE[:4], 0.4, *PAUSE]):
            judge.windows.send_nowait(window)
            await wait_all_tasks_blocked()
        go_on.set()
        await judge.settle()
        assert [one.why for one in judge.judged] == ["back-channel"]


async def test_what_was_given_back_before_does_not_make_a_longer_sound_go_on(
    mock_clock: MockClock,
) -> None:
    async with judging() as judge:
        assert await judge.hear([0.9] * 4 + OVER) == ["no voice"]
        long = [0.9] * 80
        assert await judge.hear([*OVER, *long, *PAUSE, *VOICED, *OVER]) == []


@pytest.mark.parametrize("min_speech_ms", [32, 64, 200, 500, 1000])
def test_a_sound_is_all_of_what_made_its_onset_however_much_that_is(min_speech_ms: int) -> None:
    settings = BargeInSettings(min_speech_ms=min_speech_ms)
    word = [0.0] * 10 + [0.9] * 35 + OVER
    onsets, followed = Onsets(WINDOW_MS, settings), Followed(settings.activation_threshold)
    (started,) = [
        told
        for number, probability in enumerate(word, 1)
        if isinstance(told := onsets.take(probability, number * WINDOW_MS / 1000), SoundStarted)
    ]
    (sound,) = filter(None, map(followed.take, heard_windows(word, settings)))
    assert isinstance(sound, ShortSound)
    assert sound.at == started.at, "it can be told from another one"
    assert (sound.voice_ms, sound.length_ms) == (35 * WINDOW_MS, 35 * WINDOW_MS)
    assert len(sound.pcm) == len(sound.body) // 35 * (6 + 35 + 4), "with what is before and behind it"


def test_who_speaks_as_softly_as_the_settings_allow_is_no_cough() -> None:
    settings = BargeInSettings(activation_threshold=0.3)
    followed = Followed(settings.activation_threshold)
    (sound,) = filter(None, map(followed.take, heard_windows([0.0] * 9 + [0.45] * 20 + OVER, settings)))
    assert isinstance(sound, ShortSound)
    assert sound.voice_ms == 20 * WINDOW_MS


def lasting(ms: float, *, hum: bool = False) -> ShortSound:
    """A sound of so much voice."""
    samples = np.random.default_rng(0).normal(0, 3000, round(ms * 16))
    if hum:
        samples = 9000 * np.sin(2 * np.pi * 150 * np.arange(round(ms * 16)) / 16_000)
    pcm = samples.astype("<i2").tobytes()
    return ShortSound(1.0, ms, ms, pcm, pcm)


@pytest.mark.parametrize(("hum", "text"), [(True, None), (False, "Yeah, yeah, yeah, yeah.")])
def test_who_listens_aloud_for_long_does_not_silence_the_agent_for_long(hum: bool, text: str | None) -> None:
    sound, words = lasting(1300, hum=hum), words_of(WORDS, None)
    assert judged(sound, text, words) is None, "linger_ms holds, as without a judge"
    other = judged(lasting(1300), "And what about tomorrow?", words)
    assert other is not None
    assert (other.keeps, other.why) == (True, "long")


async def test_what_may_be_said_in_a_language_that_nobody_here_understands_is_not_waited_for(
    mock_clock: MockClock,
) -> None:
    heard = ["See.", "Okay.", "Stop."]
    async with judging(lambda pcm: heard[0], ["en", "es"]) as judge:
        assert await judge.hear(VOICED + OVER) == [], "perhaps it is a Spanish yes"
        del heard[0]
        assert await judge.hear(VOICED + OVER) == ["back-channel"]
        del heard[0]
        assert await judge.hear(VOICED + OVER) == ["words"]
    async with judging(lambda pcm: "See.", ["en"]) as judge:
        assert await judge.hear(VOICED + OVER) == ["words"]


@pytest.mark.parametrize(
    ("told", "whys"),
    [
        ({}, []),
        ({"language_codes": "en"}, []),
        ({"language_codes": None}, ["words"]),
        ({"language_codes": []}, ["words"]),
    ],
)
async def test_a_service_that_does_not_mention_the_languages_has_not_changed_them(
    mock_clock: MockClock, told: dict[str, Any], whys: list[str]
) -> None:
    async with judging(lambda pcm: "Stop.", ["de"]) as judge:
        judge.taps.publish(SessionConfigured({"input": told}))
        assert await judge.hear(VOICED + OVER) == whys


async def test_nothing_of_what_people_say_is_kept_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    transcribe, decoded = await runner._load_recogniser(), list[int]()

    def decode_and_count(*given: Any) -> list[int]:
        decoded.append(1)
        return decode(*given)

    monkeypatch.setattr("sound.recogniser.decode", decode_and_count)
    sound = at_16_khz(spoken("Okay."))
    assert transcribe(sound) == transcribe(sound)
    assert len(decoded) == 2, "it is understood anew"


ENDS = """
import numpy as np, trio, trio.testing
from tests.actors.test_short_sounds import RECOGNISER, heard_windows, judging

RECOGNISER.warm()
noise = np.random.default_rng(0).normal(0, 3000, 512).astype("<i2").tobytes()
begun, recognised = trio.Event(), []

def transcribe(pcm):
    trio.from_thread.run_sync(begun.set)
    recognised.append(RECOGNISER.transcribe(pcm * 8))  # so long that the end comes in the middle of it
    return ""

async def main():
    async with judging(transcribe) as judge:
        for window in heard_windows([0.9] * 20 + [0.0] * 4, pcm=noise):
            judge.windows.send_nowait(window)
        await begun.wait()
        raise KeyboardInterrupt

try:
    trio.run(main)
except* KeyboardInterrupt:
    print("recognised", len(recognised))
"""


def test_a_process_that_ends_while_a_sound_is_recognised_ends_in_order() -> None:
    """Native code in a thread that outlives its process aborts it."""
    ended = subprocess.run(
        [sys.executable, "-c", ENDS], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stdout) == (0, "recognised 1\n"), ended.stderr
