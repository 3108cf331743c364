"""How soon the agent falls silent when a person speaks over it, beside the article's loop and a floor.

    .venv/bin/python -m bench.barge_in [--tries 30] [--json FILE]
    .venv/bin/python -m bench.barge_in hold         from the person's first sound on, see `bench.hold`

One run, one real LiveKit server, a scripted Voice Agent API server in this process, and a second
participant in the room who listens: nothing is measured where it is not heard. Measured are

- the floor: LiveKit's SDK alone, from `clear_queue()` to silence (`bench.bare_source`);
- this agent, `python runner.py` as a process of its own;
- the article's loop (`bench.article_worker`), a process too;

the latter two with a reply that comes in real time and one that comes in a burst, and each of these in two
forms: the service tells of the person and decides in one go, and as the live service does it today, late and
streaming on ("form 2", `bench.late_decision`), where what counts is the stale sound that the person hears
after their own first sound. The tries are dealt
out to rounds, in which each program is started anew and the pacings alternate at random, so that a
machine that is busy for a while is so for all. The moments of interruption are the same for each case and
follow from the seed. The article's burst takes some 8 s a try and gets fewer of them.

Everything is on loopback. All waiting is bounded, and what was started is stopped, also by Ctrl-C.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TypeAlias

import attrs
import trio

from bench.bare_source import SOUND_MS
from bench.caller import Caller
from bench.guest import join_as_guest
from bench.heard import judge
from bench.interruption import QUIET_S, Conditions, Pacing, Stage, Try, interrupt
from bench.late_decision import LateDecision, be_talked_over
from bench.programs import (
    AGENT,
    ARTICLE,
    BARE_SOURCE,
    count_up_to,
    environment,
    run_program,
    tell,
    until_signal,
)
from bench.report import Case, Machine, Report
from bench.service import voice_agent_service
from channels.ending import end_with
from playground.livekit_build.binary import find_or_build
from playground.livekit_server import LiveKitServer, livekit_server

__all__ = ["main"]

_ROUNDS = 3
_READY_WITHIN_S = 30.0
_HEARD_WITHIN_S = 5.0
_MODEL_S = 2.0
_INTO_S = (1.0, 3.0)
"""When a reply is interrupted, counted from its first sound. The listener's jitter buffer has come to rest
by then: it holds some 40 ms more in the first half second of a sound, and all of that is heard."""


Job: TypeAlias = tuple[Pacing, float | LateDecision]
"""A reply's pacing, and when it is interrupted or how it is talked over."""


@attrs.frozen
class Plan:
    """What a run shall do."""

    conditions: Conditions
    tries: int
    article_burst_tries: int
    form_2_tries: int
    seed: int


@attrs.define
class Results:
    """The tries so far, by case."""

    floor: list[Try] = attrs.field(factory=list)
    agent: dict[Pacing, list[Try]] = attrs.field(factory=lambda: {pacing: [] for pacing in Pacing})
    article: dict[Pacing, list[Try]] = attrs.field(factory=lambda: {pacing: [] for pacing in Pacing})
    agent_late: dict[Pacing, list[Try]] = attrs.field(factory=lambda: {pacing: [] for pacing in Pacing})
    article_late: dict[Pacing, list[Try]] = attrs.field(factory=lambda: {pacing: [] for pacing in Pacing})


async def measure(plan: Plan, livekit: LiveKitServer) -> Results:
    """Measures everything.

    Raises:
        ProgramFailed: a measured program does not do its part.
    """
    random = Random(plan.seed)
    into_s = [random.uniform(*_INTO_S) for _ in range(plan.tries)]
    late = [LateDecision.drawn(random) for _ in range(plan.form_2_tries)]
    results = Results()
    for number in range(_ROUNDS):
        tell(f"round {number + 1} of {_ROUNDS}")
        if moments := into_s[number::_ROUNDS]:
            results.floor += await _measure_floor(livekit, moments, plan.conditions)
        for command, kept, kept_late, burst_tries in (
            (AGENT, results.agent, results.agent_late, plan.tries),
            (ARTICLE, results.article, results.article_late, plan.article_burst_tries),
        ):
            jobs: list[Job] = [(Pacing.REAL_TIME, moment) for moment in into_s[number::_ROUNDS]]
            jobs += [(Pacing.BURST, moment) for moment in into_s[:burst_tries][number::_ROUNDS]]
            jobs += [(pacing, one) for pacing in Pacing for one in late[number::_ROUNDS]]
            random.shuffle(jobs)
            if jobs:
                await _measure_agent(livekit, command, jobs, plan.conditions, kept, kept_late)
    return results


async def _measure_floor(
    livekit: LiveKitServer, into_s: Sequence[float], conditions: Conditions
) -> list[Try]:
    tries: list[Try] = []
    async with _room(livekit) as (room_name, caller, folder):
        guest, env = caller.guest, environment(livekit, room_name)
        async with run_program(BARE_SOURCE, env, folder, talks=True) as program:
            if await program.answer(within_s=_READY_WITHIN_S) != "ready":
                raise program.failure("it did not get ready")
            for moment in into_s:
                guest.heard.clear()
                await program.tell("play")
                try:
                    first = await guest.hear_sound(within_s=_HEARD_WITHIN_S)
                except trio.TooSlowError:
                    raise program.failure("it was not heard") from None
                await trio.sleep(first.at + moment - time.monotonic())
                await program.tell("clear")
                event_at = float(await program.answer(within_s=_HEARD_WITHIN_S))
                with trio.move_on_after(conditions.cap_s) as cap:
                    await guest.hear_silence(for_s=QUIET_S, within_s=conditions.cap_s)
                heard = judge(guest.heard, event_at)
                tries.append(Try((event_at - first.at) * 1000, SOUND_MS, cap.cancelled_caught, heard))
    return tries


async def _measure_agent(
    livekit: LiveKitServer,
    command: Sequence[str],
    jobs: Sequence[Job],
    conditions: Conditions,
    kept: dict[Pacing, list[Try]],
    kept_late: dict[Pacing, list[Try]],
) -> None:
    async with voice_agent_service() as service, _room(livekit) as (room_name, caller, folder):
        env = environment(livekit, room_name, service.url)
        async with run_program(command, env, folder) as program:
            with trio.move_on_after(_READY_WITHIN_S) as patience:
                await service.received.until("input.audio")
            if patience.cancelled_caught:
                raise program.failure(f"it sent no sound within {_READY_WITHIN_S:.0f} s")
            # A detector of voices loads its model in the first second.
            await trio.sleep(_MODEL_S)
            stage = Stage(program, caller.guest, service, conditions)
            for number, (pacing, job) in enumerate(jobs):
                reply_id = f"reply-{number}"
                if isinstance(job, LateDecision):
                    kept_late[pacing].append(await be_talked_over(stage, caller, pacing, reply_id, job))
                else:
                    kept[pacing].append(await interrupt(stage, pacing, reply_id, job))


@asynccontextmanager
async def _room(livekit: LiveKitServer) -> AsyncIterator[tuple[str, Caller, Path]]:
    """A fresh room with the listener in it, whose microphone is open, and a folder."""
    room_name = f"bench-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with join_as_guest(livekit, room_name) as guest, trio.open_nursery() as nursery:
            caller = Caller(guest)
            nursery.start_soon(caller.run)
            yield room_name, caller, Path(folder)
            nursery.cancel_scope.cancel()


async def run(plan: Plan) -> Report:
    """Starts the servers, measures, and gives the figures.

    Raises:
        VoiceAgentError: (perhaps in a group) something that it takes is not there or failed.
    """
    load_before = os.getloadavg()[0]
    binary = await find_or_build(progress=tell)
    asked = await trio.run_process([str(binary), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL)
    began = time.monotonic()
    async with livekit_server(progress=tell) as livekit:
        results = await measure(plan, livekit)
    return Report(
        machine=Machine.this(asked.stdout.decode().split()[-1]),
        conditions=plan.conditions,
        seed=plan.seed,
        load_before=load_before,
        load_after=os.getloadavg()[0],
        lasted_s=time.monotonic() - began,
        floor=Case("floor: clear_queue() alone", tuple(results.floor)),
        cases=tuple(
            (
                Case(
                    f"this agent, {pacing.value}",
                    tuple(results.agent[pacing]),
                    tuple(results.agent_late[pacing]),
                ),
                Case(
                    f"the article's loop, {pacing.value}",
                    tuple(results.article[pacing]),
                    tuple(results.article_late[pacing]),
                ),
            )
            for pacing in Pacing
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["hold"]:
        # Only this part decodes recordings, with a package that the others need not have.
        from bench import hold

        return hold.main(arguments[1:])
    plan, path = _parse(arguments)
    outcome = trio.run(until_signal, functools.partial(run, plan))
    if isinstance(outcome, int):
        return outcome
    print(outcome.as_text())
    if path is not None:
        path.write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
    return 0


def _parse(arguments: Sequence[str] | None) -> tuple[Plan, Path | None]:
    defaults = Conditions()
    parser = argparse.ArgumentParser(
        prog="python -m bench.barge_in",
        description="Measures the time from an interruption to silence at a listener: this agent, the "
        "article's loop, and LiveKit's SDK alone. Takes about fifteen minutes with the defaults.",
        epilog="`python -m bench.barge_in hold` measures from the person's first sound on, and false holds.",
    )
    parser.add_argument(
        "--tries", type=count_up_to(1000), default=30, help="interruptions a case (default: %(default)s)"
    )
    parser.add_argument(
        "--article-burst-tries",
        type=count_up_to(1000),
        default=10,
        help="of the article's loop with a burst, which takes some 8 s each (default: %(default)s)",
    )
    parser.add_argument(
        "--form-2-tries",
        type=count_up_to(1000),
        default=12,
        help="a case, with a person who speaks and a service that decides late (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of the moments of interruption (default: %(default)s)"
    )
    parser.add_argument(
        "--reply-s",
        type=float,
        default=defaults.reply_s,
        help="length of a reply, 4 to 30 s (default: %(default)s)",
    )
    parser.add_argument(
        "--chunk-ms",
        type=count_up_to(1000),
        default=defaults.chunk_ms,
        help="sound in one event (default: %(default)s)",
    )
    parser.add_argument(
        "--late-ms",
        type=int,
        default=defaults.late_ms,
        help="sound of an interrupted reply that still comes, 0 for none (default: %(default)s)",
    )
    parser.add_argument(
        "--cap-s", type=float, default=defaults.cap_s, help="longest wait for silence (default: %(default)s)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write all figures, each try's included, to a file"
    )
    options = parser.parse_args(arguments)
    if not 4 <= options.reply_s <= 30:
        parser.error("--reply-s is from 4 to 30")
    if not 0 <= options.late_ms <= 1000:
        parser.error("--late-ms is from 0 to 1000")
    if not 1 <= options.cap_s <= 60:
        parser.error("--cap-s is from 1 to 60")
    if options.json is not None and not options.json.parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.parent}")
    conditions = Conditions(options.reply_s, options.chunk_ms, options.late_ms, options.cap_s)
    burst_tries = min(options.tries, options.article_burst_tries)
    return Plan(conditions, options.tries, burst_tries, options.form_2_tries, options.seed), options.json


if __name__ == "__main__":
    end_with(main)
