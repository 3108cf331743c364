"""When a turn is over: how long a person waits, and how often they are cut off in mid-sentence.

    .venv/bin/python -m bench.turn_ends [--count 240] [--seed 1] [--json FILE]

Sentences with one pause each (`bench.pauses`), and questions and sentences without one, go through the ears'
detector and recogniser; each rule then says after how much silence it would have ended the turn. The last
rules are the profiles that set silences, as the offline service takes them. A cut-off is a turn that it ends
within the pause; "parted" are two sentences with a pause between them that become two turns. Smart Turn, a
network of others, is what hears the sound (`sound.smart_turn`). Time is sound: the way over the network, and
what recogniser and network take, are not in it.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import attrs
import trio

from bench.pauses import PAUSES_MS, paused
from bench.report import Machine, percentile
from bench.speech import silence, spoken
from bench.turn_parts import audible_ms
from bench.word_errors import SENTENCES, VOICES
from channels.ending import end_with
from channels.settings.profiles import OUR_FOLDER, read_profiles
from playground.completeness import Ending, ending
from playground.turn_model.fetch import find_or_fetch
from playground.turns import ADAPTIVE, LULL_MS, Lull, TurnDetector, TurnRules
from sound.recogniser import Recogniser
from sound.smart_turn import SmartTurn
from sound.vad import WINDOW_MS, Vad

__all__ = ["main"]

_LEAD_MS = 300
_BEHIND_MS = 1000
_NEVER = TurnRules(min_silence=60_000, max_silence=60_000)


@attrs.frozen
class Silence:
    """A silence behind speech, and what was known of it."""

    words: str
    complete: float
    """Smart Turn's probability, after 224 ms."""
    lasts_ms: int
    """As long as the detector took it for silence."""
    late_ms: float
    """So much after the last audible sound it began for the detector."""

    @property
    def ending(self) -> Ending:
        """How the words ended."""
        return ending(self.words)


def _finished(one: Silence) -> bool:
    """By its punctuation and its last word alone, as the rules before the last have it."""
    return one.ending is Ending.SENTENCE or (one.ending is Ending.CLAUSE and one.words.strip().endswith("."))


def _both(one: Silence, sure: float, else_ms: int | None = None) -> int:
    if _finished(one) and one.complete >= sure:
        return LULL_MS
    return (else_ms or 500) if _finished(one) else 1600


def _with_commas(one: Silence) -> int:
    if one.complete >= 0.95 and one.words.strip().endswith((",", "-")):
        return 1100
    return _both(one, 0.95, 960)


def _of_profiles() -> Iterator[tuple[str, Callable[[Silence], int]]]:
    """What a client that sets silences gets: then the words decide which of the two it is."""
    for name, profile in read_profiles([OUR_FOLDER]).items():
        least, most = (
            profile.values.get(f"session.input.turn_detection.{end}_silence") for end in ("min", "max")
        )
        if least is not None and most is not None:
            rules = TurnRules(min_silence=least, max_silence=most)
            yield f"profile {name}: {least:,} or {most:,}", functools.partial(_patience_ms, rules)


def _patience_ms(rules: TurnRules, one: Silence) -> int:
    return rules.patience_ms(one.ending)


RULES: Mapping[str, Callable[[Silence], int]] = {
    "words: 500 or 1,600 ms (before)": lambda one: 500 if _finished(one) else 1600,
    "words: 300 or 1,600": lambda one: 300 if _finished(one) else 1600,
    "sound, 0.5: 224 or 1,600": lambda one: LULL_MS if one.complete >= 0.5 else 1600,
    "sound, 0.95: 224 or 1,600": lambda one: LULL_MS if one.complete >= 0.95 else 1600,
    "words and sound, 0.5: 224; words: 500 or 1,600": lambda one: _both(one, 0.5),
    "words and sound, 0.95: 224; words: 500 or 1,600": lambda one: _both(one, 0.95),
    "words and sound, 0.95: 224; words: 960 or 1,600": lambda one: _both(one, 0.95, 960),
    "… 960, and a comma and sound, 0.95: 1,100": _with_commas,
    '… 750, a later comma 640, "When …" 1,100 (now)': lambda one: ADAPTIVE.patience_ms(
        one.ending, one.complete
    ),
    **dict(_of_profiles()),
}
"""The silence after which each ends a turn."""


@attrs.frozen
class Row:
    """One rule."""

    rule: str
    cut: int
    pauses: int
    parted: int
    """Two sentences with a pause between them that it takes for two turns."""
    pairs: int
    waits_ms: tuple[float, ...]
    """Of the sentences with a pause: from the last audible sound to the end of the turn."""
    plain_waits_ms: tuple[float, ...]
    """The same of those without."""


class _Listener:
    def __init__(self, model: Path) -> None:
        self._recogniser = Recogniser()
        self._smart_turn = SmartTurn(model)

    def last_silence(self, pcm: bytes, lasts_ms: int) -> Silence:
        """Hears speech, and so much silence; gives that silence."""
        detector, utterance, began, lasts = TurnDetector(_NEVER), b"", 0, 0
        for number, window in enumerate(Vad().feed(pcm + silence(lasts_ms))):
            events = detector.hear(window)
            if detector.silence_ms == WINDOW_MS:
                began = number
            lasts = detector.silence_ms
            if any(isinstance(event, Lull) for event in events):
                utterance = detector.utterance()
        return Silence(
            self._recogniser.transcribe(utterance),
            self._smart_turn.probability(utterance),
            lasts,
            began * WINDOW_MS - audible_ms(pcm),
        )


def _measure(count: int, seed: int, model: Path) -> list[Row]:
    listener = _Listener(model)
    lead = silence(_LEAD_MS)
    random = Random(seed)
    pauses, ends = [], []
    for one in paused(count, seed):
        pauses.append(listener.last_silence(lead + one.before, one.pause_ms))
        whole = lead + one.before + silence(one.pause_ms) + one.after
        ends.append(listener.last_silence(whole, _BEHIND_MS))
    plain = [
        listener.last_silence(lead + spoken(text, VOICES[(number + turn) % len(VOICES)]), _BEHIND_MS)
        for turn in range(2)
        for number, text in enumerate(SENTENCES)
    ]
    between = [
        listener.last_silence(lead + spoken(text, VOICES[number % len(VOICES)]), random.randint(*PAUSES_MS))
        for number, text in enumerate(SENTENCES)
    ]
    return [
        Row(
            name,
            sum(rule(one) <= one.lasts_ms for one in pauses),
            len(pauses),
            sum(rule(one) <= one.lasts_ms for one in between),
            len(between),
            tuple(_wait_ms(rule, one) for one in ends),
            tuple(_wait_ms(rule, one) for one in plain),
        )
        for name, rule in RULES.items()
    ]


def _wait_ms(rule: Callable[[Silence], int], one: Silence) -> float:
    return -(-rule(one) // WINDOW_MS) * WINDOW_MS + one.late_ms


async def _run(count: int, seed: int) -> list[Row]:
    model = await find_or_fetch(progress=lambda line: print(line, file=sys.stderr))
    return await trio.to_thread.run_sync(_measure, count, seed, model)


def _as_text(rows: Sequence[Row], machine: Machine) -> str:
    lines = [
        "When a turn is over",
        "",
        f"  machine  {machine.cores} cores, {machine.processor}, {machine.system}",
        f"  speech   {rows[0].pauses} sentences with a pause of {PAUSES_MS[0]} to {PAUSES_MS[1]} ms, "
        f"{len(rows[0].plain_waits_ms)} without, {rows[0].pairs} with such a pause behind them; "
        f"{len(VOICES)} voices",
        "",
        f"  {'':<50}{'cut off':>8}{'parted':>8}{'wait p50':>10}{'p95':>7}{'without: p50':>15}{'p95':>7}",
    ]
    for row in rows:
        with_pause = [percentile(row.waits_ms, percent) for percent in (50, 95)]
        without = [percentile(row.plain_waits_ms, percent) for percent in (50, 95)]
        lines.append(
            f"  {row.rule:<50}{row.cut:>8}{row.parted:>8}{with_pause[0]:>10,.0f}{with_pause[1]:>7,.0f}"
            f"{without[0]:>15,.0f}{without[1]:>7,.0f}"
        )
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.turn_ends", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--count", type=int, default=240, help="sentences with a pause (default: 240)")
    parser.add_argument("--seed", type=int, default=1, help="of commas and pauses (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    given = parser.parse_args(arguments)
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    try:
        rows = trio.run(_run, given.count, given.seed)
    except KeyboardInterrupt:
        return 130
    print(_as_text(rows, Machine.this("none")))
    if given.json is not None:
        given.json.write_text(json.dumps([attrs.asdict(row) for row in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
