"""What a person in a room says to an agent, and understands of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from bench.guest import Guest
from bench.speech import at_16_khz, silence, spoken
from sound.recogniser import Recogniser

__all__ = ["TIMES", "answer_to", "say_and_listen", "words_in"]

TIMES = 3
"""So often somebody says a thing, until it is understood."""


async def say_and_listen(guest: Guest, pcm: bytes, *, silence_s: float = 1.0) -> bytes:
    """Says something and returns what is heard until it is silent again (PCM16 mono, 24 kHz).

    It is empty if there was no answer, or one without an end.
    """
    # An open microphone is there before the first word; without it the word's beginning can be lost.
    await guest.say(silence(1000) + pcm)
    ended = time.monotonic()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(guest.hush, 120)
        try:
            await guest.hear_sound(within_s=30, since=ended)
            await guest.hear_silence(for_s=silence_s, within_s=60)
        except trio.TooSlowError:
            return b""
        finally:
            nursery.cancel_scope.cancel()
    return guest.sound_since(ended)


async def words_in(pcm: bytes) -> str:
    """What somebody who understands English hears in it, in small letters without hyphens."""
    heard = await trio.to_thread.run_sync(lambda: Recogniser().transcribe(at_16_khz(pcm)))
    return heard.lower().replace("-", " ")


async def answer_to(
    guest: Guest,
    said: str,
    answers: Callable[[str], bool] = lambda words: True,
    *,
    silence_s: float = 1.0,
) -> tuple[str, bytes]:
    """The words of the answer to something that was said, and its sound.

    Who sees that they were misheard says it again: on a machine that is busy with other tests, a word may get
    lost on its way. How well people are understood is not judged here, but in `tests/sound`.

    Args:
        guest: says it.
        said: in English.
        answers: whether these words are an answer to it.
        silence_s: so long a pause ends the answer.

    Raises:
        AssertionError: three times, it was no answer.
    """
    heard = list[str]()
    for _ in range(TIMES):
        sound = await say_and_listen(guest, spoken(said), silence_s=silence_s)
        heard.append(await words_in(sound) if sound else "")
        if sound and answers(heard[-1]):
            return heard[-1], sound
    raise AssertionError(f"to {said!r} it answered {heard}")
