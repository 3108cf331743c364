"""Whether a conversation notices what is added to it: its two timers beside additions that are bad at it.

    .venv/bin/python -m bench.bystanders [--tries 12] [--rounds 3] [--json FILE]

One run, one real LiveKit server, this agent as a process of its own, a caller in its room, and a service that
is scripted here. Cases are the agent alone, and with the actors of `bad_additions.py`: one that
asks for every stream and reads none, one that takes a second for each frame, one that crashes in the first
turn, one that floods the service from 50 tasks, and all of them. Each try is one turn:

- turn latency: from the caller's last sound to the agent's first, both at the caller. The service answers
  when it has heard 300 ms of silence; that and the way there and back are the same for all cases.
- barge-in: from the caller's first sound over the reply to the agent's last. The service decides 1.5 s later,
  so what counts is the agent's own hold.

Cases are shuffled in each round, so that a machine that is busy for a while is so for all; what counts is the
ratio to the agent alone.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import attrs
import trio

from bench.caller import Caller
from bench.guest import AUDIBLE_RMS, Guest, join_as_guest, rms
from bench.interruption import Mouth, Pacing, chunks_of
from bench.noises import beginnings, even_voice
from bench.programs import AGENT, Program, environment, run_program, tell, until_signal
from bench.report import Machine, percentile
from bench.service import voice_agent_service
from bench.speech import spoken
from bench.turn_parts import audible_ms
from channels.ending import end_with
from channels.wire.events import SpeechStarted, SpeechStopped
from channels.wire.messages import InputAudio
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import VoiceAgentServer

__all__ = ["main"]

_ADDITIONS = Path(__file__).with_name("bad_additions.py")
CASES = {
    "alone": (),
    "blocked": ("Blocked",),
    "slow": ("Slow",),
    "crashing": ("Crashing",),
    "flooding": ("Flooding",),
    "all four": ("Blocked", "Slow", "Crashing", "Flooding"),
}
_CHUNK_MS = 10
_REPLY_S = 8.0
_SILENCE_S = 0.3
_QUESTIONS = ("Good morning.", "What time is it?", "Where are you?", "Tell me more.")
"""Short, so that no pause between words is as long as that."""
_DECISION_S = 1.5
_INTO_S = (1.0, 2.5)
_READY_WITHIN_S = 30.0
_HEARD_WITHIN_S = 8.0
_QUIET_S = 0.4
_GAP_S = 0.1


@attrs.frozen
class Turn:
    """One try."""

    case: str
    turn_latency_ms: float
    barge_in_ms: float


@attrs.frozen
class Stage:
    """Where a try takes place."""

    program: Program
    service: VoiceAgentServer
    guest: Guest
    caller: Caller


@attrs.frozen
class Figures:
    """One run."""

    machine: Machine
    load_before: float
    load_after: float
    seed: int
    turns: tuple[Turn, ...]

    def as_text(self) -> str:
        """The table."""
        lines = [
            "The two timers of a live conversation beside additions that are bad at it",
            "",
            f"  machine   {self.machine.cores} cores, {self.machine.processor}, {self.machine.system}; "
            f"load {self.load_before:.1f} before the run, {self.load_after:.1f} at its end",
            f"  seed      {self.seed}",
            "",
            f"  {'ms':<12}{'turns':>6}{'turn latency':>25}{'÷ alone':>9}{'barge-in':>25}{'÷ alone':>9}",
            f"  {'':<18}{'p50':>9}{'p95':>8}{'max':>8}{'p50':>9}{'p50':>9}{'p95':>8}{'max':>8}{'p50':>9}",
        ]
        for case in CASES:
            turns = [turn for turn in self.turns if turn.case == case]
            cells = f"  {case:<12}{len(turns):>6}"
            for timer in ("turn_latency_ms", "barge_in_ms"):
                values = [getattr(turn, timer) for turn in turns]
                alone = [getattr(turn, timer) for turn in self.turns if turn.case == "alone"]
                cells += f"{percentile(values, 50):>9,.0f}"
                cells += "".join(f"{percentile(values, percent):>8,.0f}" for percent in (95, 100))
                cells += f"{percentile(values, 50) / percentile(alone, 50):>9.2f}"
            lines.append(cells)
        return "\n".join([*lines, ""])


async def _turn(stage: Stage, case: str, phrases: tuple[bytes, bytes], into_s: float, number: int) -> Turn:
    service, guest, caller = stage.service, stage.guest, stage.caller
    guest.heard.clear()
    spoke_at = await caller.sound(phrases[0])
    ended_at = spoke_at + audible_ms(phrases[0]) / 1000
    await _hear_end(service)
    await service.send_event(SpeechStarted())
    await service.send_event(SpeechStopped())
    mouth = Mouth(service, f"reply-{number}")
    async with trio.open_nursery() as nursery:
        chunks = chunks_of(even_voice(_REPLY_S), _CHUNK_MS)
        speaking = await nursery.start(mouth.speak, chunks, _CHUNK_MS, Pacing.BURST)
        try:
            first = await guest.hear_sound(within_s=_HEARD_WITHIN_S, since=ended_at)
        except trio.TooSlowError:
            raise stage.program.failure(f"reply {number} was not heard") from None
        await trio.sleep(first.at + into_s - time.monotonic())
        over_at = await caller.sound(phrases[1])
        await trio.sleep(over_at + _DECISION_S - time.monotonic())
        await mouth.be_interrupted(b"", _CHUNK_MS)
        speaking.cancel()
    await guest.hear_silence(for_s=_QUIET_S, within_s=_HEARD_WITHIN_S)
    caller.hush()
    silent_at = _silent_from(guest, over_at)
    await trio.sleep(1.0)
    return Turn(case, (first.at - ended_at) * 1000, (silent_at - over_at) * 1000)


async def _hear_end(service: VoiceAgentServer) -> None:
    """Waits as the service does: until a sound has come, and silence after it."""
    heard, silent_s, last = False, 0.0, trio.current_time()
    with trio.fail_after(_HEARD_WITHIN_S):
        while not heard or silent_s < _SILENCE_S:
            await trio.sleep(0.005)
            for entry in service.received.of("input.audio"):
                if entry.at_s > last and isinstance(entry.what, InputAudio):
                    last, pcm = entry.at_s, entry.what.audio
                    loud = rms(pcm) > AUDIBLE_RMS
                    heard, silent_s = heard or loud, 0.0 if loud else silent_s + len(pcm) / 48_000


def _silent_from(guest: Guest, since: float) -> float:
    """When the agent was last heard before its first silence after that."""
    last = since
    for frame in guest.heard:
        if frame.at > since and frame.audible:
            if frame.at - last > _GAP_S:
                break
            last = frame.at
    return last


async def measure(rounds: int, tries: int, seed: int, livekit: LiveKitServer) -> list[Turn]:
    """Measures everything.

    Raises:
        ProgramFailed: the agent does not do its part.
    """
    random = Random(seed)
    questions, interruptions = [spoken(text) for text in _QUESTIONS], beginnings()
    jobs = [
        ((random.choice(questions), random.choice(interruptions)), random.uniform(*_INTO_S))
        for _ in range(tries)
    ]
    turns: list[Turn] = []
    for number in range(rounds):
        for case in random.sample(list(CASES), len(CASES)):
            tell(f"round {number + 1} of {rounds}: {case}")
            async with _stage(livekit, CASES[case]) as stage:
                for count, (said, into_s) in enumerate(jobs[number::rounds]):
                    turns.append(await _turn(stage, case, said, into_s, count))
    return turns


@asynccontextmanager
async def _stage(livekit: LiveKitServer, additions: Sequence[str]) -> AsyncIterator[Stage]:
    room_name = f"bench-{secrets.token_hex(4)}"
    command = [*AGENT, *(flag for kind in additions for flag in ("--actor", f"{_ADDITIONS}:{kind}"))]
    async with voice_agent_service() as service, join_as_guest(livekit, room_name) as guest:
        caller = Caller(guest)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            env = environment(livekit, room_name, service.url)
            async with trio.open_nursery() as nursery, run_program(command, env, Path(folder)) as program:
                nursery.start_soon(caller.run)
                with trio.move_on_after(_READY_WITHIN_S) as patience:
                    await service.received.until("input.audio")
                if patience.cancelled_caught:
                    raise program.failure(f"it sent no sound within {_READY_WITHIN_S:.0f} s")
                await trio.sleep(2.0)  # the detector loads its model
                yield Stage(program, service, guest, caller)
                nursery.cancel_scope.cancel()


async def _run(rounds: int, tries: int, seed: int) -> Figures:
    load_before = os.getloadavg()[0]
    binary = await find_or_build(progress=tell)
    asked = await trio.run_process([str(binary), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL)
    async with livekit_server(progress=tell) as livekit:
        turns = await measure(rounds, tries, seed, livekit)
    machine = Machine.this(asked.stdout.decode().split()[-1])
    return Figures(machine, load_before, os.getloadavg()[0], seed, tuple(turns))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.bystanders", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tries", type=int, default=12, help="turns a case (default: 12)")
    parser.add_argument("--rounds", type=int, default=3, help="fresh agents a case (default: 3)")
    parser.add_argument("--seed", type=int, default=1, help="of what is said when (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    given = parser.parse_args(arguments)
    if not 1 <= given.rounds <= given.tries <= 200:
        parser.error("--tries is from 1 to 200, and no fewer than --rounds")
    run = functools.partial(_run, given.rounds, given.tries, given.seed)
    outcome = trio.run(until_signal, run)
    if isinstance(outcome, int):
        return outcome
    print(outcome.as_text())
    if given.json is not None:
        given.json.write_text(json.dumps(attrs.asdict(outcome), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
