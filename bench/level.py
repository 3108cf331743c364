"""What becomes of a person's level on the way to the service: untouched, by the SDK's gain control, by ours.

    .venv/bin/python -m bench.level [--quick] [--json FILE]

The live service was seen to notice an interruption from peaks of about 0.66 of full scale on, not of a third,
and browsers turn a person down to about a third while the agent is audible. No room and no network: the sound
goes through each of the three in frames of 50 ms, as in the agent.

- Speech: sentences of the playground's voices, brought to a peak, in no noise and in pink noise.
- Turned down: a sentence at 0.8, and one at a third of that while the agent is audible.
- Noises alone (`bench.noises`), before anybody has spoken and after; the agent's own voice as an echo.
- The onset detector's judge, given each of the three: sounds missed, delay, sounds where nobody speaks.
- The offline recogniser, given each of the three: wrong words.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Protocol

import attrs
import numpy as np
import numpy.typing as npt
import trio
from livekit import rtc

from actors.mic.level import Leveller
from actors.onset.sounds import Onsets
from bench.noises import NOISES, beginnings, even_voice, fetch_recordings, noise_of
from bench.programs import tell, until_signal
from bench.report import Machine, percentile
from bench.speech import silence, spoken, word_errors
from bench.word_errors import SENTENCES, VOICES, understood, with_noise
from channels.ending import end_with
from channels.happenings import SoundStarted
from channels.settings.room import LevelSettings
from sound.pcm import SAMPLE_RATE_HZ, bytes_of_ms, ms_of_bytes
from sound.recogniser import Recogniser
from sound.vad import WINDOW_MS, Vad

__all__ = ["TREATMENTS", "main"]

INTERRUPTS_FROM = 0.66
"""Of full scale."""
PEAKS = (0.05, 0.1, 0.2, 0.33, 0.66, 1.0)
NOISE_DB: tuple[float | None, ...] = (None, 40.0, 15.0)
ECHO_DB = (-20.0, -10.0)

_FRAME_MS = 50
_WINDOW = SAMPLE_RATE_HZ // 10
_VOICED_RMS = 0.1
"""Of the loudest window: below it a window is a pause."""
_LEAD_MS = 1000
_GREETING_MS = 2500
_PERSON_PEAK = 0.8
_TURNED_DOWN = 1 / 3

Samples = npt.NDArray[np.float64]


class Treatment(Protocol):
    """What is done to a person's sound."""

    def feed(self, pcm: bytes, *, agent_audible: bool) -> bytes:
        """A frame, treated."""


class _Untouched:
    def feed(self, pcm: bytes, *, agent_audible: bool) -> bytes:
        return pcm


class _SdkGain:
    def __init__(self) -> None:
        self._processing = rtc.AudioProcessingModule(auto_gain_control=True)

    def feed(self, pcm: bytes, *, agent_audible: bool) -> bytes:
        step, out = bytes_of_ms(10), bytearray()
        for offset in range(0, len(pcm), step):
            piece = pcm[offset : offset + step].ljust(step, b"\0")
            frame = rtc.AudioFrame(piece, SAMPLE_RATE_HZ, 1, step // 2)
            self._processing.process_stream(frame)  # in place
            out += frame.data
        return bytes(out[: len(pcm)])


TREATMENTS: dict[str, Callable[[], Treatment]] = {
    "untouched": _Untouched,
    "SDK's gain": _SdkGain,
    "ours": lambda: Leveller(LevelSettings().most_gain),
}


_ALWAYS = (0.0, float("inf"))


def treated(pcm: bytes, treatment: Treatment, *audible_ms: tuple[float, float]) -> bytes:
    """A whole sound, frame by frame; the agent is audible from each to each."""
    step, out = bytes_of_ms(_FRAME_MS), bytearray()
    for offset in range(0, len(pcm), step):
        at_ms = ms_of_bytes(offset)
        audible = any(begin <= at_ms < end for begin, end in audible_ms)
        out += treatment.feed(pcm[offset : offset + step], agent_audible=audible)
    return bytes(out)


@attrs.frozen
class SpeechRow:
    """Sentences at one level, through one treatment."""

    treatment: str
    scene: str
    noise_db: float | None
    peak: float
    """The median over the sentences, of full scale."""
    rms_db: float
    """Of all voiced windows."""
    share: float
    """Of the voiced windows: those that reach `INTERRUPTS_FROM`."""
    sentences_share: float
    """Of the sentences: those that reach it at all."""
    reached_ms: float | None
    """The median, from the first sound until it is reached, where it is."""
    clipped: int


@attrs.frozen
class NoiseRow:
    """A noise alone: by how many dB it is raised."""

    kind: str
    treatment: str
    fresh_db: float
    after_speech_db: float
    peak: float
    """After speech, of full scale."""


@attrs.frozen
class OnsetRow:
    """The onset detector's judge on one treatment."""

    treatment: str
    scene: str
    sounds: int
    missed: int
    delay_ms: float | None
    false_alarms: int
    """Sounds noticed where nobody speaks."""
    noise_s: float


@attrs.frozen
class WordRow:
    """The recogniser on one treatment."""

    treatment: str
    scene: str
    words: int
    wrong: int


@attrs.frozen
class Figures:
    """One run."""

    machine: Machine
    seed: int
    load_before: float
    load_after: float
    lasted_s: float
    cpu_ms: dict[str, float]
    """Of a second of sound."""
    speech: tuple[SpeechRow, ...]
    noises: tuple[NoiseRow, ...]
    onsets: tuple[OnsetRow, ...]
    words: tuple[WordRow, ...]

    def as_text(self) -> str:
        """The tables."""
        cpu = ", ".join(f"{name} {ms:.1f}" for name, ms in self.cpu_ms.items() if ms > 0.05)
        lines = [
            "Level: what arrives of a person, untouched and levelled",
            "",
            f"  machine   {self.machine.cores} cores, {self.machine.processor}, {self.machine.system}; "
            f"load {self.load_before:.1f} before the run, {self.load_after:.1f} at its end",
            f"  versions  Python {self.machine.python}, livekit {self.machine.packages['livekit']}",
            f"  run       seed {self.seed}, {self.lasted_s:.0f} s",
            f"  CPU       ms a second of sound: {cpu}",
            "",
            f"  {'speech':<34}{'noise':>6}  {'':<11}{'peak':>6}{'RMS':>7}{'windows':>9}{'sentences':>11}"
            f"{'reached':>9}{'clipped':>9}",
            f"  {'':<53}{'':>6}{'dBFS':>7}{'>= 0.66':>9}{'>= 0.66':>11}{'ms':>9}{'samples':>9}",
        ]
        scene: tuple[str, float | None] | None = None
        for row in self.speech:
            named = f"{row.scene:<34}{'–' if row.noise_db is None else f'{row.noise_db:.0f} dB':>6}"
            first, scene = scene != (row.scene, row.noise_db), (row.scene, row.noise_db)
            reached = "–" if row.reached_ms is None else f"{row.reached_ms:,.0f}"
            lines.append(
                f"  {named if first else '':<40}  {row.treatment:<11}{row.peak:>6.2f}{row.rms_db:>7.1f}"
                f"{row.share:>9.0%}{row.sentences_share:>11.0%}{reached:>9}{row.clipped:>9,}"
            )
        lines += ["", f"  {'alone':<22}{'':<11}{'fresh':>8}{'after speech':>14}{'peak then':>11}"]
        kind = ""
        for noise in self.noises:
            named, kind = noise.kind if noise.kind != kind else "", noise.kind
            lines.append(
                f"  {named:<22}{noise.treatment:<11}{noise.fresh_db:>+5.1f} dB"
                f"{noise.after_speech_db:>+11.1f} dB{noise.peak:>11.2f}"
            )
        lines += ["", f"  {'onset detector':<34}{'':<11}{'sounds':>7}{'missed':>8}{'p50 ms':>8}{'false':>10}"]
        for onset in self.onsets:
            delay = "–" if onset.delay_ms is None else f"{onset.delay_ms:,.0f}"
            false = f"{onset.false_alarms} in {onset.noise_s:.0f} s" if onset.noise_s else "–"
            lines.append(
                f"  {onset.scene:<34}{onset.treatment:<11}{onset.sounds:>7}{onset.missed:>8}"
                f"{delay:>8}{false:>14}"
            )
        if self.words:
            lines += ["", f"  {'recogniser':<34}{'':<11}{'words':>7}{'wrong':>8}{'%':>8}"]
            lines += [
                f"  {row.scene:<34}{row.treatment:<11}{row.words:>7}{row.wrong:>8}"
                f"{100 * row.wrong / row.words:>8.1f}"
                for row in self.words
            ]
        return "\n".join([*lines, ""])


def _unit(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, "<i2").astype(np.float64) / 32768


def _pcm(sound: Samples) -> bytes:
    pcm: bytes = np.rint(sound * 32768).clip(-32768, 32767).astype("<i2").tobytes()
    return pcm


def at_peak(pcm: bytes, peak: float) -> bytes:
    """The same sound with that peak, of full scale."""
    sound = _unit(pcm)
    return _pcm(sound * (peak / np.abs(sound).max()))


def _in_noise(pcm: bytes, noise_db: float | None, seed: int) -> bytes:
    """Speech with the noise under it and before it; without noise, with what a quiet room has."""
    return with_noise(silence(_LEAD_MS - 400) + pcm, 60.0 if noise_db is None else noise_db, seed)


def _first_sound(sound: Samples) -> int:
    """The sample at which speech begins: the first 10 ms that are above a tenth of the loudest."""
    blocks = sound[: len(sound) // 240 * 240].reshape(-1, 240)
    loudness = np.sqrt(np.mean(blocks**2, axis=1))
    return int(np.argmax(loudness > 0.1 * loudness.max())) * 240


def _windows(sound: Samples) -> Samples:
    return sound[: len(sound) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)


@attrs.frozen
class _Said:
    """A sentence after the treatment: from its beginning on."""

    before: Samples
    after: Samples
    clean: Samples
    """Without the noise: where speech is."""


def _speech_row(treatment: str, scene: str, noise_db: float | None, said: Sequence[_Said]) -> SpeechRow:
    peaks, reached, windows, clipped = [], [], [], 0
    for one in said:
        size = np.abs(one.after)
        peaks.append(float(size.max()))
        begin = _first_sound(one.clean)
        loud = np.nonzero(size[begin:] >= INTERRUPTS_FROM)[0]
        if len(loud):
            reached.append(float(loud[0]) * 1000 / SAMPLE_RATE_HZ)
        rms = np.sqrt(np.mean(_windows(one.clean) ** 2, axis=1))
        windows.append(_windows(one.after)[rms > _VOICED_RMS * rms.max()])
        full = size >= 32767 / 32768
        clipped += int(np.sum(full & (np.abs(one.before) < 32767 / 32768)))
    voiced = np.concatenate(windows)
    return SpeechRow(
        treatment,
        scene,
        noise_db,
        peak=percentile(peaks, 50),
        rms_db=10 * float(np.log10(np.mean(voiced**2))),
        share=float(np.mean(np.abs(voiced).max(axis=1) >= INTERRUPTS_FROM)),
        sentences_share=len(reached) / len(said),
        reached_ms=percentile(reached, 50) if reached else None,
        clipped=clipped,
    )


def _sentences(count: int) -> list[bytes]:
    return [spoken(text, VOICES[number % len(VOICES)]) for number, text in enumerate(SENTENCES[:count])]


def measure_speech(count: int) -> list[SpeechRow]:
    """Speech at each peak and in each noise, and speech that is turned down."""
    rows = []
    for noise_db in NOISE_DB:
        for peak in PEAKS:
            for name, make in TREATMENTS.items():
                said = []
                for number, pcm in enumerate(_sentences(count)):
                    pcm = at_peak(pcm, peak)
                    clean = silence(_LEAD_MS) + pcm + silence(2200)
                    noisy = _at_level(_in_noise(at_peak(pcm, 0.5), noise_db, number), peak / 0.5)
                    after = treated(noisy, make())
                    said.append(_Said(_unit(noisy), _unit(after), _unit(clean)))
                rows.append(_speech_row(name, f"peak {peak:.2f}", noise_db, said))
    for noise_db in NOISE_DB:
        for scene, split in (("turned down beside the agent", 0), ("turned down in mid-sentence", 1)):
            for name, make in TREATMENTS.items():
                said = [
                    _turned_down(number, pcm, noise_db, make(), in_mid_sentence=bool(split))
                    for number, pcm in enumerate(_sentences(count))
                ]
                rows.append(_speech_row(name, scene, noise_db, said))
    return rows


def _at_level(pcm: bytes, gain: float) -> bytes:
    return _pcm(_unit(pcm) * gain)


def _turned_down(
    number: int, pcm: bytes, noise_db: float | None, treatment: Treatment, *, in_mid_sentence: bool
) -> _Said:
    """The agent greets, somebody answers at 0.8, then the agent is audible again and they have a third."""
    pcm = at_peak(pcm, _PERSON_PEAK)
    greeting = silence(_GREETING_MS)
    said = greeting + pcm + silence(700) + pcm
    noisy = _unit(_in_noise(said, noise_db, number))
    clean = np.pad(_unit(silence(_LEAD_MS) + said), (0, len(noisy)))[: len(noisy)]
    second = len(silence(_LEAD_MS) + greeting + pcm + silence(700)) // 2
    cut = second + len(pcm) // 4 if in_mid_sentence else second
    cut = cut // 1200 * 1200
    noisy[cut:] *= _TURNED_DOWN
    before = _pcm(noisy)
    spells = ((0, _GREETING_MS), (cut * 1000 / SAMPLE_RATE_HZ, float("inf")))
    after = _unit(treated(before, treatment, *spells))
    return _Said(_unit(before)[cut:], after[cut:], clean[cut:])


def measure_noises(tries: int, seed: int) -> list[NoiseRow]:
    """Noises alone, and the agent's echo: by how much each is raised."""
    random, rows = Random(seed), []
    kinds = {kind: [noise_of(kind, random) for _ in range(tries)] for kind in NOISES if kind != '"mm-hm"'}
    agent = even_voice(6.0)
    echoes = {f"echo {db:.0f} dB": [_at_level(agent, 10 ** (db / 20))] for db in ECHO_DB}
    known = _known_person()
    for kind, sounds in {**kinds, **echoes}.items():
        for name, make in TREATMENTS.items():
            fresh, later, peaks = [], [], []
            for sound in sounds:
                # What has just begun may be anything: it is measured when it has been there for a while.
                twice = sound + sound
                spells = [_ALWAYS] if kind in echoes else []
                fresh.append(_raised_db(sound, treated(twice, make(), *spells)[-len(sound) :]))
                begins_ms = ms_of_bytes(len(known))
                spells = [_GREETING, (begins_ms, float("inf"))] if kind in echoes else [_GREETING]
                after = treated(known + twice, make(), *spells)[-len(sound) :]
                later.append(_raised_db(sound, after))
                peaks.append(float(np.abs(_unit(after)).max()))
            rows.append(
                NoiseRow(kind, name, float(np.mean(fresh)), float(np.mean(later)), percentile(peaks, 50))
            )
    return rows


_GREETING = (0.0, float(_GREETING_MS))


def _known_person() -> bytes:
    """The agent greets, and somebody answers: a whole number of frames."""
    pcm = silence(_GREETING_MS) + at_peak(_sentences(1)[0], _PERSON_PEAK) + silence(1000)
    return pcm + bytes(-len(pcm) % bytes_of_ms(_FRAME_MS))


def _raised_db(before: bytes, after: bytes) -> float:
    return float(10 * np.log10(np.mean(_unit(after) ** 2) / np.mean(_unit(before) ** 2)))


def measure_onsets(tries: int, seed: int) -> list[OnsetRow]:
    """What the onset detector's judge makes of each."""
    random, rows = Random(seed), []
    phrases = [random.choice(beginnings()) for _ in range(tries)] + [
        pcm[_first_sound(_unit(pcm)) * 2 :] for pcm in _sentences(tries)
    ]
    known = _known_person()
    begins_ms = ms_of_bytes(len(known))
    for peak in (0.1, 0.33):
        for noise_db in NOISE_DB:
            # The agent speaks meanwhile: this is when an onset counts.
            for name, make in TREATMENTS.items():
                delays = []
                for number, phrase in enumerate(phrases):
                    noisy = _at_level(_in_noise(at_peak(phrase, 0.5), noise_db, number), peak / 0.5)
                    started = _onsets(treated(known + noisy, make(), _GREETING, (begins_ms, float("inf"))))
                    first = begins_ms + _LEAD_MS
                    inside = [at - first for at in started if first <= at < first + 2000]
                    delays += inside[:1]
                scene = f"peak {peak:.2f}, " + ("no noise" if noise_db is None else f"{noise_db:.0f} dB")
                delay = percentile(delays, 50) if delays else None
                rows.append(OnsetRow(name, scene, len(phrases), len(phrases) - len(delays), delay, 0, 0.0))
    for kind in ("cough", "keyboard", "music", "office", "crowd", "white noise"):
        noises = [noise_of(kind, random) for _ in range(tries)]
        for name, make in TREATMENTS.items():
            alarms, lasted_s = 0, 0.0
            for noise in noises:
                started = _onsets(treated(known + noise, make(), _GREETING, (begins_ms, float("inf"))))
                alarms += sum(at >= begins_ms for at in started)
                lasted_s += ms_of_bytes(len(noise)) / 1000
            rows.append(OnsetRow(name, kind, 0, 0, None, alarms, lasted_s))
    return rows


def _onsets(pcm: bytes) -> list[float]:
    """When the judge noticed a sound (ms): the decision, not the sound that it speaks of."""
    judge, onsets = Vad(), Onsets(WINDOW_MS)
    noticed = []
    for number, window in enumerate(judge.feed(pcm)):
        at_ms = (number + 1) * WINDOW_MS
        if isinstance(onsets.take(window.probability, at_ms / 1000), SoundStarted):
            noticed.append(float(at_ms))
    return noticed


async def measure_words(count: int) -> list[WordRow]:
    """Wrong words of the offline recogniser."""
    recogniser, rows = Recogniser(), []
    await trio.to_thread.run_sync(recogniser.warm)
    for peak, noise_db in ((0.05, None), (0.33, None), (0.33, 15.0), (1.0, None)):
        for name, make in TREATMENTS.items():
            words = wrong = 0
            for number, pcm in enumerate(_sentences(count)):
                noisy = _at_level(_in_noise(at_peak(pcm, 0.5), noise_db, number), peak / 0.5)
                heard = await understood(treated(noisy, make()), recogniser)
                length = len(SENTENCES[number].split())
                words, wrong = words + length, wrong + round(word_errors(SENTENCES[number], heard) * length)
            scene = f"peak {peak:.2f}, " + ("no noise" if noise_db is None else f"{noise_db:.0f} dB")
            rows.append(WordRow(name, scene, words, wrong))
    return rows


def measure_cpu() -> dict[str, float]:
    """CPU of each, in ms a second of speech."""
    pcm = _in_noise(at_peak(b"".join(_sentences(8)), 0.33), 40.0, 0)
    figures = {}
    for name, make in TREATMENTS.items():
        treatment = make()
        treated(pcm[:96_000], treatment)
        began = time.process_time()
        treated(pcm, treatment, (2000, 8000))
        figures[name] = (time.process_time() - began) * 1000 / (ms_of_bytes(len(pcm)) / 1000)
    return figures


async def run(sentences: int, tries: int, seed: int) -> Figures:
    """Measures everything.

    Raises:
        VoiceAgentError: something that it takes is not there.
    """
    load_before, began = os.getloadavg()[0], time.monotonic()
    await fetch_recordings()
    tell("speech")
    speech = await trio.to_thread.run_sync(measure_speech, sentences)
    tell("noises")
    noises = await trio.to_thread.run_sync(measure_noises, tries, seed)
    tell("onsets")
    onsets = await trio.to_thread.run_sync(measure_onsets, tries, seed)
    tell("words")
    words = await measure_words(sentences)
    return Figures(
        Machine.this("–"),
        seed,
        load_before,
        os.getloadavg()[0],
        time.monotonic() - began,
        measure_cpu(),
        tuple(speech),
        tuple(noises),
        tuple(onsets),
        tuple(words),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.level", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--quick", action="store_true", help="a third of the sentences and noises")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    options = parser.parse_args(arguments)
    if options.json is not None and not options.json.parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.parent}")
    sentences, tries = (6, 4) if options.quick else (18, 12)
    outcome = trio.run(until_signal, functools.partial(run, sentences, tries, options.seed))
    if isinstance(outcome, int):
        return outcome
    print(outcome.as_text())
    if options.json is not None:
        options.json.write_text(json.dumps(attrs.asdict(outcome), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
