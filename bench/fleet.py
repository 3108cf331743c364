"""What a worker's rooms cost, how soon an agent comes, and how late the worker's loop is.

    .venv/bin/python -m bench.fleet [--rooms 1,4,8] [--processes N] [--seconds 20] [--json FILE]

One run on one machine, all on loopback: a real LiveKit server, the playground's Voice Agent API server, a
person in each room, and `python runner.py serve` as a user runs it.

- Coming: from asking LiveKit for an agent to its voice's track at the person in the room; one at a time, and
  four at once.
- Rooms: in every second room the agent speaks all the time; in the others a person talks. CPU is that of the
  worker's processes, as seconds of it for each minute of each room; memory is their proportional set size;
  the loop's lag is the worker's own, from its `/metrics`.

The people, the service and LiveKit run on the same machine and take their share of it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from bench.cost import cpu_s, hush, memory_mb, talk
from bench.guest import join_as_guest
from bench.programs import AGENT, Program, environment, run_program, tell, until_signal
from bench.report import heading, percentile
from bench.scraping import get, read_samples
from channels.settings import LiveKitAccount
from commands.dispatch import create_dispatch
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server

__all__ = ["health_of", "lags", "main", "quantile_ms"]

NAME = "bench"
_SEEN_AFTER_S = 2.5
"""So long LiveKit may take to find a worker."""
_COMES_WITHIN_S = 15.0
_SETTLES_S = 8.0
_SPEAKS_FOR_MIN = 6
GREETING = "Once upon a time there was a robot. " * 25 * _SPEAKS_FOR_MIN

TEMPLATE = """
greeting = "{greeting}"
system_prompt = "Speak."
"""


@attrs.frozen
class Scale:
    """So many rooms."""

    rooms: int
    memory_mb: float
    cpu_s_a_room_minute: float
    lag_p50_ms: float
    lag_p99_ms: float


@attrs.frozen
class Figures:
    """What one run gave."""

    alone_ms: Sequence[float]
    four_ms: Sequence[float]
    empty_mb: float
    scales: Sequence[Scale]


def processes_of(pid: int) -> list[int]:
    """A process and all that it has started."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _sum(pid: int, of: Any) -> float:
    return float(sum(of(each) for each in processes_of(pid)))


async def lags(url: str) -> dict[float, float]:
    """How many measurements of the loop's lag were at most so many seconds, so far."""
    samples = read_samples((await get(url, "/metrics")).body)
    counts: dict[float, float] = {}
    for sample in samples:
        if sample.name == "voice_agent_loop_lag_seconds_bucket":
            limit = float(sample.labels["le"])
            counts[limit] = counts.get(limit, 0.0) + sample.value
    return counts


def quantile_ms(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Of what was measured in between: the upper end of the bucket that has it."""
    new = {limit: after[limit] - before.get(limit, 0.0) for limit in sorted(after)}
    total = max(new.values(), default=0.0)
    return next((limit * 1000 for limit, count in new.items() if total and count >= share * total), 0.0)


@contextlib.asynccontextmanager
async def in_room(
    livekit: LiveKitServer, account: LiveKitAccount, template: str = ""
) -> AsyncIterator[float]:
    """A person in a room of their own to whom an agent was sent; gives how long it took (ms)."""
    room = f"fleet-{secrets.token_hex(4)}"
    async with join_as_guest(livekit, room) as guest:
        asked = time.monotonic()
        metadata = json.dumps({"template": template}) if template else ""
        await create_dispatch(account, room, NAME, metadata)
        with trio.fail_after(_COMES_WITHIN_S):
            await guest.agent_came.wait()
        came_ms = (time.monotonic() - asked) * 1000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hush if template else talk, guest)
            yield came_ms
            nursery.cancel_scope.cancel()


async def _coming(livekit: LiveKitServer, account: LiveKitAccount) -> tuple[list[float], list[float]]:
    alone, four = list[float](), list[float]()
    for _ in range(6):
        async with in_room(livekit, account) as came_ms:
            alone.append(came_ms)
        await trio.sleep(1.0)

    async def one() -> None:
        async with in_room(livekit, account) as came_ms:
            four.append(came_ms)
            await trio.sleep(2.0)

    for _ in range(3):
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(one)
        await trio.sleep(1.0)
    return alone, four


async def _scale(
    livekit: LiveKitServer, account: LiveKitAccount, program: Program, url: str, rooms: int, seconds: float
) -> Scale:
    async with contextlib.AsyncExitStack() as stack:
        for number in range(rooms):
            await stack.enter_async_context(in_room(livekit, account, "speaks" if number % 2 else ""))
        await trio.sleep(_SETTLES_S)
        before, began, used = await lags(url), time.monotonic(), _sum(program.pid, cpu_s)
        await trio.sleep(seconds)
        minutes = (time.monotonic() - began) / 60
        cpu = (_sum(program.pid, cpu_s) - used) / minutes / rooms
        after = await lags(url)
        memory = _sum(program.pid, memory_mb)
    return Scale(rooms, memory, cpu, quantile_ms(before, after, 0.5), quantile_ms(before, after, 0.99))


async def run(rooms: Sequence[int], processes: int, seconds: float) -> Figures:
    """All measurements."""
    options = ServerOptions(speech=ToneSpeech, endpointing_ms=None)
    async with livekit_server(progress=tell) as livekit, voice_agent_server(options) as service:
        account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            (folder / "prompts").mkdir()
            (folder / "prompts/speaks.toml").write_text(TEMPLATE.format(greeting=GREETING))
            (folder / "agent.toml").write_text("[worker]\nmost_load = 1\n")
            env = {
                **environment(livekit, "none", service.url),
                "VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:0",
            }
            command = [*AGENT, "--config", str(folder / "agent.toml")]
            command += ["serve", "--agent", NAME, "--processes", str(processes)]
            async with run_program(command, env, folder) as program:
                url = await health_of(program)
                await trio.sleep(_SEEN_AFTER_S)
                empty = _sum(program.pid, memory_mb)
                tell("coming")
                alone, four = await _coming(livekit, account)
                scales = []
                for number in rooms:
                    tell(f"{number} rooms")
                    scales.append(await _scale(livekit, account, program, url, number, seconds))
                    await trio.sleep(3.0)
    return Figures(alone, four, empty, scales)


async def health_of(program: Program) -> str:
    """Where a worker answers, once it is registered.

    Raises:
        ProgramFailed: it did not register.
    """
    with trio.move_on_after(30):
        while True:
            found = re.search(r"http://127\.0\.0\.1:\d+", program.printed.partition(" health")[2])
            if found and "worker_registered" in program.printed:
                return found[0]
            await trio.sleep(0.1)
    raise program.failure("it did not register within 30 s")


def table(figures: Figures) -> list[str]:
    """What is printed."""

    def shown(times: Sequence[float]) -> str:
        return f"{statistics.median(times):>8,.0f}{percentile(times, 95):>8,.0f}{max(times):>8,.0f}"

    lines = [f"  {'an agent comes, ms':<34}{'p50':>8}{'p95':>8}{'max':>8}"]
    lines.append(f"  {'one at a time':<34}{shown(figures.alone_ms)}")
    lines.append(f"  {'four at once':<34}{shown(figures.four_ms)}")
    head = f"  {'rooms':>5}{'MB':>8}{'MB a room':>11}{'CPU s a room-minute':>21}"
    lines += ["", head + f"{'lag p50, ms':>13}{'p99':>6}"]
    lines.append(f"  {0:>5}{figures.empty_mb:>8.0f}")
    for one in figures.scales:
        each = (one.memory_mb - figures.empty_mb) / one.rooms
        lines.append(
            f"  {one.rooms:>5}{one.memory_mb:>8.0f}{each:>11.1f}{one.cpu_s_a_room_minute:>21.1f}"
            f"{one.lag_p50_ms:>13,.0f}{one.lag_p99_ms:>6,.0f}"
        )
    return [*lines, "", "  A lag is the upper end of the bucket that it is in."]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fleet", description="Measures a worker with many rooms. Takes about 4 minutes."
    )
    parser.add_argument("--rooms", default="1,4,8", metavar="N,N,…", help="so many (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="of the worker (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="of each measurement (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    rooms = [int(each) for each in options.rooms.split(",")]
    load = os.getloadavg()[0]
    job = functools.partial(run, rooms, options.processes, options.seconds)
    figures: Any = trio.run(until_signal, job)
    if isinstance(figures, int):
        return figures
    print(
        heading("Fleet: one worker, every second room speaking", load, f"{options.processes} process(es)")
        + "\n"
    )
    print("\n".join(table(figures)))
    if options.json is not None:
        options.json.write_text(json.dumps(attrs.asdict(figures), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
