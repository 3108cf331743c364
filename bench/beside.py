"""A worker beside two others: what its rooms cost, and how soon an agent comes.

    .venv/bin/python -m bench.beside [--livekit-agents PYTHON] [--rooms 8] [--rounds 2] [--seconds 15]

One run on one machine, all on loopback, with one LiveKit server and one Voice Agent API server for all:

- this agent: `python runner.py serve`, all rooms in one process;
- livekit-agents: its own worker, a process a job, run by an interpreter that has it
  (`bench/livekit_agents_worker.py` says what it does, which is less); without `--livekit-agents` it is left
  out;
- the article's script: a process a room, started when the room wants an agent, as there is no worker.

They take turns, in another order in each round. In every second room the agent speaks all the time; in the
others a person talks. An agent has come when the track of its voice is at the person. The next is asked for
when the last has gone and its program rests, so that a pool of idle processes has filled up again. Memory is
the proportional set size of a program's processes, all of them; CPU is theirs, as seconds of it for each
minute of each room.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import logging
import os
import secrets
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Protocol

import attrs
import trio
from livekit import api

from bench.cost import cpu_s, hush, memory_mb, talk
from bench.fleet import GREETING, TEMPLATE, processes_of
from bench.guest import Guest, join_as_guest
from bench.programs import AGENT, ARTICLE, Program, environment, run_program, tell, until_signal
from bench.report import heading, percentile
from channels.settings import LiveKitAccount
from commands.check.accounts import ask_livekit
from commands.dispatch import create_dispatch
from playground.livekit_server import LiveKitServer, livekit_server
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server

__all__ = ["main"]

NAME = "bench"
OURS = "this agent"
OTHER = "livekit-agents"
BARE = "the article's script"

_COMES_WITHIN_S = 40.0
_REGISTERS_WITHIN_S = 40.0
_SEEN_AFTER_S = 2.5
"""So long LiveKit may take to find a worker."""
_SETTLES_S = 6.0
_ALONE = 5
_AT_ONCE = (4, 4)
_RESTS_WITHIN_S = 10.0
_RESTS_BELOW = 0.15
"""Of one processor: nobody is in a room, and no process starts or ends."""
_GONE_WITHIN_S = 15.0


@attrs.frozen
class Figures:
    """What one program did in one round."""

    name: str
    alone_ms: Sequence[float]
    four_ms: Sequence[float]
    empty_mb: float
    one_mb: float
    full_mb: float
    cpu_s_a_room_minute: float
    heard: float
    """In the rooms where the agent speaks, the share of the time in which it was heard: 0 to 1."""


class Contender(Protocol):
    """A program that sends agents to rooms."""

    @property
    def pids(self) -> Sequence[int]:
        """Of its processes; those that they have started are found from there."""

    def agent(self, room: str, *, speaks: bool) -> contextlib.AbstractAsyncContextManager[None]:
        """Sends an agent to a room, for the time of the block."""


@attrs.frozen
class Worker:
    """One that LiveKit's dispatch asks."""

    program: Program
    account: LiveKitAccount

    @property
    def pids(self) -> Sequence[int]:
        """As `Contender.pids`."""
        return (self.program.pid,)

    @contextlib.asynccontextmanager
    async def agent(self, room: str, *, speaks: bool) -> AsyncIterator[None]:
        """As `Contender.agent`."""
        await create_dispatch(self.account, room, NAME, json.dumps({"template": "speaks"}) if speaks else "")
        try:
            yield
        finally:
            with trio.CancelScope(shield=True):
                grants = api.VideoGrants(room_create=True)
                await ask_livekit(self.account, "DeleteRoom", grants, {"room": room})


@attrs.define
class Script:
    """One that is started for each room."""

    livekit: LiveKitServer
    service_url: str
    _running: dict[str, int] = attrs.field(factory=dict)

    @property
    def pids(self) -> Sequence[int]:
        """As `Contender.pids`."""
        return tuple(self._running.values())

    @contextlib.asynccontextmanager
    async def agent(self, room: str, *, speaks: bool) -> AsyncIterator[None]:
        """As `Contender.agent`."""
        env = environment(self.livekit, room, self.service_url)
        if speaks:
            env["GREETING"] = GREETING
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            async with run_program(ARTICLE, env, Path(folder)) as program:
                self._running[room] = program.pid
                try:
                    yield
                finally:
                    del self._running[room]


def _all(pids: Sequence[int]) -> Iterator[int]:
    for pid in pids:
        with contextlib.suppress(OSError):  # it has ended
            yield from processes_of(pid)


def _sum(contender: Contender, of: Callable[[int], float]) -> float:
    total = 0.0
    for pid in _all(contender.pids):
        with contextlib.suppress(OSError):
            total += of(pid)
    return total


async def _rest(contender: Contender) -> None:
    with trio.move_on_after(_RESTS_WITHIN_S):
        busy = True
        while busy:
            before = {pid: _cpu(pid) for pid in _all(contender.pids)}
            await trio.sleep(0.5)
            after = {pid: _cpu(pid) for pid in _all(contender.pids)}
            used = sum(value - before.get(pid, 0.0) for pid, value in after.items())
            busy = used > 0.5 * _RESTS_BELOW or after.keys() != before.keys()


def _cpu(pid: int) -> float:
    with contextlib.suppress(OSError):
        return cpu_s(pid)
    return 0.0


@contextlib.asynccontextmanager
async def _in_room(
    livekit: LiveKitServer, contender: Contender, *, speaks: bool
) -> AsyncIterator[tuple[Guest, float]]:
    """A person in a room of their own to whom an agent was sent; gives how long it took (ms), too."""
    room = f"beside-{secrets.token_hex(4)}"
    async with join_as_guest(livekit, room) as guest:
        asked = time.monotonic()
        async with contender.agent(room, speaks=speaks):
            with trio.fail_after(_COMES_WITHIN_S):
                await guest.agent_came.wait()
            came_ms = (time.monotonic() - asked) * 1000
            async with trio.open_nursery() as nursery:
                nursery.start_soon(hush if speaks else talk, guest)
                yield guest, came_ms
                nursery.cancel_scope.cancel()


async def _coming(livekit: LiveKitServer, contender: Contender) -> tuple[list[float], list[float]]:
    alone, four = list[float](), list[float]()

    async def one(came: list[float]) -> None:
        async with _in_room(livekit, contender, speaks=False) as (_, came_ms):
            came.append(came_ms)
            await trio.sleep(1.0)

    for _ in range(_ALONE):
        await _rest(contender)
        await one(alone)
    for number in _AT_ONCE:
        await _rest(contender)
        async with trio.open_nursery() as nursery:
            for _ in range(number):
                nursery.start_soon(one, four)
    await _rest(contender)
    return alone, four


async def _measure(
    name: str, livekit: LiveKitServer, contender: Contender, rooms: int, seconds: float
) -> Figures:
    await _rest(contender)
    empty = _sum(contender, memory_mb)
    alone, four = await _coming(livekit, contender)
    async with contextlib.AsyncExitStack() as stack:
        guests = [(await stack.enter_async_context(_in_room(livekit, contender, speaks=True)))[0]]
        await trio.sleep(_SETTLES_S)
        one = _sum(contender, memory_mb)
        for number in range(1, rooms):
            entered = _in_room(livekit, contender, speaks=number % 2 == 0)
            guests.append((await stack.enter_async_context(entered))[0])
        await trio.sleep(_SETTLES_S)
        began, used = time.monotonic(), _sum(contender, cpu_s)
        await trio.sleep(seconds)
        cpu = (_sum(contender, cpu_s) - used) / (time.monotonic() - began) * 60 / rooms
        full = _sum(contender, memory_mb)
        heard = [frame.audible for guest in guests[::2] for frame in guest.heard if frame.at >= began]
    return Figures(name, alone, four, empty, one, full, cpu, statistics.fmean(heard or [0]))


@contextlib.asynccontextmanager
async def _worker(
    command: Sequence[str], env: Mapping[str, str], folder: Path, account: LiveKitAccount, registered: str
) -> AsyncIterator[Worker]:
    group = 0
    try:
        async with run_program(command, env, folder) as program:
            group = program.pid
            with trio.move_on_after(_REGISTERS_WITHIN_S) as patience:
                while registered not in program.printed:  # noqa: ASYNC110 - its log is a file
                    await trio.sleep(0.1)
            if patience.cancelled_caught:
                raise program.failure(f"it did not register within {_REGISTERS_WITHIN_S:.0f} s")
            await trio.sleep(_SEEN_AFTER_S)
            yield Worker(program, account)
    finally:
        # One that is killed while it waits for its jobs leaves their processes behind.
        if group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


@contextlib.asynccontextmanager
async def _started(
    name: str, livekit: LiveKitServer, service_url: str, other_python: str | None
) -> AsyncIterator[Contender]:
    account = LiveKitAccount(livekit.url, livekit.api_key, livekit.api_secret)
    env = environment(livekit, "none", service_url)
    if name == BARE:
        yield Script(livekit, service_url)
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as path:
        folder = Path(path)
        if name == OURS:
            (folder / "prompts").mkdir()
            (folder / "prompts/speaks.toml").write_text(TEMPLATE.format(greeting=GREETING))
            (folder / "agent.toml").write_text("[worker]\nmost_load = 1\n")
            command = [*AGENT, "--config", str(folder / "agent.toml"), "serve", "--agent", NAME]
            env["VOICE_AGENT_HEALTH_LISTEN"] = "127.0.0.1:0"
            registered = "worker_registered"
        else:
            assert other_python is not None
            script = Path(__file__).with_name("livekit_agents_worker.py")
            command = [other_python, str(script), "start"]
            env = {**env, "AGENT_NAME": NAME, "PYTHONPATH": ""}
            registered = "registered worker"
        async with _worker(command, env, folder, account, registered) as worker:
            yield worker


async def run(other_python: str | None, rooms: int, rounds: int, seconds: float, seed: int) -> list[Figures]:
    """All measurements."""
    random, figures = Random(seed), list[Figures]()
    names = [OURS, BARE] if other_python is None else [OURS, OTHER, BARE]
    # The script reads the socket only as fast as it plays, so a ping may find it behind.
    options = ServerOptions(speech=ToneSpeech, endpointing_ms=None, ping_s=None, slow_client_s=60.0)
    async with livekit_server(progress=tell) as livekit, voice_agent_server(options) as service:
        for number in range(rounds):
            order = random.sample(names, len(names))
            for name in order:
                tell(f"round {number + 1} of {rounds}: {name}")
                async with _started(name, livekit, service.url, other_python) as contender:
                    figures.append(await _measure(name, livekit, contender, rooms, seconds))
                await trio.sleep(2.0)
    return figures


def table(figures: Sequence[Figures], rooms: int) -> list[str]:
    """What is printed: medians of the rounds, and all arrivals together."""
    names = [name for name in (OURS, OTHER, BARE) if any(one.name == name for one in figures)]

    def median(name: str, of: Callable[[Figures], float]) -> float:
        return statistics.median(of(one) for one in figures if one.name == name)

    def times(name: str, of: Callable[[Figures], Sequence[float]]) -> list[float]:
        return [ms for one in figures if one.name == name for ms in of(one)]

    values: list[tuple[str, int, Callable[[str], float]]] = [
        ("MB, no room", 0, lambda name: median(name, lambda one: one.empty_mb)),
        ("MB, 1 room", 0, lambda name: median(name, lambda one: one.one_mb)),
        (f"MB, {rooms} rooms", 0, lambda name: median(name, lambda one: one.full_mb)),
        (
            "MB a further room",
            1,
            lambda name: median(name, lambda one: (one.full_mb - one.one_mb) / (rooms - 1)),
        ),
        ("speaking rooms: heard, %", 0, lambda name: median(name, lambda one: one.heard * 100)),
        (
            f"CPU s a room-minute, {rooms} rooms",
            1,
            lambda name: median(name, lambda one: one.cpu_s_a_room_minute),
        ),
        (
            "comes, one at a time, p50 ms",
            0,
            lambda name: percentile(times(name, lambda one: one.alone_ms), 50),
        ),
        (
            "comes, one at a time, p95 ms",
            0,
            lambda name: percentile(times(name, lambda one: one.alone_ms), 95),
        ),
        ("comes, four at once, p50 ms", 0, lambda name: percentile(times(name, lambda one: one.four_ms), 50)),
        ("comes, four at once, p95 ms", 0, lambda name: percentile(times(name, lambda one: one.four_ms), 95)),
    ]
    others = [name for name in names if name != OURS]
    lines = [
        f"  {'':<34}" + "".join(f"{name:>22}" for name in names) + "".join(f"{'ours ÷':>10}" for _ in others)
    ]
    lines.append(" " * (36 + 22 * len(names)) + "".join(f"{name.split()[-1][-9:]:>10}" for name in others))
    for title, digits, of in values:
        line = f"  {title:<34}" + "".join(f"{of(name):>22,.{digits}f}" for name in names)
        for name in others:
            line += f"{of(OURS) / of(name):>10.2f}" if of(name) else f"{'–':>10}"
        lines.append(line)
    lines += ["", "  Each round, CPU s a room-minute and MB with all rooms:"]
    for name in names:
        each = [one for one in figures if one.name == name]
        shown = ", ".join(f"{one.cpu_s_a_room_minute:.1f} and {one.full_mb:.0f}" for one in each)
        lines.append(f"    {name}: {shown}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.beside",
        description="Measures a worker beside livekit-agents' and the article's script. Takes 6 minutes.",
    )
    parser.add_argument(
        "--livekit-agents", metavar="PYTHON", help="an interpreter that has it (bench/README.md says how)"
    )
    parser.add_argument("--rooms", type=int, default=8, help="at the most, 2 or more (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=15.0, help="of CPU (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the order (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    if options.rooms < 2:
        parser.error(f"--rooms {options.rooms}: give 2 or more, since a further room is measured")
    # It reports each room that is closed under its guest, which is how rooms end here.
    logging.getLogger("livekit").setLevel(logging.CRITICAL)
    load, began = os.getloadavg()[0], time.monotonic()
    job = functools.partial(
        run, options.livekit_agents, options.rooms, options.rounds, options.seconds, options.seed
    )
    figures: Any = trio.run(until_signal, job)
    if isinstance(figures, int):
        return figures
    print(
        heading(
            f"Beside others: {options.rounds} rounds, {options.rooms} rooms, half of them speaking",
            load,
            f"{time.monotonic() - began:.0f} s",
        )
    )
    if options.livekit_agents is None:
        print(f"  {OTHER} was left out: --livekit-agents PYTHON names an interpreter that has it")
    print("\n" + "\n".join(table(figures, options.rooms)))
    if options.json is not None:
        options.json.write_text(json.dumps([attrs.asdict(one) for one in figures], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
