"""Short sounds over the agent's voice: judged by the real detector, judge and recogniser, and the machine.

Sound comes in at virtual real time, in which the recogniser's thread takes no time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
import trio
from attrs import field, frozen
from trio.testing import MockClock, wait_all_tasks_blocked

import runner
from actors.barge_in import BargeInController
from actors.mic.pump import PIECE_MS
from actors.onset import OnsetDetector
from actors.short_sounds import ShortSoundJudge, Transcribe
from actors.short_sounds.actor import LATE_S
from bench.noises import noise_of
from bench.speech import silence, spoken
from channels.bounded import Watched
from channels.happenings import SoundJudged
from channels.messages import ApiEvent, Cut, Hold, MicrophoneFrame, Playing, Resume, SpeakerCommand
from channels.seen import Seen
from channels.settings import BargeInSettings
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
from sound.recogniser import LANGUAGES, Recogniser
from sound.vad import WINDOW_MS, Vad

RECOGNISER = Recogniser()
WORDS = read_short_words(())
LEAD_S = 0.5
"""Silence before the person's sound."""


@frozen
class Came:
    """What came of a sound, with times from its beginning (ms)."""

    orders: list[tuple[float, SpeakerCommand]] = field(factory=list)
    judged: list[SoundJudged] = field(factory=list)

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
    lasts_s: float = 4.0,
) -> Came:
    """What comes of a sound that a person makes while the agent speaks.

    Args:
        clock: moved on here.
        sound: of the person.
        service: what it says, and when (s from the beginning of the sound).
        recogniser: None: there is none, and nobody judges.
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
    taps.overhear(lambda told: came.judged.append(told) if isinstance(told, SoundJudged) else None)

    async def judges() -> None:
        try:
            await judge.run()
        except* ValueError:
            pass  # as in a room: a bystander that fails is told, and missed by nobody

    async with c.orders.receiver(), trio.open_nursery() as nursery:
        nursery.start_soon(controller.run)
        nursery.start_soon(detector.run)
        if recogniser is not None:
            nursery.start_soon(judges)
        await wait_all_tasks_blocked()
        for event in (SessionReady("s"), ReplyStarted("r"), ReplyAudio(bytes(bytes_of_ms(60_000)), "r")):
            events.send_nowait(event)
        reports.send_nowait(Playing("r", 600.0, audible=True))
        heard = silence(LEAD_S * 1000) + sound
        heard += silence(max(0.0, (LEAD_S + lasts_s) * 1000 - len(heard) / 48))
        size, said = bytes_of_ms(PIECE_MS), list(service)
        for number in range(len(heard) // size):
            clock.jump(started + (number + 1) * PIECE_MS / 1000 - trio.current_time())
            frames.send_nowait(
                MicrophoneFrame(heard[number * size : (number + 1) * size], at=trio.current_time())
            )
            while said and said[0][0] * 1000 <= since_ms():
                events.send_nowait(said.pop(0)[1])
            await wait_all_tasks_blocked()
            while thread.borrowed_tokens and recogniser == RECOGNISER.transcribe:
                await trio.to_thread.run_sync(time.sleep, 0.001)
                await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return came


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
    came = await over_the_voice(mock_clock, word, recogniser=recogniser)
    go_on.set()
    assert came.whys == []
    (back,) = came.voice_is_back
    assert len(word) / 48 + 800 < back < len(word) / 48 + 1300
    assert LATE_S < 0.8 + 0.17, "what is judged late is not judged in the middle of the voice"
