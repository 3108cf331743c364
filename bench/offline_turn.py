"""How soon the offline agent answers, and how well it hears.

    .venv/bin/python -m bench.offline_turn [--turns 40] [--no-words] [--json FILE]

A guest in a room of a real LiveKit server asks short questions in several voices; the agent is
`python runner.py` in a process of its own; the service is the playground's with the settings that the
playground uses, in this process. Measured is from the person's last sound to the agent's first, both at the
guest, and where the time goes (`bench.turn_parts`). Then the ears get sentences that nobody tuned them for
(`bench.word_errors`).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio

from bench.guest import Guest, join_as_guest
from bench.programs import AGENT, environment, run_program, tell
from bench.report import Machine, percentile
from bench.speech import silence, spoken
from bench.turn_parts import Parts, TimedSpeech, audible_ms, parts_of
from bench.word_errors import SENTENCES, VOICES, Row, measure_words
from channels.ending import end_with
from playground.dialogue import Dialogue
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import ServerOptions, voice_agent_server

__all__ = ["QUESTIONS", "main"]

QUESTIONS = (
    "What time is it?",
    "What is twelve times seven?",
    "Who are you?",
    "Spell lighthouse.",
    "What day is it today?",
    "Flip a coin.",
    "What can you do?",
    "Hello there.",
    "My name is Anton.",
    "I think it will rain in the afternoon.",
)
_ANSWERED_WITHIN_S = 10.0
_QUIET_S = 0.7
_PARTS = {
    "whole": "person stops to agent audible",
    "endpointing": "  endpointing",
    "first_sound": "  first sound made",
    "leading_silence": "  leading silence",
    "room": "  room",
    "answer": "decision to agent audible",
    "recognition": "recogniser, alongside",
    "words_early": "words there before decision",
}


async def measure_turns(count: int, livekit: LiveKitServer) -> list[Parts | None]:
    """So many turns; None for one that was not answered, or in two pieces."""
    speech = TimedSpeech()
    options = ServerOptions(brain=Dialogue, speech=lambda: speech, endpointing_ms=None, leading_silence_ms=0)
    turns: list[Parts | None] = []
    room_name = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with (
            voice_agent_server(options) as service,
            join_as_guest(livekit, room_name) as guest,
            run_program(AGENT, environment(livekit, room_name, service.url), Path(folder)),
        ):
            offset_s = time.monotonic() - trio.current_time()
            await guest.hear_sound(within_s=60)
            await guest.hear_silence(for_s=1.0, within_s=20)
            for number in range(count):
                pcm = spoken(QUESTIONS[number % len(QUESTIONS)], VOICES[number // 2 % len(VOICES)])
                guest.heard.clear()
                began_at = time.monotonic()
                turns.append(None)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(guest.say, pcm + silence(60_000))
                    stopped_at = began_at + audible_ms(pcm) / 1000
                    with trio.move_on_after(_ANSWERED_WITHIN_S + len(pcm) / 48_000):
                        heard = await guest.hear_sound(within_s=60, since=stopped_at)
                        turns[-1] = parts_of(stopped_at, heard, service, speech.runs, offset_s)
                        await guest.hear_silence(for_s=_QUIET_S, within_s=60)
                    nursery.cancel_scope.cancel()
                await _drain(guest)
    return turns


async def _drain(guest: Guest) -> None:
    # What lies in the microphone's queue must not delay the next question.
    await trio.sleep(0.2)
    guest.heard.clear()


@attrs.frozen
class Figures:
    """One run."""

    machine: Machine
    load_before: float
    load_after: float
    turns: tuple[Parts | None, ...]
    words: tuple[Row, ...]

    def as_text(self) -> str:
        """The tables."""
        machine = self.machine
        good = [turn for turn in self.turns if turn is not None]
        lines = [
            "An offline turn: from the person's last sound to the agent's first, at a listener in the room",
            "",
            f"  machine   {machine.cores} cores, {machine.processor}, {machine.system}; "
            f"load {self.load_before:.1f} before, {self.load_after:.1f} after",
            f"  versions  Python {machine.python}, LiveKit server {machine.livekit_server}",
        ]
        if self.turns:
            lines += [
                f"  turns     {len(self.turns)}, {len(self.turns) - len(good)} of them not answered as one",
                "",
                f"  {'ms':<32}{'n':>6}{'p50':>8}{'p95':>8}{'max':>8}",
            ]
        for name, title in _PARTS.items() if good else ():
            values = [float(getattr(turn, name)) for turn in good]
            cells = "".join(f"{percentile(values, percent):>8,.0f}" for percent in (50, 95, 100))
            lines.append(f"  {title:<32}{len(values):>6}{cells}")
        if self.words:
            lines += ["", "Words that the offline ears get wrong", ""]
            lines.append(
                f"  {'':<10}{'noise':>8}{'n':>6}{'words':>8}{'wrong %':>9}{'perfect':>9}{'silent':>8}"
            )
            for row in self.words:
                noise = "none" if row.noise_db is None else f"{row.noise_db:g} dB"
                cells = f"{row.recordings:>6}{row.words:>8}{row.rate:>9.1f}{row.perfect:>9}{row.silent:>8}"
                lines.append(f"  {row.speakers:<10}{noise:>8}{cells}")
        return "\n".join([*lines, ""])


async def _run(turns: int, sentences: int) -> Figures:
    load_before = os.getloadavg()[0]
    binary = await find_or_build(progress=tell)
    asked = await trio.run_process([str(binary), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL)
    measured: list[Parts | None] = []
    if turns:
        async with livekit_server(progress=tell) as livekit:
            measured = await measure_turns(turns, livekit)
    words = await measure_words(sentences) if sentences else []
    machine = Machine.this(asked.stdout.decode().split()[-1])
    return Figures(machine, load_before, os.getloadavg()[0], tuple(measured), tuple(words))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.offline_turn", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--turns", type=int, default=40, help="questions asked, 0 for none (default: 40)")
    parser.add_argument("--no-words", action="store_true", help="leave out the word error rate")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    given = parser.parse_args(arguments)
    try:
        figures = trio.run(_run, given.turns, 0 if given.no_words else len(SENTENCES))
    except KeyboardInterrupt:
        return 130
    print(figures.as_text())
    if given.json is not None:
        given.json.write_text(json.dumps(attrs.asdict(figures), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
