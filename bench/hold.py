"""How soon the agent falls silent from a person's first sound on, and how often for nothing.

    .venv/bin/python -m bench.barge_in hold [--rounds N] [--quick] [--with PATH=VALUE] [--json FILE]

One run, one real LiveKit server, this agent as a process of its own, and a caller in the room whose
microphone speaks and whose ears measure: nothing is timed where it is not heard. The Voice Agent API is
scripted: it says each reply in one burst, and decides on an interruption 1.07 to 2.2 s after the person's
first sound, as the live service was recorded to (drawn with a seed, the same for each case).

- Interruptions, holding and not: a person's phrase over the agent's voice, by its first sound (`PHRASES`;
  the soft ones begin with a breath), in a room whose noise is 40 dB below the person, or 15 dB. The voice
  is speech whose pauses were cut out and whose loudness was evened: the last audible 10 ms before a silence
  are those of the hold or the cut, and what is 8 dB softer for 40 ms was lowered. The person's time begins
  with their own first sound and not with the file's.
- Noises (`bench.noises`) over the agent's voice, which nothing confirms: how often it paused, how long.
- The agent's own voice in the microphone, 20 dB below: with the echo canceller and without, first alone,
  then with a person over it.
- Holding with another value of a setting (`--with speaker.queue_size_ms=400`), in the same run.

Cases are dealt out to rounds and shuffled in each, so that a machine that is busy for a while is so for all.
Each try ends with a confirmed interruption: the agent trusts its ears again, whatever came before.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import secrets
import statistics
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
from bench.guest import HEARD_FRAME_MS, Guest, HeardFrame, join_as_guest
from bench.hold_report import HoldReport, Interruption, Listening
from bench.interruption import Mouth, Pacing, chunks_of
from bench.noises import NOISES, PERSON_RMS, Phrase, even_voice, fetch_recordings, noise_of, phrases
from bench.programs import AGENT, Program, environment, run_program, tell, until_signal
from bench.report import Machine
from bench.service import voice_agent_service
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import VoiceAgentServer

__all__ = ["main"]

ECHO_DB = -20.0
_REPLY_S = 12.0
_CHUNK_MS = 10
_DECISION_S = (1.07, 2.2)
_INTO_S = (1.0, 3.0)
_READY_WITHIN_S = 30.0
_HEARD_WITHIN_S = 5.0
_SILENT_WITHIN_S = 10.0
_QUIET_S = 0.4
_GAP_MS = 100
"""A silence of this length in a voice without pauses is one that somebody hears, and no lost packet."""
_SOFTER_DB = 8.0
_DIP_MS = 40
_AFTER_NOISE_S = 1.5
"""So long after a noise a hold for it is over: 800 ms of lingering, and a pause to know that it ended."""


@attrs.frozen
class Ears:
    """How the agent listens, and what its caller's microphone hears."""

    name: str
    settings: tuple[str, ...] = ()
    """Of the agent, as `barge_in.longest_hold_ms=0`."""
    room_db: float = 40.0
    """How far the noise of the caller's room is below their voice."""
    echo_db: float | None = None
    """The echo of its caller."""

    @property
    def program(self) -> tuple[str, ...]:
        """The agent that listens so."""
        return (*AGENT, *(word for setting in self.settings for word in ("--set", setting)))


HOLDING = Ears("holding")
EARS = (
    HOLDING,
    Ears("holding, in noise of 15 dB", room_db=15.0),
    Ears("not holding", ("barge_in.longest_hold_ms=0",)),
    Ears("echo -20 dB, canceller on", echo_db=ECHO_DB),
    Ears("echo -20 dB, canceller off", ("barge_in.echo_cancellation=false",), echo_db=ECHO_DB),
)


@attrs.frozen
class Plan:
    """What a run shall do."""

    rounds: int
    tries: int
    """Interruptions, holding and not."""
    echo_tries: int
    noise_tries: int
    seed: int
    ears: tuple[Ears, ...] = EARS


@attrs.frozen
class Stage:
    """Where a try takes place."""

    program: Program
    service: VoiceAgentServer
    guest: Guest
    caller: Caller


@attrs.frozen
class Person:
    """One interruption, the same for each case."""

    phrase: Phrase
    into_s: float
    decision_s: float


async def measure(plan: Plan, livekit: LiveKitServer) -> tuple[list[Interruption], list[Listening]]:
    """Measures everything.

    Raises:
        ProgramFailed: the agent does not do its part.
    """
    random = Random(plan.seed)
    kinds = dict.fromkeys(each.kind for each in phrases())
    by_kind = [[each for each in phrases() if each.kind == kind] for kind in kinds]
    people = [
        Person(
            random.choice(by_kind[number % len(by_kind)]),
            random.uniform(*_INTO_S),
            random.uniform(*_DECISION_S),
        )
        for number in range(max(plan.tries, plan.echo_tries))
    ]
    noises = {kind: [noise_of(kind, random) for _ in range(plan.noise_tries)] for kind in NOISES}
    interruptions: list[Interruption] = []
    listenings: list[Listening] = []
    # The first caller of a process was measured to hear and to be heard some 200 ms later each way than all
    # that follow, whatever the agent does: it is not counted.
    async with _stage(livekit, HOLDING) as stage:
        await _interrupt(stage, "warm-up", people[0], "warm-up")
    for number in range(plan.rounds):
        order = list(plan.ears)
        random.shuffle(order)
        for ears in order:
            tell(f"round {number + 1} of {plan.rounds}: {ears.name}")
            tries = plan.tries if ears.echo_db is None else plan.echo_tries
            jobs: list[Person | tuple[str, bytes]] = list(people[:tries][number :: plan.rounds])
            if ears is HOLDING:
                jobs += [
                    (kind, each) for kind, all_ in noises.items() for each in all_[number :: plan.rounds]
                ]
                random.shuffle(jobs)
            async with _stage(livekit, ears) as stage:
                for count, job in enumerate(jobs):
                    reply_id = f"reply-{number}-{count}"
                    if isinstance(job, Person):
                        interruption, before = await _interrupt(stage, ears.name, job, reply_id)
                        interruptions.append(interruption)
                        if ears.echo_db is not None:
                            listenings.append(before)
                    else:
                        listenings.append(await _disturb(stage, *job, reply_id))
    return interruptions, listenings


async def _interrupt(
    stage: Stage, case: str, person: Person, reply_id: str
) -> tuple[Interruption, Listening]:
    async with _reply(stage, reply_id) as (mouth, first):
        # An echo is listened to for a while longer: what counts there is also what happens before.
        into_s = person.into_s + (2.0 if stage.caller.echo_db is not None else 0.0)
        await trio.sleep(first.at + into_s - time.monotonic())
        spoke_at = await stage.caller.sound(person.phrase.pcm) + person.phrase.begins_s
        await trio.sleep(spoke_at + person.decision_s - time.monotonic())
        await mouth.be_interrupted(b"", _CHUNK_MS)
        await stage.guest.hear_silence(for_s=_QUIET_S, within_s=_SILENT_WITHIN_S)
    stage.caller.hush()
    heard = _between(stage.guest, first.at, float("inf"))
    before = [frame for frame in heard if frame.at < spoke_at]
    after = [frame for frame in heard if frame.at >= spoke_at]
    await trio.sleep(_QUIET_S)
    return (
        Interruption(
            case,
            person.phrase.kind,
            decision_ms=person.decision_s * 1000,
            was_speaking=any(frame.audible for frame in before[-_GAP_MS // HEARD_FRAME_MS :]),
            softer_ms=(_softer_from(before, after) - spoke_at) * 1000,
            silence_ms=(_silent_from(after) - spoke_at) * 1000,
            again_ms=_heard_again_ms(after),
        ),
        Listening(case, len(before) * HEARD_FRAME_MS / 1000, _gaps(before), _dips(before)),
    )


async def _disturb(stage: Stage, kind: str, noise: bytes, reply_id: str) -> Listening:
    async with _reply(stage, reply_id) as (mouth, first):
        await trio.sleep(first.at + 1.0 - time.monotonic())
        made_at = await stage.caller.sound(noise)
        await trio.sleep(made_at + len(noise) / 48_000 + _AFTER_NOISE_S - time.monotonic())
        heard = _between(stage.guest, made_at, time.monotonic())
        await mouth.be_interrupted(b"", _CHUNK_MS)
        await stage.guest.hear_silence(for_s=_QUIET_S, within_s=_SILENT_WITHIN_S)
    return Listening(kind, len(heard) * HEARD_FRAME_MS / 1000, _gaps(heard), _dips(heard))


@asynccontextmanager
async def _reply(stage: Stage, reply_id: str) -> AsyncIterator[tuple[Mouth, HeardFrame]]:
    """A reply, in one burst; from its first sound at the listener to the end of the block."""
    mouth = Mouth(stage.service, reply_id)
    chunks = chunks_of(even_voice(_REPLY_S), _CHUNK_MS)
    async with trio.open_nursery() as nursery:
        speaking = await nursery.start(mouth.speak, chunks, _CHUNK_MS, Pacing.BURST)
        try:
            first = await stage.guest.hear_sound(within_s=_HEARD_WITHIN_S)
        except trio.TooSlowError:
            raise stage.program.failure(f"{reply_id} was not heard") from None
        yield mouth, first
        speaking.cancel()


@asynccontextmanager
async def _stage(livekit: LiveKitServer, ears: Ears) -> AsyncIterator[Stage]:
    room_name = f"bench-{secrets.token_hex(4)}"
    async with voice_agent_service() as service, join_as_guest(livekit, room_name) as guest:
        caller = Caller(guest, ears.echo_db, PERSON_RMS * 10 ** (-ears.room_db / 20))
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            env = environment(livekit, room_name, service.url)
            async with (
                trio.open_nursery() as nursery,
                run_program(ears.program, env, Path(folder)) as program,
            ):
                nursery.start_soon(caller.run)
                with trio.move_on_after(_READY_WITHIN_S) as patience:
                    await service.received.until("input.audio")
                if patience.cancelled_caught:
                    raise program.failure(f"it sent no sound within {_READY_WITHIN_S:.0f} s")
                # The detector loads its model in the first second.
                await trio.sleep(2.0)
                yield Stage(program, service, guest, caller)
                nursery.cancel_scope.cancel()


def _between(guest: Guest, since: float, until: float) -> list[HeardFrame]:
    return [frame for frame in guest.heard if since <= frame.at < until]


def _silences(frames: Sequence[HeardFrame]) -> list[tuple[int, int]]:
    """Where silences of `_GAP_MS` or more begin and end, as places in `frames`."""
    found, begin = [], None
    for place, frame in enumerate([*frames, None]):
        silent = frame is not None and not frame.audible
        if silent and begin is None:
            begin = place
        elif not silent and begin is not None:
            if (place - begin) * HEARD_FRAME_MS >= _GAP_MS:
                found.append((begin, place))
            begin = None
    return found


def _gaps(frames: Sequence[HeardFrame]) -> tuple[int, ...]:
    """The lengths of the silences, in ms."""
    return tuple((end - begin) * HEARD_FRAME_MS for begin, end in _silences(frames))


def _silent_from(frames: Sequence[HeardFrame]) -> float:
    """When the last audible 10 ms before the first silence arrived."""
    begin = next((begin for begin, _ in _silences(frames)), len(frames))
    return frames[max(0, begin - 1)].at


def _soft(frames: Sequence[HeardFrame], usual: float) -> list[bool]:
    return [frame.loudness < usual * 10 ** (-_SOFTER_DB / 20) for frame in frames]


def _softer_from(before: Sequence[HeardFrame], after: Sequence[HeardFrame]) -> float:
    """When the last 10 ms arrived before the voice was clearly softer for `_DIP_MS`, or silent."""
    usual = statistics.median(frame.loudness for frame in before[-100:])
    soft, wanted = _soft(after, usual), _DIP_MS // HEARD_FRAME_MS
    begin = next((at for at in range(len(soft)) if all(soft[at : at + wanted])), len(soft))
    return after[max(0, begin - 1)].at


def _dips(frames: Sequence[HeardFrame]) -> int:
    """How often the voice was lowered and not silent."""
    if not frames:
        return 0
    soft, wanted = (
        _soft(frames, statistics.median(frame.loudness for frame in frames)),
        _DIP_MS // HEARD_FRAME_MS,
    )
    found, at = 0, 0
    while at < len(soft):
        length = next((more for more in range(len(soft) - at) if not soft[at + more]), len(soft) - at)
        if length >= wanted and all(frame.audible for frame in frames[at : at + length]):
            found += 1
        at += max(1, length)
    return found


def _heard_again_ms(frames: Sequence[HeardFrame]) -> int:
    begin = next((begin for begin, _ in _silences(frames)), len(frames))
    return sum(frame.audible for frame in frames[begin:]) * HEARD_FRAME_MS


async def run(plan: Plan) -> HoldReport:
    """Starts the servers, measures, and gives the figures.

    Raises:
        VoiceAgentError: (perhaps in a group) something that it takes is not there or failed.
    """
    load_before = os.getloadavg()[0]
    binary = await find_or_build(progress=tell)
    asked = await trio.run_process([str(binary), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL)
    await fetch_recordings()
    began = time.monotonic()
    async with livekit_server(progress=tell) as livekit:
        interruptions, listenings = await measure(plan, livekit)
    return HoldReport(
        machine=Machine.this(asked.stdout.decode().split()[-1]),
        seed=plan.seed,
        load_before=load_before,
        load_after=os.getloadavg()[0],
        lasted_s=time.monotonic() - began,
        interruptions=tuple(interruptions),
        listenings=tuple(listenings),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.barge_in hold",
        description="Measures the time from a person's first sound to silence at a listener, and how often "
        "other sounds hold the agent's voice. Takes about 12 minutes a round, with --quick five.",
    )
    parser.add_argument(
        "--rounds", type=int, default=2, metavar="N", help="each in a random order (default: 2)"
    )
    parser.add_argument(
        "--with",
        dest="others",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="a further case: holding, with another value of a setting; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="one round, with a quarter of the tries")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each try's figures to a file")
    options = parser.parse_args(arguments)
    if options.json is not None and not options.json.parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.parent}")
    seed = options.seed
    rounds = max(1, options.rounds)
    ears = (*EARS, *(Ears(re.sub(r"^.*\.(?=[a-z_]+=)", "", other), (other,)) for other in options.others))
    plan = (
        Plan(1, 6, 4, 2, seed, ears)
        if options.quick
        else Plan(rounds, 24 * rounds, 6 * rounds, 4 * rounds, seed, ears)
    )
    report = trio.run(until_signal, functools.partial(run, plan))
    if isinstance(report, int):
        return report
    print(report.as_text())
    if options.json is not None:
        options.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    return 0
