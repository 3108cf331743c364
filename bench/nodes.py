"""Whether each of many dispatches gets its agent, once, with two LiveKit nodes and two workers.

    .venv/bin/python -m bench.nodes [--dispatches 40] [--at-once 8] [--json FILE]

One run on one machine, all on loopback: a Redis (the system's `redis-server`), two LiveKit nodes that share
it, the playground's Voice Agent API server, and a worker (`python runner.py serve`) at each node, which
knows the other one as a further address. The dispatches come in waves. In each room is a person, at either
node in turn, who hears the agent; each dispatch is made at either node. Then the calls of the wave end.

- Coming: from asking LiveKit for an agent to its voice's track at the person, and to its first sound there.
- Lost: no agent came within 20 s. Not heard: it came, but made no sound within these. Twice: a second agent
  was in the room before the call's end.

The people, the service, LiveKit and Redis run on the same machine and take their share of it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from bench.cluster import Cluster, cluster, keep_logs
from bench.cost import hush
from bench.guest import join_as_guest
from bench.programs import AGENT, Program, environment, run_program, tell, until_signal
from bench.report import heading, percentile
from channels.ending import end_with
from commands.dispatch import cancel_dispatch, create_dispatch
from playground.voice_agent_api import ServerOptions, ToneSpeech, voice_agent_server

__all__ = ["NAME", "main", "registered", "worker"]

NAME = "bench"
_COMES_WITHIN_S = 20.0
_HEARD_FOR_S = 3.0
"""So long each call goes on once the last agent of its wave came: a second one would be seen."""
_BETWEEN_S = 2.0
SEEN_AFTER_S = 2.5
"""So long LiveKit may take to find a worker."""
_REGISTERED_WITHIN_S = 90.0
"""On a machine that is busy with other work, a process may take half a minute to start."""

CONFIGURATION = """
[worker]
most_load = 1
urls = [{urls}]
"""
TEMPLATE = """
greeting = "{greeting}"
system_prompt = "Speak."
"""
SPEAKS = "speaks"
"""The template of an agent that speaks for minutes."""


@attrs.frozen
class Dispatch:
    """What came of one dispatch. Times in ms from asking on; None: nobody came."""

    room: str
    asked_at_node: int
    person_at_node: int
    hosted_by_node: int | None
    worker: int | None
    track_ms: float | None
    sound_ms: float | None
    agents: int
    """That were in the room, in all."""


@contextlib.asynccontextmanager
async def worker(
    nodes: Cluster, at: int, service_url: str, folder: Path, *arguments: str
) -> AsyncIterator[Program]:
    """A worker at one node that knows the others, as a program of its own.

    Args:
        nodes: of LiveKit.
        at: the number of its first node.
        service_url: of the Voice Agent API.
        folder: an empty one.
        arguments: more of `runner.py serve`.
    """
    (folder / "prompts").mkdir(parents=True)
    greeting = "Once upon a time there was a robot. " * 50
    (folder / f"prompts/{SPEAKS}.toml").write_text(TEMPLATE.format(greeting=greeting))
    others = [f'"{config.server.url}"' for number, config in enumerate(nodes.configs) if number != at]
    (folder / "agent.toml").write_text(CONFIGURATION.format(urls=", ".join(others)))
    env = environment(nodes.node(at), "none", service_url)
    command = [*AGENT, "--config", str(folder / "agent.toml"), "serve", "--agent", NAME, *arguments]
    async with run_program(command, env, folder) as program:
        yield program


async def registered(program: Program, times: int = 1) -> None:
    """Waits until a worker, or so many processes of it, are registered with LiveKit.

    Raises:
        ProgramFailed: they are not.
    """
    with trio.move_on_after(_REGISTERED_WITHIN_S):
        while program.printed.count("worker_registered") < times:  # noqa: ASYNC110 - another process's log
            await trio.sleep(0.05)
        return
    raise program.failure(f"it did not register within {_REGISTERED_WITHIN_S:.0f} s")


def serves(program: Program, identity: str) -> bool:
    """Whether this worker has the job of an agent."""
    job = identity.rpartition("-")[2]
    return re.search(rf"\b{re.escape(job)}\b", program.printed) is not None


async def _one(
    nodes: Cluster, workers: Sequence[Program], number: int, all_came: trio.Event, came: Any
) -> Dispatch:
    asked_at, person_at = number % 2, number // 2 % 2
    room = f"nodes-{number}-{secrets.token_hex(3)}"
    track_ms: float | None = None
    sound_ms: float | None = None
    async with join_as_guest(nodes.node(person_at), room) as guest, trio.open_nursery() as nursery:
        nursery.start_soon(hush, guest)
        since = time.monotonic()
        made = await create_dispatch(nodes.account(asked_at), room, NAME)
        with trio.move_on_after(_COMES_WITHIN_S):
            await guest.agent_came.wait()
            track_ms = (time.monotonic() - since) * 1000
            sound = await guest.hear_sound(within_s=_COMES_WITHIN_S, since=since)
            sound_ms = (sound.at - since) * 1000
        hosted_by = await nodes.host_of(room)
        came()
        await all_came.wait()
        await trio.sleep(_HEARD_FOR_S)
        agents = set(guest.agent_tracks)
        await cancel_dispatch(nodes.account(asked_at), room, made.id)
        nursery.cancel_scope.cancel()
    by = next(
        (place for place, each in enumerate(workers) if any(serves(each, agent) for agent in agents)), None
    )
    return Dispatch(room, asked_at, person_at, hosted_by, by, track_ms, sound_ms, len(agents))


async def _wave(nodes: Cluster, workers: Sequence[Program], numbers: Sequence[int]) -> list[Dispatch]:
    done = list[Dispatch]()
    here = 0
    all_came = trio.Event()

    def came() -> None:
        nonlocal here
        here += 1
        if here == len(numbers):
            all_came.set()

    async def one(number: int) -> None:
        done.append(await _one(nodes, workers, number, all_came, came))

    async with trio.open_nursery() as nursery:
        for number in numbers:
            nursery.start_soon(one, number)
    return done


async def run(dispatches: int, at_once: int, logs: Path | None = None) -> list[Dispatch]:
    """All waves."""
    done = list[Dispatch]()
    options = ServerOptions(speech=ToneSpeech, endpointing_ms=None)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        async with contextlib.AsyncExitStack() as stack:
            nodes = await stack.enter_async_context(cluster(folder, 2, tell))
            service = await stack.enter_async_context(voice_agent_server(options))
            workers = list[Program]()
            for at in range(2):
                own = worker(nodes, at, service.url, folder / f"worker-{at}")
                workers.append(await stack.enter_async_context(own))
            for each in workers:
                await registered(each)
            await trio.sleep(SEEN_AFTER_S)
            for first in range(0, dispatches, at_once):
                numbers = range(first, min(first + at_once, dispatches))
                done += await _wave(nodes, workers, numbers)
                tell(f"{len(done)} of {dispatches}")
                await trio.sleep(_BETWEEN_S)
            keep_logs(folder, logs)
    return done


def table(done: Sequence[Dispatch]) -> list[str]:
    """What is printed."""
    lost = sum(each.track_ms is None for each in done)
    twice = sum(each.agents > 1 for each in done)
    mute = sum(each.sound_ms is None for each in done) - lost
    told = f"{lost} lost, {twice} twice, {mute} that came and were not heard"
    lines = [f"  {len(done)} dispatches: {told}", ""]
    lines.append(f"  {'an agent comes, ms':<34}{'p50':>8}{'p95':>8}{'max':>8}")
    for title, times in (
        ("its track", [each.track_ms for each in done if each.track_ms is not None]),
        ("its first sound", [each.sound_ms for each in done if each.sound_ms is not None]),
    ):
        if times:
            cells = "".join(f"{percentile(times, share):>8,.0f}" for share in (50, 95, 100))
            lines.append(f"  {title:<34}{cells}")
    lines += ["", f"  {'calls':<34}{'first':>8}{'second':>8}"]
    for title, places in (
        ("of the worker", [each.worker for each in done]),
        ("hosted by the node", [each.hosted_by_node for each in done]),
        ("asked for at the node", [each.asked_at_node for each in done]),
        ("whose person is at the node", [each.person_at_node for each in done]),
    ):
        counts = Counter(places)
        lines.append(f"  {title:<34}{counts[0]:>8}{counts[1]:>8}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.nodes",
        description="Dispatches over two LiveKit nodes and two workers. Takes about 2 minutes.",
    )
    parser.add_argument("--dispatches", type=int, default=40, help="in all (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=8, help="of them in a wave (default: %(default)s)")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep what each part logs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    if not (1 <= options.at_once <= 32 and 1 <= options.dispatches <= 400):
        parser.error("--dispatches is a number from 1 to 400, --at-once from 1 to 32")
    load = os.getloadavg()[0]
    job = functools.partial(run, options.dispatches, options.at_once, options.logs)
    done: Any = trio.run(until_signal, job)
    if isinstance(done, int):
        return done
    print(
        heading(
            "Nodes: two LiveKit nodes with one Redis, a worker at each",
            load,
            f"{options.at_once} calls at once",
        )
        + "\n"
    )
    print("\n".join(table(done)))
    if options.json is not None:
        options.json.write_text(json.dumps([attrs.asdict(each) for each in done], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    end_with(main)
