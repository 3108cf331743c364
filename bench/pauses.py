"""Sentences in which somebody pauses: what they have said by then, and how long they are silent.

A voice of the playground says the whole sentence; silence is put into it behind a comma, so that the voice
sounds as it does when more is to come. Written for this bench, and used nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import attrs
import numpy as np

from bench.word_errors import VOICES
from playground.voices import voice
from sound.pcm import SAMPLE_BYTES, SAMPLE_RATE_HZ, bytes_of_ms

__all__ = ["PAUSES_MS", "SENTENCES", "Paused", "paused"]

PAUSES_MS = (300, 900)

SENTENCES = (
    "When I came home yesterday evening, the door was open.",
    "If it rains tomorrow, we will stay at home.",
    "I would like two tickets, one for me and one for my daughter.",
    "My address is twelve Garden Street, in the old part of the town.",
    "Before we begin, could you tell me how long this takes?",
    "The blue one is nice, but the red one is cheaper.",
    "I called you last week, and nobody answered.",
    "As far as I remember, the meeting was on Tuesday.",
    "Could you book a table for Friday, or is that too late?",
    "We need bread, butter and a bottle of milk.",
    "After the second crossing, turn left at the church.",
    "She said she would come, although she was very tired.",
    "To be honest, I have never understood this machine.",
    "My brother, who lives in Canada, is visiting us next month.",
    "I ordered the large size, because the medium was too tight.",
    "In the morning, I usually take the bus to work.",
    "Please send it to my office, not to my home.",
    "While you are at it, please check the other account as well.",
    "The first page is fine, the second one has a mistake.",
    "Unless something happens, I will be there at nine.",
    "I lost my card on Monday, so I need a new one.",
    "Once the water boils, add the rice and a little salt.",
    "I can come on Wednesday, Thursday or on Saturday morning.",
    "Since nobody was there, I left the key with the neighbours.",
    "The flight was cheap, but the hotel cost a fortune.",
    "You know, I was thinking about a smaller car.",
    "Not this week, but perhaps the week after.",
    "If you press the green button, the light should come on.",
    "He wanted to pay in cash, which was not possible.",
    "As soon as I have the result, I will write to you.",
    "I have read your letter, and I agree with most of it.",
    "On the other hand, we could simply wait until spring.",
    "The number on the box is four seven two, nine one five.",
    "Even though it is expensive, I think we should buy it.",
    "Yes, but what happens if the power fails?",
    "Well, how much would that be for a whole year?",
    "I was born in Vienna, but I grew up in Italy.",
    "Instead of a starter, I will have another main course.",
    "We moved here in March, just after the baby was born.",
    "For the birthday party, I want a cake with candles.",
)
_OF_A_FADE = SAMPLE_RATE_HZ * 5 // 1000


@attrs.frozen
class Paused:
    """A sentence with one pause. PCM16 mono 24 kHz."""

    text: str
    voice: str
    before: bytes = attrs.field(repr=False)
    pause_ms: int
    after: bytes = attrs.field(repr=False)


def paused(count: int, seed: int = 1) -> Iterator[Paused]:
    """So many of them, in several voices, with pauses of `PAUSES_MS`."""
    random = Random(seed)
    for number in range(count):
        text = SENTENCES[number % len(SENTENCES)]
        name = VOICES[(number + number // len(SENTENCES)) % len(VOICES)]
        said = voice(name).say(text)
        commas = [at for at, word in enumerate(said.words[:-1]) if word.text.endswith(",")]
        at = random.choice(commas)
        cut_ms = _quietest_ms(said.pcm, said.words[at].end_ms - 30, said.words[at + 1].start_ms + 30)
        cut = bytes_of_ms(cut_ms)
        yield Paused(
            text,
            name,
            _faded(said.pcm[:cut], 0, 1),
            random.randint(*PAUSES_MS),
            _faded(said.pcm[cut:], 1, 0),
        )


def _quietest_ms(pcm: bytes, first_ms: int, last_ms: int) -> int:
    def energy(ms: int) -> float:
        piece = np.frombuffer(pcm[bytes_of_ms(ms - 10) : bytes_of_ms(ms + 10)], "<i2").astype(np.float64)
        return float(np.sum(piece**2))

    return min(range(first_ms, max(last_ms, first_ms + 1), 5), key=energy)


def _faded(pcm: bytes, rising: int, falling: int) -> bytes:
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    ramp = np.linspace(0, 1, _OF_A_FADE)
    if rising:
        samples[:_OF_A_FADE] *= ramp
    if falling:
        samples[-_OF_A_FADE:] *= ramp[::-1]
    faded: bytes = samples.astype("<i2").tobytes()
    assert len(faded) % SAMPLE_BYTES == 0
    return faded
