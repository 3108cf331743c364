"""What is heard while a slow tool runs: a quiet sound that gives way to everybody, and is never a reply."""

from __future__ import annotations

import wave
from array import array
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.barge_in.conversation import Conversation
from actors.barge_in.machine import Event, step
from actors.filler import Filler, load_filler
from actors.filler.actor import Patience
from actors.filler.sound import tone
from actors.speaker.playout import AUDIBLE
from channels.bounded import Channel, Full
from channels.errors import SettingsError
from channels.happenings import (
    FloorHolder,
    FloorPassed,
    Happening,
    SoundStarted,
    ToolAnswered,
    ToolCalled,
    ToolDropped,
)
from channels.messages import (
    Cut,
    Fill,
    Finish,
    Finished,
    Hold,
    Play,
    Playing,
    SpeakerCommand,
)
from channels.settings import FillerSound
from channels.taps import Taps
from channels.wire.events import ReplyAudio, ReplyDone, ReplyStarted, SpeechStarted

BEEP = FillerSound(bytes(4800), 2.0)
ONE_MOMENT = FillerSound(bytes(48_000), None)
CALLED = ToolCalled("c1", "look_up")
ANSWERED = ToolAnswered("c1", "look_up", 3000)


def asked_at(sound: FillerSound, *what: tuple[float, Happening], until: float = 30.0) -> list[float]:
    """When the sound is asked for, if these happen at these times."""
    patience, asked = Patience(sound, 0.8), []
    for at, happening in (*what, (until, None)):
        while patience.next_at < at:
            asked.append(round(patience.next_at, 3))
            patience.asked(patience.next_at)
        if happening is not None:
            patience.take(happening, at)
    return asked


def passed(holder: FloorHolder) -> FloorPassed:
    return FloorPassed(holder, 1, 0.0)


NOBODY, PERSON = passed(FloorHolder.NOBODY), passed(FloorHolder.PERSON)
ANSWER, AGENT = passed(FloorHolder.ANSWER), passed(FloorHolder.AGENT)


def test_a_quick_tool_is_not_filled() -> None:
    assert asked_at(BEEP, (0, CALLED), (0.5, ANSWERED), (0.7, AGENT)) == []


def test_a_slow_one_is_until_its_reply_is_heard() -> None:
    assert asked_at(BEEP, (0, CALLED), (3, ANSWERED), (4, AGENT)) == [0.8, 2.8]
    assert asked_at(ONE_MOMENT, (0, CALLED), (9, ANSWERED)) == [0.8], "words are said once"


def test_a_reply_that_never_comes_is_not_waited_for() -> None:
    assert asked_at(BEEP, (0, CALLED), (1, ANSWERED)) == [0.8, 2.8, 4.8]


def test_silence_is_counted_from_the_last_sound_of_either() -> None:
    assert asked_at(BEEP, (0, CALLED), (0.1, AGENT), (1.5, NOBODY), until=3) == [2.3]
    assert asked_at(BEEP, (0, CALLED), (0.5, PERSON), (2.0, NOBODY), until=3) == [2.8]


def test_a_dropped_call_needs_no_filling() -> None:
    assert asked_at(BEEP, (0, CALLED), (0.5, ToolDropped("c1", "look_up", "it was interrupted"))) == []


def test_nothing_is_filled_while_no_tool_runs() -> None:
    assert asked_at(BEEP, (0, AGENT), (1, NOBODY), (2, PERSON), (3, ANSWER)) == []


def test_that_an_answer_is_due_is_no_sound() -> None:
    assert asked_at(BEEP, (0, ANSWER), (0.1, CALLED), until=2) == [0.9]
    assert asked_at(BEEP, (0, CALLED), (0.5, PERSON), (0.6, AGENT), (1.0, ANSWER), until=3) == [1.8]


def test_two_tools_are_one_wait() -> None:
    second = ToolCalled("c2", "look_up")
    assert asked_at(BEEP, (0, CALLED), (0.4, second), (0.6, ANSWERED), until=2) == [0.8]


@attrs.define
class Controller:
    """The controller's machine."""

    conversation: Conversation = attrs.field(factory=Conversation)
    told: list[Happening] = attrs.field(factory=list)

    def __call__(self, *events: Event) -> list[SpeakerCommand]:
        found: list[SpeakerCommand] = []
        for event in events:
            self.conversation, commands, happenings = step(self.conversation, event, 0.0)
            found += commands
            self.told += happenings
        return found


FILL = Fill(bytes(4800))


def test_the_filler_is_played_and_is_no_reply() -> None:
    controller = Controller()
    match controller(FILL):
        case [Play(reply_id=name), Finish()]:
            pass
        case other:
            pytest.fail(str(other))
    controller(Playing(name, 50, audible=True), Finished(name, 100))
    assert controller.told == [], "no transcript and no timer hears of it, and nobody has the floor"
    assert controller.conversation.replies == {}
    assert controller(FILL) != [], "the next one may come"


def test_a_reply_cuts_it_before_its_first_sound() -> None:
    controller = Controller()
    (play, _) = controller(FILL)
    assert isinstance(play, Play)
    assert controller(ReplyStarted("r1")) == []
    assert controller(ReplyAudio(bytes(960), "r1")) == [Cut(play.reply_id), Play("r1", bytes(960))]


@pytest.mark.parametrize("sound", [SoundStarted(0.0), SpeechStarted()])
def test_the_person_cuts_it(sound: SoundStarted | SpeechStarted) -> None:
    controller = Controller()
    (play, _) = controller(FILL)
    assert isinstance(play, Play)
    commands = controller(sound)
    assert Cut(play.reply_id) in commands
    assert all(isinstance(one, Cut | Hold) for one in commands)


def test_it_never_speaks_over_a_reply_nor_twice_at_a_time() -> None:
    controller = Controller()
    controller(ReplyStarted("r1"), ReplyAudio(bytes(960), "r1"), ReplyDone("r1"))
    assert controller(FILL) == [], "what is to be played comes first"
    controller(Finished("r1", 10))
    assert len(controller(FILL)) == 2
    assert controller(FILL) == []


async def test_the_actor_asks_when_a_tool_takes_long(autojump_clock: MockClock) -> None:
    taps = Taps()
    fills = Channel[Fill]("fills", capacity=1, unit="sounds", full=Full.DROP_OLDEST, because="as wired")
    asked = fills.receiver()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Filler(taps.tap("filler"), fills.sender(), BEEP, 800).run)
        await trio.sleep(1)
        taps.publish(CALLED)
        began = trio.current_time()
        assert await asked.receive() == Fill(BEEP.pcm)
        assert trio.current_time() - began == pytest.approx(0.8)
        taps.publish(ANSWERED)
        taps.publish(AGENT)
        with trio.move_on_after(60):
            pytest.fail(f"{await asked.receive()} after the answer")
        taps.close()


def test_the_tone_is_soft_and_does_not_click() -> None:
    samples = array("h", tone())
    assert AUDIBLE < max(map(abs, samples)) < 3000
    assert max(abs(b - a) for a, b in pairwise(samples)) < 200
    assert abs(samples[0]) < 20
    assert abs(samples[-1]) < 20


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "moment.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(array("h", [8000, 4000] * 24_000).tobytes())
    return path


def test_a_wav_file_becomes_sound_of_the_room(wav: Path) -> None:
    sound = load_filler(str(wav))
    assert sound is not None
    samples = array("h", sound.pcm)
    assert len(samples) == pytest.approx(12_000, abs=50), "half a second at 24 kHz"
    assert samples[6000] == pytest.approx(6000, abs=50), "both channels"
    assert load_filler("off") is None


def test_a_filler_that_is_no_sound_is_told(tmp_path: Path) -> None:
    (tmp_path / "words.wav").write_text("one moment")
    with wave.open(str(tmp_path / "bytes.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(800))
    with wave.open(str(tmp_path / "empty.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
    for name, told in [
        ("words.wav", "not a readable WAV file"),
        ("bytes.wav", "8 bits"),
        ("empty.wav", "longer than 20 s"),
        ("nowhere.wav", "does not exist"),
    ]:
        with pytest.raises(SettingsError, match=told):
            load_filler(str(tmp_path / name))


def test_a_new_room_does_not_hold_up_the_others_by_making_its_tone() -> None:
    assert tone() is tone()
