"""What the ears make of a conversation. Sound is fed as fast as it is taken: time is samples."""

from __future__ import annotations

import threading

import attrs
import pytest
import trio
import trio.testing

from bench.speech import PEOPLE, noise, people, silence, spoken, word_errors
from channels.bounded import Channel, Full
from playground.ears import (
    Ears,
    HearingEvent,
    Judge,
    PartialWords,
    SpeechOnset,
    SpeechStirs,
    Transcriber,
    TurnEnded,
    TurnMayEnd,
)
from playground.turns import ADAPTIVE, TurnRules
from sound.recogniser import Recogniser

RECOGNISER = Recogniser()


@attrs.frozen
class Rig:
    ears: Ears
    audio: Channel[bytes]
    heard: Channel[HearingEvent]


def rig(
    detection: TurnRules = ADAPTIVE, recogniser: Transcriber = RECOGNISER, judge: Judge | None = None
) -> Rig:
    audio = Channel[bytes]("audio", capacity=4, unit="chunks", full=Full.WAIT, because="test")
    heard = Channel[HearingEvent]("heard", capacity=1000, unit="events", full=Full.FAIL, because="test")
    return Rig(Ears(audio.receiver(), heard.sender(), recogniser, detection, judge=judge), audio, heard)


async def hear(
    *sound: bytes,
    detection: TurnRules = ADAPTIVE,
    recogniser: Transcriber = RECOGNISER,
    judge: Judge | None = None,
    chunk_bytes: int = 2400,
    times_real: float = 0,
    hints: bool = False,
) -> list[HearingEvent]:
    """What the ears tell of some sound; `times_real` above 0: so many times real time.

    Only with `hints`: that somebody stirs, and that a turn may end.
    """
    made = rig(detection, recogniser, judge)
    pcm = b"".join(sound)

    async def feed() -> None:
        async with made.audio.sender() as microphone:
            for start in range(0, len(pcm), chunk_bytes):
                await microphone.send(pcm[start : start + chunk_bytes])
                if times_real:
                    await trio.sleep(chunk_bytes / 48_000 / times_real)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed)
            nursery.start_soon(made.ears.run)
            heard = [event async for event in made.heard.receiver()]
    return heard if hints else [e for e in heard if not isinstance(e, SpeechStirs | TurnMayEnd)]


def turns(events: list[HearingEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TurnEnded)]


async def test_a_sentence_is_one_turn_with_its_words() -> None:
    text = "Is there a pharmacy near the station?"
    events = await hear(silence(400), spoken(text), silence(1000))
    assert events[0] == SpeechOnset(brief=False)
    assert len(turns(events)) == 1
    assert word_errors(text, turns(events)[0]) == 0


# The man of "beckett" says two words at a time, and each is a turn: alone, "fail again" is misheard as
# "fair again" and "fail" as "fale", where the recogniser gets all right when it hears the ten seconds whole.
@pytest.mark.parametrize(("who", "wrong_words"), [("two_cities", 0.08), ("beckett", 2 / 12)])
async def test_what_people_say_is_heard_whole(who: str, wrong_words: float) -> None:
    events = await hear(people(who), silence(2500))
    assert word_errors(PEOPLE[who], " ".join(turns(events))) <= wrong_words


async def test_two_sentences_with_a_pause_between_are_two_turns() -> None:
    events = await hear(
        spoken("Please call my sister."), silence(1500), spoken("Tell her I will be late."), silence(1500)
    )
    assert turns(events) == ["Please call my sister.", "Tell her I will be late."]
    assert [event for event in events if not isinstance(event, PartialWords)][::2] == [SpeechOnset()] * 2


async def test_a_short_pause_inside_a_sentence_does_not_end_it() -> None:
    events = await hear(
        spoken("I think that we should leave"), silence(150), spoken("before it gets dark."), silence(1500)
    )
    assert len(turns(events)) == 1
    assert "dark" in turns(events)[0]


@pytest.mark.parametrize(
    "hesitation", ["I would like to book a room for, um,", "Can you send it to my", "And"]
)
async def test_somebody_who_looks_for_a_word_is_given_time(hesitation: str) -> None:
    events = await hear(spoken(hesitation), silence(700), spoken("next Friday evening."), silence(2500))
    assert len(turns(events)) == 1
    assert "Friday" in turns(events)[0]


async def test_what_was_said_is_told_at_each_pause_before_it_is_certain_that_it_was_all() -> None:
    events = await hear(
        spoken("I would like to book a room for, um,"),
        silence(700),
        spoken("next Friday evening."),
        silence(2000),
        times_real=2,
        hints=True,
    )
    *first, last = [event.text for event in events if isinstance(event, TurnMayEnd)]
    assert any("room" in text and "Friday" not in text for text in first)
    assert [last] == turns(events), "with the words that the turn ends with"


async def test_somebody_who_never_finds_the_word_is_answered_in_the_end() -> None:
    events = await hear(spoken("Can you send it to my"), silence(2500))
    assert len(turns(events)) == 1


async def test_a_short_answer_is_a_turn_with_a_brief_onset() -> None:
    assert await hear(silence(500), spoken("Yes."), silence(2500)) == [
        SpeechOnset(brief=True),
        TurnEnded("Yes."),
    ]


@pytest.mark.parametrize(
    ("text", "hummed"), [("Mm-hm.", True), ("Hmm.", True), ("No.", False), ("Stop.", False)]
)
async def test_a_hum_is_told_from_a_word(text: str, hummed: bool) -> None:
    (ended,) = [
        event
        for event in await hear(silence(500), spoken(text, "alba"), silence(2500))
        if isinstance(event, TurnEnded)
    ]
    assert ended.hummed is hummed


async def test_what_is_long_is_no_hum() -> None:
    (ended,) = [
        event
        for event in await hear(spoken("Moon, moon, new moon, moon, moon."), silence(2500))
        if isinstance(event, TurnEnded)
    ]
    assert not ended.hummed


@pytest.mark.parametrize("sound", [silence(3000), noise(3000, 0.01), noise(3000, 0.2)])
async def test_silence_and_noise_are_nobody(sound: bytes) -> None:
    assert await hear(sound) == []


@attrs.frozen
class Sure:
    """Has its mind made up about every turn."""

    complete: float

    def probability(self, pcm: bytes) -> float:
        return self.complete


TWO = (spoken("Please call my sister."), silence(350), spoken("Tell her I will be late."), silence(1500))


@pytest.mark.parametrize(("complete", "count"), [(1.0, 2), (0.0, 1)])
async def test_the_sound_says_whether_a_finished_sentence_is_the_end(complete: float, count: int) -> None:
    assert len(turns(await hear(*TWO, judge=Sure(complete)))) == count


async def test_the_sound_does_not_overrule_words_that_are_unfinished() -> None:
    hesitating = (spoken("Can you send it to my"), silence(700), spoken("sister."), silence(2500))
    assert len(turns(await hear(*hesitating, judge=Sure(1.0)))) == 1


async def test_silences_that_a_client_sets_are_honoured_whatever_the_sound_says() -> None:
    rules = TurnRules(min_silence=1000, max_silence=3000)
    assert len(turns(await hear(*TWO, detection=rules, judge=Sure(1.0)))) == 1


async def test_explicit_silences_are_honoured() -> None:
    patient = TurnRules(min_silence=1400, max_silence=4000)
    text = (
        spoken("Please call my sister."),
        silence(1000),
        spoken("Tell her I will be late."),
        silence(2000),
    )
    assert len(turns(await hear(*text, detection=patient))) == 1
    assert len(turns(await hear(*text, detection=TurnRules(min_silence=300, max_silence=300)))) == 2


async def test_settings_change_in_the_middle_of_a_session() -> None:
    made = rig(TurnRules(min_silence=3000, max_silence=3000))
    sentence = spoken("Please call my sister.") + silence(1200)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.ears.run)
        async with made.audio.sender() as microphone:
            await microphone.send(sentence)
            await trio.testing.wait_all_tasks_blocked(0.05)
            made.ears.configure(TurnRules(min_silence=400, max_silence=400))
            await microphone.send(sentence)
            await microphone.send(sentence)
    events = [event async for event in made.heard.receiver()]
    assert len(turns(events)) == 3


async def test_words_come_while_somebody_still_speaks() -> None:
    text = "My grandmother keeps nine chickens and a very old donkey behind her house."
    events = await hear(spoken(text), silence(1000), times_real=4)
    partials = [event.text for event in events if isinstance(event, PartialWords)]
    assert isinstance(events[0], SpeechOnset)
    assert len(partials) >= 3
    assert isinstance(events[-1], TurnEnded)
    assert len(partials[0]) < len(partials[-1])
    assert word_errors(text, events[-1].text) < 0.15


@pytest.mark.parametrize("chunk_bytes", [1, 959, 2401, 9600, 10**7])
async def test_the_size_of_the_chunks_does_not_matter(chunk_bytes: int) -> None:
    sound: tuple[bytes, ...]
    if chunk_bytes == 1:
        sound = (spoken("Good night."), silence(900))
    else:
        sound = (spoken("Please call my sister."), silence(900), spoken("Tell her I am late."), silence(900))
    assert turns(await hear(*sound, chunk_bytes=chunk_bytes)) == turns(await hear(*sound))


async def test_when_the_sound_ends_in_the_middle_of_a_turn_the_turn_ends() -> None:
    assert turns(await hear(spoken("Please call my sister."))) == ["Please call my sister."]


class Slow:
    """A recogniser that takes its time and notes whether it was ever asked twice at once."""

    def __init__(self, answer: str = "Yes.", seconds: float = 0.05) -> None:
        self.answer, self.seconds = answer, seconds
        self.calls = self.running = self.most = 0
        self.enough = threading.Event()
        """Set, it takes no time any more."""
        self._lock = threading.Lock()

    def transcribe(self, pcm: bytes) -> str:
        with self._lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self.enough.wait(self.seconds)
        with self._lock:
            self.running -= 1
        return self.answer and f"{self.answer} {len(pcm)}"

    async def until_idle(self) -> None:
        """Waits until it has had nothing to do for a second."""
        idle_since, calls = trio.current_time(), self.calls
        with trio.fail_after(60):
            while trio.current_time() - idle_since < 1:
                await trio.sleep(0.05)
                if self.running or self.calls != calls or not calls:
                    idle_since, calls = trio.current_time(), self.calls


async def test_a_noise_without_words_is_an_empty_turn() -> None:
    events = await hear(spoken("Oh no."), silence(2000), recogniser=Slow(answer=""))
    assert [type(event) for event in events] == [SpeechOnset, TurnEnded]
    assert turns(events) == [""]


async def test_recognitions_never_overlap_and_never_go_back() -> None:
    slow = Slow()
    sound = spoken("My grandmother keeps nine chickens and a very old donkey behind her house.")
    events = await hear(sound, silence(1000), recogniser=slow, times_real=5)
    assert slow.most == 1
    sizes = [int(e.text.split()[1]) for e in events if isinstance(e, PartialWords | TurnEnded)]
    assert sizes == sorted(sizes)
    assert isinstance(events[-1], TurnEnded)


async def test_a_slow_recogniser_delays_the_answer_and_does_not_change_it() -> None:
    sound = (spoken("Please call my sister."), silence(1500), spoken("Tell her I am late."), silence(1500))
    assert len(turns(await hear(*sound, recogniser=Slow(seconds=0.3)))) == 2


async def test_the_words_are_there_when_the_turn_is_decided() -> None:
    slow = Slow(seconds=0.1)
    made = rig(recogniser=slow)
    sentence = spoken("Please call my sister.")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.ears.run)
        async with made.audio.sender() as microphone:
            await microphone.send(sentence + silence(330))  # a lull, not yet a pause
            await slow.until_idle()
            calls = slow.calls
            await microphone.send(silence(500))
            async for event in (ended := made.heard.receiver()):
                if isinstance(event, TurnEnded):
                    break
            assert slow.calls == calls, "it was not waited for"
        ended.close()


async def test_when_cancelled_it_closes_both_channels() -> None:
    made = rig(recogniser=(slow := Slow(seconds=60)))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.ears.run)
            microphone = made.audio.sender()
            await microphone.send(spoken("Please call my sister.") + silence(400))
            while not slow.running:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    assert slow.running, "it is not waited for"
    slow.enough.set()
    with pytest.raises(trio.BrokenResourceError):
        await microphone.send(b"")
    microphone.close()
    [event async for event in made.heard.receiver()]


async def test_it_ends_when_nobody_listens_any_more() -> None:
    made = rig()
    made.heard.receiver().close()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.ears.run)
            microphone = made.audio.sender()
            await microphone.send(spoken("Please call my sister.") + silence(2500))
    microphone.close()


async def test_the_event_loop_is_not_held_up() -> None:
    gaps: list[float] = []

    async def watch() -> None:
        last = trio.current_time()
        while True:
            await trio.lowlevel.checkpoint()
            now = trio.current_time()
            gaps.append(now - last)
            last = now

    sound = spoken("My grandmother keeps nine chickens and a very old donkey behind her house.") + silence(
        1000
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await hear(sound, chunk_bytes=48_000)
        nursery.cancel_scope.cancel()
    assert sorted(gaps)[int(len(gaps) * 0.999)] < 0.02
