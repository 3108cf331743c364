"""What becomes of short sounds over the agent's voice: given back or kept, and when the voice is heard again.

    .venv/bin/python -m bench.short_sounds [--quick] [--json FILE]

No room, no network and no waiting: each sound goes through the detector's windows and onsets, the judge of
short sounds and the barge-in machine, each at the time at which it would be there; the recogniser's time is
the one that it took. The sounds are synthetic (`bench.noises`, the playground's eighteen voices), and so is
the room: a little white noise.

Each sound is tried with each value of `barge_in.short_sounds`; `off` is the plain rule of `linger_ms`.

- The service is silent: when the voice is heard again.
- The service says what the live one was recorded to say: speech 1.2 to 2.2 s after the first sound, its end
  1.5 to 2.1 s after that, and, at "stop" and longer phrases, its decision with it. How often the voice was
  heard again before that, and how long it was silent if nobody interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import attrs
import numpy as np
import numpy.typing as npt

from actors.barge_in.conversation import Conversation
from actors.barge_in.floor import FloorState
from actors.barge_in.machine import Event, step
from actors.onset.sounds import Onsets
from actors.short_sounds.actor import patience_s
from actors.short_sounds.following import Followed, GoesOn, ShortSound
from actors.short_sounds.verdict import judged
from bench.noises import noise_of
from bench.report import Machine, percentile
from channels.happenings import SoundJudged
from channels.messages import HeardWindow, Hold, Playing, Resume, TimePassed
from channels.settings import BargeInSettings
from channels.settings.short_words import ShortWords, words_of
from channels.settings.short_words_file import read_short_words
from channels.wire.events import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
)
from playground.voices import VOICES, Voice
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms
from sound.recogniser import Recogniser
from sound.vad import WINDOW_MS, Vad, warm

__all__ = ["main"]

SAID: Mapping[str, Sequence[str]] = {
    '"mm-hm", "hmm"': ("Mm-hm.", "Hmm."),
    '"uh-huh"': ("Uh-huh.",),
    '"yeah", "okay"': ("Yeah.", "Okay.", "Right.", "Yes."),
    '"stop", "wait"': ("Stop.", "Wait.", "No.", "Hold on."),
    "longer phrases": (
        "Can you say that again?",
        "I want to talk to somebody else.",
        "That is not what I asked.",
        "What about tomorrow morning?",
    ),
}
MEANT = ('"stop", "wait"', "longer phrases")
"""What the service decides on."""
PACES = (1.0, 1.25)
MODES = ("off", "voice", "words")
COUNT = 72
NAMED_S, STOPPED_S = (1.2, 2.2), (1.475, 2.1)
"""As the live service was recorded: first sound to `input.speech.started`, and from there to its end."""

_LEAD_S = 0.5
_PIECE_MS = 10
_AUDIBLE = 0.02
"""Of a sound's peak: where it begins."""

Samples = npt.NDArray[np.float64]


@attrs.frozen
class Sound:
    """One of them."""

    kind: str
    pcm: bytes = attrs.field(repr=False)
    """In a quiet room, with silence around it."""
    begins_s: float


@attrs.frozen
class Heard:
    """What the agent makes of one, in one mode, whatever the service does."""

    kind: str
    mode: str
    judged: SoundJudged | None
    """The first judgement."""
    judged_ms: float | None
    """From the sound's beginning."""
    listened_ms: float
    """The recogniser's CPU time."""
    held: bool
    again_ms: float | None
    """From the sound's beginning to the voice, if the service is silent."""
    early: bool
    """The voice was heard again before the service had decided."""
    silent_ms: float
    """How long it was silent, if the service names it and decides nothing, or cuts."""


def sounds(count: int, seed: int) -> Iterator[Sound]:
    """All of them."""
    random, noise = Random(seed), np.random.default_rng(seed)
    for _ in range(count):
        yield _in_a_room("cough", _samples(noise_of("cough", random)), noise)
    for _ in range(count):
        first = _samples(noise_of("cough", random))[: SAMPLE_RATE_HZ // 4]
        yield _in_a_room("250 ms of a cough", first, noise)
    for number in range(count):
        yield _in_a_room("click, clap, door", _knock(number % 3, noise), noise)
    voices = [_at_pace(name, pace) for pace in PACES for name in VOICES]
    for kind, texts in SAID.items():
        # Each text in as many voices as there is place for.
        for number in range(count):
            said = voices[number // len(texts) % len(voices)].say(texts[number % len(texts)])
            yield _in_a_room(kind, _samples(said.pcm), noise)


def _at_pace(name: str, pace: float) -> Voice:
    card = VOICES[name]
    return Voice(attrs.evolve(card, timbre=attrs.evolve(card.timbre, speed=card.timbre.speed * pace)))


def _samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(float)


def _knock(which: int, noise: np.random.Generator) -> Samples:
    length = int(SAMPLE_RATE_HZ * (0.03, 0.18, 0.35)[which])
    t = np.arange(length) / SAMPLE_RATE_HZ
    hiss = noise.normal(size=length)
    match which:
        case 0:
            sound = hiss * np.exp(-t / noise.uniform(0.002, 0.006))
        case 1:
            tail = np.exp(-t / noise.uniform(0.03, 0.07))
            sound = hiss * (np.exp(-t / noise.uniform(0.004, 0.01)) + 0.2 * tail)
        case _:
            thud = np.sin(2 * np.pi * noise.uniform(60, 180) * t) * np.exp(-t / noise.uniform(0.05, 0.12))
            sound = thud + 0.5 * hiss * np.exp(-t / noise.uniform(0.01, 0.03))
    knock: Samples = sound / np.abs(sound).max() * 16_000
    return knock


def _in_a_room(kind: str, sound: Samples, noise: np.random.Generator) -> Sound:
    sound = sound * noise.uniform(0.5, 1.3)
    lead, after = int(_LEAD_S * SAMPLE_RATE_HZ), 2 * SAMPLE_RATE_HZ
    room = noise.normal(0, 20, lead + len(sound) + after)
    room[lead : lead + len(sound)] += sound
    first = int(np.argmax(np.abs(sound) > _AUDIBLE * np.abs(sound).max()))
    pcm = room.clip(-32768, 32767).astype("<i2").tobytes()
    return Sound(kind, pcm, _LEAD_S + first / SAMPLE_RATE_HZ)


Times = list[tuple[float, Event]]


@attrs.frozen
class Listener:
    """The agent's ears."""

    recogniser: Recogniser
    words: ShortWords

    def hear(self, sound: Sound, mode: str) -> tuple[Times, float]:
        """What they tell the controller, and when; and the recogniser's CPU time (ms)."""
        vad, onsets, followed = Vad(), Onsets(WINDOW_MS), Followed()
        told: Times = []
        judgement: tuple[float, SoundJudged] | None = None
        listened_ms = 0.0
        size, windows = bytes_of_ms(_PIECE_MS), 0
        for number in range(len(sound.pcm) // size):
            now = (number + 1) * _PIECE_MS / 1000
            for window in vad.feed(sound.pcm[number * size : (number + 1) * size]):
                windows += 1
                at = windows * WINDOW_MS / 1000
                happening = onsets.take(window.probability, at)
                if happening is not None:
                    told.append((now, happening))
                pause_ms = onsets.silent_ms if onsets.sounding else None
                if mode == "off":
                    continue
                match followed.take(HeardWindow(window.pcm, at, window.probability, pause_ms)):
                    case ShortSound() as short:
                        text, took_s = None, 0.0
                        if mode == "words":
                            began, busy = time.perf_counter(), time.thread_time()
                            text = self.recogniser.transcribe(short.pcm)
                            took_s = time.perf_counter() - began
                            listened_ms += (time.thread_time() - busy) * 1000
                            if took_s > patience_s(short):
                                text, took_s = None, patience_s(short)
                        judgement = None
                        if (found := judged(short, text, self.words)) is not None:
                            judgement = now + took_s, found
                            told.append(judgement)
                    case GoesOn(at=began_at):
                        if judgement is not None and judgement[0] > now:
                            told.remove(judgement)  # it goes on before it is judged
                            judgement = None
                        if judgement is not None and judgement[1].at == began_at and not judgement[1].keeps:
                            judgement = now, SoundJudged(began_at, keeps=True, why="goes on")
                            told.append(judgement)
                    case None:
                        pass
        return sorted(told, key=lambda each: each[0]), listened_ms


def _talking() -> Conversation:
    conversation = Conversation(floor=FloorState(BargeInSettings()))
    reply = (
        SessionReady("s"),
        ReplyStarted("r"),
        ReplyAudio(bytes(bytes_of_ms(60_000)), "r"),
        Playing("r", 600.0, audible=True),
    )
    for event in reply:
        conversation, _, _ = step(conversation, event, 0.0)
    return conversation


def _orders(told: Times, until: float) -> list[tuple[float, Hold | Resume]]:
    """When the voice is held and goes on."""
    conversation, orders = _talking(), list[tuple[float, Hold | Resume]]()

    def take(event: Event, now: float) -> None:
        nonlocal conversation
        conversation, commands, _ = step(conversation, event, now)
        orders.extend((now, command) for command in commands if isinstance(command, Hold | Resume))

    for at, event in [*told, (until, TimePassed())]:
        while conversation.deadline <= at:
            take(TimePassed(), conversation.deadline)
        take(event, at)
    return orders


def try_out(listener: Listener, sound: Sound, mode: str, service: tuple[float, float]) -> Heard:
    """One sound in one mode.

    Args:
        listener: to it.
        sound: over the agent's voice.
        mode: of `barge_in.short_sounds`.
        service: from the first sound to its `input.speech.started`, and from there to its end (s).
    """
    told, listened_ms = listener.hear(sound, mode)
    alone = _orders(told, 12.0)
    held = bool(alone)
    resumed = [at for at, order in alone if isinstance(order, Resume)]
    judgement = next(((at, event) for at, event in told if isinstance(event, SoundJudged)), None)
    named_at = sound.begins_s + service[0]
    ended_at = named_at + service[1]
    meant = sound.kind in MEANT
    decision: list[tuple[float, Event]] = [(ended_at + 0.009, ReplyDone("r", "interrupted"))] if meant else []
    # It names voices only.
    voice = sound.kind in SAID
    named: Times = [(named_at, SpeechStarted()), (ended_at, SpeechStopped())] if voice else []
    both = sorted([*told, *named, *decision], key=lambda each: each[0])
    orders = _orders(both, 14.0)
    before = [at for at, order in orders if isinstance(order, Resume) and at < ended_at]
    silent, held_at = 0.0, None
    for at, order in orders:
        if isinstance(order, Hold):
            held_at = at
        elif held_at is not None:
            silent, held_at = silent + at - held_at, None
    return Heard(
        sound.kind,
        mode,
        judgement[1] if judgement is not None and isinstance(judgement[1], SoundJudged) else None,
        (judgement[0] - sound.begins_s) * 1000 if judgement is not None else None,
        listened_ms,
        held,
        (resumed[-1] - sound.begins_s) * 1000 if resumed else None,
        meant and bool(before),
        silent * 1000,
    )


def _rows(heard: Sequence[Heard]) -> Iterator[str]:
    yield (
        f"  {'':<20}{'mode':<7}{'tries':>6}{'held':>6}{'given back':>12}{'kept':>6}{'neither':>9}"
        f"{'judged p50':>12}{'p95':>6}{'again p50':>11}{'p95':>7}{'early':>7}{'silent p50':>12}"
    )
    for kind in dict.fromkeys(each.kind for each in heard):
        for mode in MODES:
            some = [each for each in heard if each.kind == kind and each.mode == mode]
            held = [each for each in some if each.held]
            judged_ms = [each.judged_ms for each in held if each.judged_ms is not None]
            again = [each.again_ms for each in held if each.again_ms is not None]
            back = sum(each.judged is not None and not each.judged.keeps for each in held)
            kept = sum(each.judged is not None and each.judged.keeps for each in held)
            silent = [each.silent_ms for each in held]
            early = sum(each.early for each in some)
            yield (
                f"  {kind if mode == MODES[0] else '':<20}{mode:<7}{len(some):>6}{len(held):>6}"
                f"{back:>12}{kept:>6}{len(held) - back - kept:>9}"
                f"{_ms(judged_ms, 50):>12}{_ms(judged_ms, 95):>6}"
                f"{_ms(again, 50):>11}{_ms(again, 95):>7}{early:>7}{_ms(silent, 50):>12}"
            )


def _ms(values: Sequence[float], percent: float) -> str:
    return f"{percentile(values, percent):,.0f}" if values else "–"


def main(arguments: Sequence[str]) -> int:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(prog="bench.short_sounds", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a sixth of the sounds")
    parser.add_argument("--json", type=Path, help="writes each try there, too")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    warm()  # the detector is there in any case, and onnxruntime with it
    before_mb = _memory_mb()
    recogniser = Recogniser()
    recogniser.warm()
    grown_mb = _memory_mb() - before_mb
    listener = Listener(recogniser, words_of(read_short_words(()), None))
    random = Random(options.seed)
    heard = []
    for sound in sounds(COUNT // 6 if options.quick else COUNT, options.seed):
        service = random.uniform(*NAMED_S), random.uniform(*STOPPED_S)
        heard += [try_out(listener, sound, mode, service) for mode in MODES]
    machine = Machine.this("none")
    listened = [each.listened_ms for each in heard if each.listened_ms]
    print("Short sounds over the agent's voice\n")
    print(f"  machine     {machine.cores} cores, {machine.processor}, {machine.system}; ", end="")
    print(f"load {load:.1f} before the run, {os.getloadavg()[0]:.1f} at its end")
    print(f"  recogniser  {grown_mb:.0f} MB of memory once loaded; CPU for a sound: ", end="")
    print(f"{percentile(listened, 50):.0f} ms in the median, {percentile(listened, 95):.0f} ms p95\n")
    print(*_rows(heard), sep="\n")
    if options.json is not None:
        options.json.write_text(json.dumps([attrs.asdict(each) for each in heard], indent=1))
    return 0


def _memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
