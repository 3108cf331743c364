"""What one room costs: CPU and memory of the agent's process, beside the article's bare loop.

    .venv/bin/python -m bench.cost [--quick] [--json FILE]

One run, one real LiveKit server, each program a process of its own in a room of its own, in turn and in
several rounds, so that a machine that is busy for a while is so for all. A person in the room listens:

- empty: nobody is in the room, in a terminal that shows the conversation (this agent alone);
- listening: the person talks and the agent says nothing;
- speaking: the agent talks, in messages of 10 ms as the live service sends them (150 ms at once, then in real
  time), and the person's microphone is open and silent.

CPU is that of all threads of the process (`/proc/PID/stat`), as seconds of it in a minute; memory is the
proportional set size at the end (`smaps_rollup`), with what is shared with others counted in part.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import pty
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import trio

from bench.guest import Guest, join_as_guest
from bench.interruption import Mouth, Pacing, chunks_of
from bench.noises import even_voice
from bench.programs import AGENT, ARTICLE, Program, environment, run_program, tell, until_signal
from bench.report import heading
from bench.service import voice_agent_service
from bench.speech import spoken
from channels.wire.events import ReplyDone
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import VoiceAgentServer

__all__ = ["cpu_s", "hush", "main", "memory_mb", "talk"]

_CHUNK_MS = 10
_AHEAD_MS = 150
"""The live service begins each reply with 100 to 200 ms at once (recorded)."""
_SETTLES_S = 3.0
_STARTS_S = 10.0
"""In an empty room nothing shows that the models are loaded."""
_READY_WITHIN_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")

BARE = "the bare loop"


@attrs.frozen
class Contender:
    """A program and its settings."""

    name: str
    command: Sequence[str]
    settings: Mapping[str, str] = attrs.field(factory=dict)


CONTENDERS = (
    Contender(BARE, ARTICLE),
    Contender("this agent", AGENT),
    Contender("without the canceller", AGENT, {"VOICE_AGENT_BARGE_IN_ECHO_CANCELLATION": "false"}),
)


@attrs.frozen
class Cost:
    """One measurement."""

    contender: str
    phase: str
    cpu_s_a_minute: float
    memory_mb: float


def cpu_s(pid: int) -> float:
    """What a process has used so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> float:
    """What a process holds; of what it shares, its part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return float("nan")


async def _measured(contender: Contender, phase: str, pid: int, seconds: float) -> Cost:
    await trio.sleep(_SETTLES_S)
    began, used = time.monotonic(), cpu_s(pid)
    await trio.sleep(seconds)
    cpu = (cpu_s(pid) - used) / (time.monotonic() - began) * 60
    return Cost(contender.name, phase, cpu, memory_mb(pid))


async def talk(guest: Guest) -> None:
    """Somebody who never stops."""
    sentence = spoken("Once upon a time there was a little robot who lived in a house by the sea.")
    while True:
        await guest.say(sentence)


async def hush(guest: Guest) -> None:
    """Somebody whose microphone is open, and who says nothing."""
    while True:
        await guest.hush(1.0)


async def _speak(service: VoiceAgentServer, seconds: float) -> None:
    for number in range(1000):
        reply_id = f"reply-{number}"
        await _say(Mouth(service, reply_id), seconds)
        await service.send_event(ReplyDone(reply_id))


async def _say(mouth: Mouth, seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        speak = functools.partial(mouth.speak, ahead_ms=_AHEAD_MS)
        await nursery.start(speak, chunks_of(even_voice(seconds), _CHUNK_MS), _CHUNK_MS, Pacing.REAL_TIME)


async def in_a_room(livekit: LiveKitServer, contender: Contender, seconds: float) -> list[Cost]:
    """Listening and speaking.

    Raises:
        ProgramFailed: the program does not do its part.
    """
    room_name, costs = f"cost-{secrets.token_hex(4)}", list[Cost]()
    async with voice_agent_service() as service, join_as_guest(livekit, room_name) as guest:
        env = {**environment(livekit, room_name, service.url), **contender.settings}
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            async with run_program(contender.command, env, Path(folder)) as program:
                costs += await _phases(service, guest, program, contender, seconds)
    return costs


async def _phases(
    service: VoiceAgentServer, guest: Guest, program: Program, contender: Contender, seconds: float
) -> list[Cost]:
    costs = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(talk, guest)
        await _ready(service, program)
        costs.append(await _measured(contender, "listening", program.pid, seconds))
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hush, guest)
        nursery.start_soon(_speak, service, 20.0)
        await guest.hear_sound(within_s=10)
        costs.append(await _measured(contender, "speaking", program.pid, seconds))
        nursery.cancel_scope.cancel()
    return costs


async def _ready(service: VoiceAgentServer, program: Program) -> None:
    with trio.move_on_after(_READY_WITHIN_S) as patience:
        await service.received.until("input.audio")
    if patience.cancelled_caught:
        raise program.failure(f"it sent no sound within {_READY_WITHIN_S:.0f} s")


@contextlib.asynccontextmanager
async def _terminal() -> AsyncIterator[int]:
    """A terminal that somebody reads."""
    master, slave = pty.openpty()

    async def read() -> None:
        async with trio.lowlevel.FdStream(os.dup(master)) as out:
            with contextlib.suppress(trio.BrokenResourceError):
                async for _ in out:
                    pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            yield slave
        finally:
            nursery.cancel_scope.cancel()
            os.close(slave)
            os.close(master)


async def in_an_empty_room(livekit: LiveKitServer, contender: Contender, seconds: float) -> Cost:
    """Nobody there, and a terminal."""
    env = {
        **environment(livekit, f"cost-{secrets.token_hex(4)}", "ws://127.0.0.1:9"),
        "TERM": "xterm-256color",
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with (
            _terminal() as terminal,
            run_program(contender.command, env, Path(folder), terminal=terminal) as program,
        ):
            await trio.sleep(_STARTS_S)
            return await _measured(contender, "empty", program.pid, seconds)


def table(costs: Sequence[Cost]) -> list[str]:
    """The medians, with their ratios to the bare loop."""
    lines = [
        f"  {'CPU s a minute, median':<26}{'empty':>10}{'listening':>22}{'speaking':>22}{'MB at the end':>16}"
    ]

    def of(name: str, phase: str) -> list[Cost]:
        return [cost for cost in costs if (cost.contender, cost.phase) == (name, phase)]

    def cpu(name: str, phase: str) -> float:
        return statistics.median(cost.cpu_s_a_minute for cost in of(name, phase))

    for contender in CONTENDERS:
        line = f"  {contender.name:<26}"
        line += f"{cpu(contender.name, 'empty'):>10.2f}" if of(contender.name, "empty") else f"{'–':>10}"
        for phase in ("listening", "speaking"):
            one = cpu(contender.name, phase)
            line += f"{f'{one:.1f} ({one / cpu(BARE, phase):.2f})':>22}"
        memory = statistics.median(cost.memory_mb for cost in of(contender.name, "speaking"))
        lines.append(f"{line}{memory:>16.0f}")
    lines += ["", "  In brackets: how many times the bare loop's. Each measurement:"]
    for contender in CONTENDERS:
        for phase in ("empty", "listening", "speaking"):
            if each := of(contender.name, phase):
                shown = ", ".join(f"{cost.cpu_s_a_minute:.1f}" for cost in each)
                lines.append(f"    {contender.name}, {phase}: {shown}")
    return lines


async def run(rounds: int, seconds: float, seed: int) -> list[Cost]:
    """All measurements."""
    random, costs = Random(seed), list[Cost]()
    async with livekit_server(progress=tell) as livekit:
        for number in range(rounds):
            order = list(CONTENDERS)
            random.shuffle(order)
            for contender in order:
                tell(f"round {number + 1} of {rounds}: {contender.name}")
                costs += await in_a_room(livekit, contender, seconds)
            costs.append(await in_an_empty_room(livekit, CONTENDERS[1], seconds))
    return costs


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cost",
        description="Measures what a room costs. Takes 13 minutes, with --quick 3.",
    )
    parser.add_argument("--quick", action="store_true", help="one round of 15 s a phase, not four of 20 s")
    parser.add_argument("--seed", type=int, default=1, help="of the order (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write each measurement to a file")
    options = parser.parse_args(arguments)
    rounds, seconds = (1, 15.0) if options.quick else (4, 20.0)
    load = os.getloadavg()[0]
    costs: Any = trio.run(until_signal, functools.partial(run, rounds, seconds, options.seed))
    if isinstance(costs, int):
        return costs
    print(
        heading(
            f"Cost: one room, one process; {rounds} rounds of {seconds:.0f} s a phase, seed {options.seed}",
            load,
        )
        + "\n"
    )
    print("\n".join(table(costs)))
    if options.json is not None:
        options.json.write_text(json.dumps([attrs.asdict(cost) for cost in costs], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
