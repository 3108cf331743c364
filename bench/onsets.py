"""How soon a person's first sound is noticed, and how often what is none: without a room, in samples.

    .venv/bin/python -m bench.onsets [--seed N] [--minutes N]

219 beginnings of phrases (`bench.noises.PHRASES`: 28 for each kind of first sound, and 23 that were
recorded), in a room whose noise is 40 dB below the person and in one of 15 dB; and 30 minutes of sounds that
are none.
Each rule judges the same sound. Times are from the person's own first sound to the last sample that the rule
needed: what the network, frames and the room's queue add is not in them (`bench.barge_in hold` has it).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Protocol

import attrs
import numpy as np
import numpy.typing as npt
import trio

from actors.onset.rises import Rises
from actors.onset.sounds import Onsets
from bench.noises import PERSON_RMS, Phrase, fetch_recordings, noise_of, phrases
from bench.report import Machine, percentile
from channels.settings import BargeInSettings
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms
from sound.vad import WINDOW_MS, Vad

__all__ = ["main"]

PIECE_MS = 10
LEAD_S = 2.0
MISSED_MS = 1000.0
EPISODE_S = 0.8
"""What is noticed again within this time is the same."""
ROOMS_DB = (40.0, 15.0)

AGENT: tuple[float, int] = (
    BargeInSettings().activation_threshold,
    math.ceil(BargeInSettings().min_speech_ms / WINDOW_MS),
)
"""Its own threshold and windows."""

Samples = npt.NDArray[np.float64]


class Rule(Protocol):
    """Something that notices beginnings."""

    def take(self, pcm: bytes) -> bool:
        """Whether a sound begins in these 10 ms."""


@attrs.define
class VoiceRule:
    """Silero and the agent's own rule over its windows."""

    threshold: float
    windows: int
    _vad: Vad = attrs.field(factory=Vad, init=False)
    _onsets: Onsets = attrs.field(init=False)
    _at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        settings = BargeInSettings(
            activation_threshold=self.threshold, min_speech_ms=self.windows * WINDOW_MS
        )
        self._onsets = Onsets(WINDOW_MS, settings)

    @property
    def sounding(self) -> bool:
        """Whether the sound goes on."""
        return self._onsets.sounding

    def take(self, pcm: bytes) -> bool:
        """As `Rule.take`."""
        before, self._at = self._onsets.sounding, self._at + PIECE_MS / 1000
        for window in self._vad.feed(pcm):
            self._onsets.take(window.probability, self._at)
        return self._onsets.sounding and not before


@attrs.define
class RiseRule:
    """The agent's own: what rises out of the room's noise, or is a voice, whichever is first."""

    _rises: Rises = attrs.field(factory=Rises, init=False)
    _voice: VoiceRule = attrs.field(factory=lambda: VoiceRule(*AGENT), init=False)

    def take(self, pcm: bytes) -> bool:
        """As `Rule.take`."""
        risen = self._rises.take(pcm, voice=self._voice.sounding)
        return self._voice.take(pcm) or risen


RULES: Mapping[str, Callable[[], Rule]] = {
    "rises by 10 dB, or held (the voice is lowered)": RiseRule,
    f"{AGENT[0]} for {AGENT[1]} window (the voice is held)": partial(VoiceRule, *AGENT),
    "0.5 for 2 windows (Silero's default)": partial(VoiceRule, 0.5, 2),
    "0.4 for 1 window": partial(VoiceRule, 0.4, 1),
    "0.3 for 1 window": partial(VoiceRule, 0.3, 1),
}


def _room(random: np.random.Generator, samples: int, rms: float) -> Samples:
    """The noise of a room: less of it the higher it is."""
    hertz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    spectrum = random.normal(size=len(hertz)) + 1j * random.normal(size=len(hertz))
    sound: Samples = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 100)), samples)
    scaled: Samples = sound * rms / np.sqrt(np.mean(sound**2))
    return scaled


def _pieces(sound: Samples) -> Iterator[bytes]:
    pcm = np.rint(sound).clip(-32768, 32767).astype("<i2").tobytes()
    size = bytes_of_ms(PIECE_MS)
    yield from (pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size))


def noticed_ms(rule: Rule, phrase: Phrase, room_db: float, random: np.random.Generator) -> float:
    """How long after their first sound somebody is noticed; infinity: not within `MISSED_MS`."""
    lead = int(SAMPLE_RATE_HZ * (LEAD_S + random.uniform(0, WINDOW_MS / 1000)))
    said = np.frombuffer(phrase.pcm, "<i2").astype(float)
    begins = lead + int(phrase.begins_s * SAMPLE_RATE_HZ)
    length = begins + int(SAMPLE_RATE_HZ * MISSED_MS / 1000)
    sound = _room(random, length, PERSON_RMS * 10 ** (-room_db / 20))
    said = said[: length - lead]
    sound[lead : lead + len(said)] += said
    for number, piece in enumerate(_pieces(sound)):
        until = (number + 1) * SAMPLE_RATE_HZ * PIECE_MS // 1000
        if rule.take(piece) and until > begins:
            return (until - begins) * 1000 / SAMPLE_RATE_HZ
    return math.inf


def noticed_for_nothing(rule: Rule, sound: Samples) -> int:
    """How often a sound is noticed in this one, in which there is nobody."""
    found, last = 0, -EPISODE_S
    for number, piece in enumerate(_pieces(sound)):
        at = number * PIECE_MS / 1000
        if rule.take(piece):
            found += at - last >= EPISODE_S
            last = at
    return found


def _sparse(make: Callable[[], Samples], random: Random, seconds: float) -> Samples:
    """A sound again and again, with pauses of 1 to 3 s."""
    sound, at = np.zeros(int(seconds * SAMPLE_RATE_HZ)), SAMPLE_RATE_HZ
    while at < len(sound):
        one = make()[: len(sound) - at]
        sound[at : at + len(one)] += one
        at += len(one) + int(SAMPLE_RATE_HZ * random.uniform(1, 3))
    return sound


def _of(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(float)


def nobody(seed: int, seconds: float) -> Mapping[str, Samples]:
    """Sounds in which nobody speaks to the agent, so many seconds of each kind."""
    random, numbers = Random(seed), np.random.default_rng(seed)

    def clap() -> Samples:
        count = int(0.12 * SAMPLE_RATE_HZ)
        fading = np.exp(-np.arange(count) / (0.02 * SAMPLE_RATE_HZ))
        sound: Samples = numbers.normal(size=count) * fading * random.uniform(4000, 9000)
        return sound

    def beep() -> Samples:
        at = np.arange(int(random.uniform(0.1, 0.4) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        edge = np.minimum(1, np.minimum(at, at[::-1]) / 0.005)
        sound: Samples = np.sin(2 * np.pi * random.choice((440, 880, 1000, 1400, 2000)) * at) * edge * 2500
        return sound

    def lasting(kind: str) -> Samples:
        count, parts = int(seconds * SAMPLE_RATE_HZ), list[Samples]()
        while sum(map(len, parts)) < count:
            parts.append(_of(noise_of(kind, random)))
        return np.concatenate(parts)[:count]

    sounds = {kind: lasting(kind) for kind in ("keyboard", "office", "music", "crowd", "white noise")}
    sounds["claps"] = _sparse(clap, random, seconds)
    sounds["beeps"] = _sparse(beep, random, seconds)
    sounds["cough"] = _sparse(lambda: _of(noise_of("cough", random)), random, seconds)
    quiet = PERSON_RMS * 10 ** (-ROOMS_DB[0] / 20)
    return {kind: sound + _room(numbers, len(sound), quiet) for kind, sound in sounds.items()}


def run(seed: int, minutes: float) -> Iterator[str]:
    """The lines of the tables."""
    kinds = list(dict.fromkeys(phrase.kind for phrase in phrases()))
    for room_db in ROOMS_DB:
        yield (
            f"  {f'room {room_db:.0f} dB; ms, p50 / p95':<46}"
            + "".join(f"{kind:>12}" for kind in kinds)
            + (f"{'all':>12}{'max':>7}{'missed':>8}")
        )
        for name, make in RULES.items():
            numbers = np.random.default_rng(seed)
            times = {kind: list[float]() for kind in kinds}
            for phrase in phrases():
                times[phrase.kind].append(noticed_ms(make(), phrase, room_db, numbers))
            every = [one for each in times.values() for one in each]
            shown = "".join(f"{_two(each):>12}" for each in (*times.values(), every))
            found = [one for one in every if one < math.inf]
            yield f"  {name:<46}{shown}{max(found):>7,.0f}{len(every) - len(found):>8}"
        yield ""
    sounds = nobody(seed, 60 * minutes / 8)
    yield f"  {f'noticed for nothing, a minute ({minutes:.0f} in all)':<46}" + "".join(
        f"{kind:>12}" for kind in sounds
    )
    for name, make in RULES.items():
        minutes_each = minutes / len(sounds)
        a_minute = [noticed_for_nothing(make(), sound) / minutes_each for sound in sounds.values()]
        yield f"  {name:<46}" + "".join(f"{one:>12.1f}" for one in a_minute)


def _two(times: Sequence[float]) -> str:
    return f"{percentile(times, 50):.0f} / {percentile(times, 95):.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.onsets", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: %(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=30, help="of sounds that are none (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    trio.run(fetch_recordings)
    machine, began = Machine.this("none"), time.monotonic()
    print(f"Onsets: from a person's own first sound on, in sound alone; seed {options.seed}\n")
    for line in run(options.seed, options.minutes):
        print(line, flush=True)
    print(f"\n  {machine.cores} cores, {machine.processor}; {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
