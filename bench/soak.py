"""Whether a worker holds more and more the longer it serves: rooms come and go, and much goes wrong.

    .venv/bin/python -m bench.soak [--minutes 20] [--seed 1] [--json FILE] [--svg FILE]

One run on one machine, all on loopback: a real LiveKit server, the playground's Voice Agent API server, and
one worker as a user runs it (`python runner.py serve --rooms 4`, with tools, two additions, and a record of
each call). Up to four rooms at a time are opened, an agent is sent for, a person talks and leaves; in more
than half of them something goes wrong (`bench.soak_rooms`). Every three quarters of a minute nobody comes any
more: once the last room has gone, and a little later, the moment counts.

Everything is seen from outside: `/proc`, and the worker's own `/metrics`. What the bench itself and the
servers hold does not matter.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import trio

from bench.fleet import health_of
from bench.programs import AGENT, Program, environment, run_program, tell, until_signal
from bench.relay import relay_to
from bench.report import heading
from bench.small_multiples import Line, Marks, Panel, small_multiples
from bench.soak_report import HELD, Sample, Watcher, slopes, table, verdict
from bench.soak_rooms import AGENT_NAME, Fault, SoakRooms, ToolCaller
from playground.livekit_server import livekit_server
from playground.voice_agent_api import Faults, ServerOptions, ToneSpeech, voice_agent_server

__all__ = ["main"]

_ROOMS = 4
_BUSY_S = 45.0
_EMPTY_WITHIN_S = 60.0
_QUIET_FOR_S = 12.0
"""Trio keeps a thread that has nothing to do for ten seconds, and the metrics are sampled every five."""
_LOOKS_EVERY_S = 2.0
_BENCH = Path(__file__).resolve().parent


@attrs.frozen
class Soaked:
    """What one run gave."""

    minutes: float
    seed: int
    samples: Sequence[Sample]
    faults: Sequence[tuple[float, str]]
    """Minute and kind."""
    visits: Mapping[str, int]
    logged: Mapping[str, int]
    """What the worker said at the levels warning and error, by event."""

    def as_json(self) -> dict[str, Any]:
        """All of it, with the slopes."""
        told = {name: attrs.asdict(slope) for name, slope in slopes(self.samples).items()}
        return {"a_hundred_rooms": told, **attrs.asdict(self)}

    def as_svg(self) -> str:
        """The picture."""
        found = slopes(self.samples)

        def line(name: str, of: Any, *, second: bool = False) -> Line:
            return Line(name, [(one.minute, of(one)) for one in self.samples], second)

        panels: list[Panel | Marks] = []
        for held in HELD:
            lines = [line("PSS" if held.name == "memory" else held.name, held.of)]
            slope = found[held.name]
            told = [f"{slope.a_hundred:+.2f} a hundred rooms"] if slope.points > 2 else []
            panels.append(
                Panel(
                    held.name,
                    "MB, proportional set size" if held.name == "memory" else held.unit,
                    lines,
                    [(one.minute, held.of(one)) for one in self.samples if one.quiet],
                    told,
                )
            )
        panels.append(Panel("rooms", "being served", [line("rooms", lambda one: one.rooms)]))
        rows = [(kind.value, [at for at, name in self.faults if name == kind.value]) for kind in Fault]
        panels.append(Marks("faults", rows))
        served = max((one.served for one in self.samples), default=0)
        subtitle = (
            f"{served:.0f} rooms and {len(self.faults)} faults in {self.minutes:.0f} minutes, seed "
            f"{self.seed}; a dot: no room is there; slopes are those of the dots' second half"
        )
        end = max((one.minute for one in self.samples), default=1.0)
        return small_multiples("What a worker holds", subtitle, panels, end)


async def run(minutes: float, seed: int) -> Soaked:
    """Serves rooms for so long.

    Raises:
        VoiceAgentError: (perhaps in a group) a program does not do its part.
    """
    random, tools = Random(seed), list[str]()
    options = ServerOptions(
        speech=ToneSpeech, endpointing_ms=None, brain=lambda: ToolCaller(tools=tools), record=0
    )
    at_capacity = ServerOptions(speech=ToneSpeech, faults=Faults("at_capacity"), record=0)
    no_more = ServerOptions(speech=ToneSpeech, faults=Faults("concurrency_exceeded"), record=0)
    async with (
        livekit_server(progress=tell) as livekit,
        voice_agent_server(options) as service,
        voice_agent_server(at_capacity) as full,
        voice_agent_server(no_more) as limited,
        relay_to(livekit.url) as to_livekit,
        relay_to(service.url) as to_service,
    ):
        rooms = SoakRooms(
            livekit,
            to_livekit,
            to_service,
            {Fault.AT_CAPACITY: full.url, Fault.CONCURRENCY: limited.url},
            tools,
            random,
        )
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            (folder / "agent.toml").write_text("[worker]\nmost_load = 1\n")
            env = {
                **environment(attrs.evolve(livekit, url=to_livekit.url), "none", to_service.url),
                "VOICE_AGENT_HEALTH_LISTEN": "127.0.0.1:0",
            }
            command = [*AGENT, "--config", str(folder / "agent.toml")]
            command += ["--tools", str(_BENCH / "bad_tools.py"), "--record", "{room}-{time}.jsonl"]
            for addition in ("CrashingOnTool", "EndingOnTool"):
                command += ["--actor", f"{_BENCH / 'bad_additions.py'}:{addition}"]
            command += ["serve", "--agent", AGENT_NAME, "--rooms", str(_ROOMS)]
            async with run_program(command, env, folder) as program:
                return await _soak(program, rooms, minutes, seed)


async def _soak(program: Program, rooms: SoakRooms, minutes: float, seed: int) -> Soaked:
    url = await health_of(program)
    await trio.sleep(2.5)  # LiveKit may take so long to find a worker
    watcher = Watcher(program.pid, url, lambda: len(rooms.happened))
    ends = trio.current_time() + minutes * 60
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_look, watcher)
        while trio.current_time() < ends:
            until = min(ends, trio.current_time() + _BUSY_S)
            async with trio.open_nursery() as people:
                for _ in range(_ROOMS):
                    people.start_soon(rooms.come_and_go, until)
            with trio.move_on_after(_EMPTY_WITHIN_S) as patience:
                while watcher.samples[-1].rooms:  # noqa: ASYNC110 - it is asked every two seconds
                    await trio.sleep(0.5)
            if patience.cancelled_caught:
                tell(f"after {_EMPTY_WITHIN_S:.0f} s, {watcher.samples[-1].rooms:.0f} rooms were still there")
            else:
                await trio.sleep(_QUIET_FOR_S)
                now = await watcher.look(quiet=True)
                tell(
                    f"minute {now.minute:.1f}: {now.served:.0f} rooms, {now.faults} faults; "
                    f"{now.pss_mb:.1f} MB, {now.descriptors:.0f} descriptors, {now.threads:.0f} threads, "
                    f"{now.tasks:.0f} tasks"
                )
        nursery.cancel_scope.cancel()
    return Soaked(
        minutes,
        seed,
        watcher.samples,
        [((one.at - watcher.began) / 60, one.fault.value) for one in rooms.happened],
        rooms.visits,
        _complaints(program.printed),
    )


async def _look(watcher: Watcher) -> None:
    while True:
        with contextlib.suppress(OSError, trio.TooSlowError):  # a busy machine may give no answer for once
            await watcher.look()
        await trio.sleep(_LOOKS_EVERY_S)


def _complaints(log: str) -> Counter[str]:
    return Counter(re.findall(r"\[(?:warning|error) *\] (\w+)", log))


def as_text(soaked: Soaked) -> str:
    """The table and the verdict."""
    kinds = Counter(name for _, name in soaked.faults)
    lines = ["", *table(soaked.samples), "", *verdict(soaked.samples), "", "  faults"]
    lines += [f"  {kinds[kind.value]:>6}  {kind.value}" for kind in Fault]
    lines += ["", "  rooms, as their people saw them"]
    lines += [f"  {count:>6}  {how}" for how, count in sorted(soaked.visits.items())]
    lines += ["", "  warnings and errors of the worker"]
    lines += [f"  {count:>6}  {event}" for event, count in sorted(soaked.logged.items())]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak",
        description="Lets rooms come and go at a worker, with all kinds of faults, and tells what it holds.",
    )
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture to a file")
    options = parser.parse_args(arguments)
    for flag, path in (("--json", options.json), ("--svg", options.svg)):
        if path is not None and not path.parent.is_dir():
            parser.error(f"{flag}: there is no folder {path.parent}")
    if not 0 < options.minutes <= 24 * 60:
        parser.error(f"--minutes {options.minutes:g} is not above 0, or more than a day")
    load = os.getloadavg()[0]
    soaked: Any = trio.run(until_signal, functools.partial(run, options.minutes, options.seed))
    if isinstance(soaked, int):
        return soaked
    print(heading("Soak: one worker, rooms that come and go, and faults", load, f"seed {options.seed}"))
    print(as_text(soaked))
    if options.json is not None:
        options.json.write_text(json.dumps(soaked.as_json(), indent=1) + "\n")
    if options.svg is not None:
        options.svg.write_text(soaked.as_svg())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
