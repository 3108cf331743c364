"""What a room costs the edge, by how many rooms share a process: whether rooms cost rooms times rooms.

    .venv/bin/python -m bench.room_events [--rooms 1,4,8,16] [--seconds 6]

LiveKit's SDK offers each event of a process to all that listen to events in it. Here are rooms of a real
server with our edge in them and nothing else of the agent: no people, no service, no models. In every second
one the agent's track is fed silence in frames of 20 ms. The same number of rooms is in one process, and in
two with half of them each. CPU is that of those processes, as seconds of it for each minute of each room.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import trio

from actors.room.actor import mint_agent_token
from actors.room.livekit_edge import livekit_edge
from bench.cost import cpu_s
from bench.programs import environment, run_program, tell, until_signal
from bench.report import heading
from channels.secret import Secret
from channels.settings import LiveKitAccount
from playground.livekit_server import LiveKitServer, livekit_server
from sound.pcm import bytes_of_ms

__all__ = ["main"]

_JOIN_WITHIN_S = 60.0
_SETTLES_S = 2.0


async def _hold_rooms(first: int, count: int) -> None:
    account = LiveKitAccount(
        os.environ["LIVEKIT_URL"], os.environ["LIVEKIT_API_KEY"], Secret(os.environ["LIVEKIT_API_SECRET"])
    )
    joined = 0

    async def hold(number: int) -> None:
        nonlocal joined
        token = mint_agent_token(account, f"events-{number}")
        async with livekit_edge(queue_size_ms=100) as edge, edge.room.join(account.url, token):
            joined += 1
            if joined == count:
                print("all in", flush=True)
            while number % 2 == 0:
                await edge.loudspeaker.capture(bytes(bytes_of_ms(20)))
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for number in range(first, first + count):
            nursery.start_soon(hold, number)


async def _measure(livekit: LiveKitServer, shares: Sequence[int], seconds: float) -> float:
    async with AsyncExitStack() as stack:
        programs, first = [], 0
        for share in shares:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            command = [sys.executable, "-m", "bench.room_events", "--hold", f"{first},{share}"]
            env = environment(livekit, "none")
            programs.append(await stack.enter_async_context(run_program(command, env, folder)))
            first += share
        with trio.fail_after(_JOIN_WITHIN_S):
            while not all("all in" in program.printed for program in programs):  # noqa: ASYNC110 - log files
                await trio.sleep(0.1)
        await trio.sleep(_SETTLES_S)
        began, used = time.monotonic(), sum(cpu_s(program.pid) for program in programs)
        await trio.sleep(seconds)
        cpu = sum(cpu_s(program.pid) for program in programs) - used
        return cpu / (time.monotonic() - began) * 60 / sum(shares)


async def run(counts: Sequence[int], seconds: float) -> list[tuple[int, float, float | None]]:
    """For each count: CPU s a room-minute in one process, and in two."""
    measured = []
    async with livekit_server(progress=tell) as livekit:
        for count in counts:
            tell(f"{count} rooms")
            one = await _measure(livekit, (count,), seconds)
            half = count // 2
            two = await _measure(livekit, (count - half, half), seconds) if half else None
            measured.append((count, one, two))
    return measured


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.room_events",
        description="Measures what a room costs the edge, by how many share a process. Takes 2 minutes.",
    )
    parser.add_argument("--rooms", default="1,4,8,16", metavar="N,N,…", help="so many (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each (default: %(default)s)")
    parser.add_argument("--hold", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.hold is not None:
        first, count = (int(each) for each in options.hold.split(","))
        trio.run(_hold_rooms, first, count)
        return 0
    counts = [int(each) for each in options.rooms.split(",")]
    load = os.getloadavg()[0]
    measured: Any = trio.run(until_signal, functools.partial(run, counts, options.seconds))
    if isinstance(measured, int):
        return measured
    print(heading("Room events: the edge alone, every second room fed with silence", load) + "\n")
    print(f"  {'CPU s a room-minute':<20}{'one process':>13}{'two processes':>15}{'ratio':>7}")
    for count, one, two in measured:
        line = f"  {count:>5} rooms         {one:>13.2f}"
        print(line if two is None else f"{line}{two:>15.2f}{one / two:>7.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
