"""How many words the offline ears get wrong, on speech that nobody tuned them for.

The whole of the ears is used: voice activity, turns, recogniser. What they take for a turn is a turn; the
words of all turns of a recording together are compared with what was said, as strictly as `word_errors`
does (numbers as words, no synonyms). Noise is pink, and lies under the silence before and behind too.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
import trio

from bench.speech import PEOPLE, people, silence, spoken, word_errors
from channels.bounded import Channel, Full
from playground.ears import Ears, HearingEvent, TurnEnded
from sound.pcm import bytes_of_ms
from sound.recogniser import Recogniser

__all__ = ["CONDITIONS", "SENTENCES", "VOICES", "Row", "measure_words", "understood", "with_noise"]

CONDITIONS: tuple[float | None, ...] = (None, 20.0, 10.0)
"""Speech above noise, in dB; None: no noise."""
VOICES = ("alba", "charles", "eve", "giovanni", "reid", "vera")

SENTENCES = (
    "Could you tell me when the next train to the airport leaves?",
    "I left my umbrella in the restaurant yesterday evening.",
    "Please move my appointment to Thursday afternoon.",
    "The heating in our bedroom has stopped working again.",
    "How long does it take to walk to the station from here?",
    "My daughter is allergic to peanuts and shellfish.",
    "There is a strange noise coming from the engine.",
    "I would like to cancel the order that I placed this morning.",
    "Do you have anything cheaper with a view of the garden?",
    "The parcel arrived, but one of the cups was broken.",
    "What do I need to bring to the first lesson?",
    "Turn down the lights in the hall and close the curtains.",
    "She said that the meeting would begin a little later.",
    "We are looking for a quiet table near the window.",
    "Can I pay the rest of the bill next month?",
    "The password you sent me does not seem to work.",
    "Remind me to water the plants before we go on holiday.",
    "Which of these two phones has the better camera?",
    "His brother plays the trumpet in a small orchestra.",
    "I think the printer has run out of paper.",
    "Is it safe to swim in the lake after the storm?",
    "They painted the kitchen yellow, and the ceiling white.",
    "Nobody answered the door, so I left the letter with a neighbour.",
    "Would you mind speaking a little more slowly?",
    "The bridge was closed because of the heavy snow.",
    "Put some butter, cheese and apples on the shopping list.",
    "I have been waiting for somebody to call me back.",
    "Our flight was delayed, and we missed the last bus.",
    "How do I get a stain of red wine out of a carpet?",
    "The doctor told me to rest for the whole week.",
    "Let us meet in front of the old theatre.",
    "My grandmother keeps chickens behind her house.",
    "The screen goes dark whenever I plug in the charger.",
    "Have you ever been to the mountains in winter?",
    "He forgot to lock the gate, and the dog ran away.",
    "Play something cheerful while I cook dinner.",
    "The museum is free on the first Sunday of the month.",
    "I am afraid I dialled the wrong number.",
    "There were hardly any clouds in the sky this morning.",
    "What is the difference between a hurricane and a typhoon?",
    "Somebody parked a blue van right across our driveway.",
    "Please spell the name of the street for me.",
)
"""Written for this bench, and used nowhere else."""


@attrs.frozen
class Row:
    """One line of the table."""

    speakers: str
    noise_db: float | None
    recordings: int
    words: int
    wrong_words: int
    perfect: int
    """Recordings without a wrong word."""
    silent: int
    """Recordings in which no words were heard at all."""

    @property
    def rate(self) -> float:
        """Wrong words in percent."""
        return 100 * self.wrong_words / max(1, self.words)


async def measure_words(sentences: int = len(SENTENCES)) -> list[Row]:
    """All conditions, for the people and for the voices."""
    recogniser = Recogniser()
    await trio.to_thread.run_sync(recogniser.warm)
    human = [(PEOPLE[name], people(name)) for name in PEOPLE]
    synthetic = list(_synthetic(sentences))
    return [
        await _row(speakers, noise_db, recordings, recogniser)
        for speakers, recordings in (("people", human), ("voices", synthetic))
        for noise_db in CONDITIONS
    ]


def _synthetic(count: int) -> Iterator[tuple[str, bytes]]:
    for number, sentence in enumerate(SENTENCES[:count]):
        yield sentence, spoken(sentence, VOICES[number % len(VOICES)])


async def _row(
    speakers: str, noise_db: float | None, recordings: list[tuple[str, bytes]], recogniser: Recogniser
) -> Row:
    words = wrong = perfect = silent = 0
    for number, (said, pcm) in enumerate(recordings):
        heard = await understood(with_noise(pcm, noise_db, seed=number), recogniser)
        length = len(said.split())
        errors = round(word_errors(said, heard) * length)
        words, wrong = words + length, wrong + errors
        perfect += not errors
        silent += not heard
    return Row(speakers, noise_db, len(recordings), words, wrong, perfect, silent)


def with_noise(pcm: bytes, noise_db: float | None, seed: int) -> bytes:
    """Speech with a second of silence around it, and pink noise under all of it."""
    pcm = silence(400) + pcm + silence(2200)
    if noise_db is None:
        return pcm
    samples = np.frombuffer(pcm, np.int16).astype(np.float64)
    loud = samples[np.abs(samples) > 200]
    level = float(np.sqrt(np.mean(loud**2))) / 10 ** (noise_db / 20)
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal(len(samples)))
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 50)), len(samples))
    mixed = samples + pink * level / np.sqrt(np.mean(pink**2))
    return bytes(mixed.clip(-32767, 32767).astype("<i2").tobytes())


async def understood(pcm: bytes, recogniser: Recogniser) -> str:
    """What the ears make of a recording: the words of all its turns."""
    audio = Channel[bytes](
        "recording", capacity=4, unit="pieces", full=Full.WAIT, because="the ears are fast enough"
    )
    heard = Channel[HearingEvent](
        "heard", capacity=16, unit="events", full=Full.WAIT, because="they are read at once"
    )
    ears = Ears(audio.receiver(), heard.sender(), recogniser)
    sender, events = audio.sender(), heard.receiver()
    said: list[str] = []

    async def play() -> None:
        step = bytes_of_ms(50)
        async with sender:
            for start in range(0, len(pcm), step):
                await sender.send(pcm[start : start + step])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ears.run)
        nursery.start_soon(play)
        async with events:
            said = [event.text async for event in events if isinstance(event, TurnEnded)]
    return " ".join(text for text in said if text)
