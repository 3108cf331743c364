"""What a caller hears when a part of the whole is killed (SIGKILL) while the agent speaks.

    .venv/bin/python -m bench.killed [--only shard,worker,node,redis,service] [--tries 5] [--json FILE]

One run on one machine, all on loopback; each try has everything anew: a Redis (the system's
`redis-server`), two LiveKit nodes that share it, the playground's Voice Agent API server as a process of
its own, and workers (`python runner.py serve`) that know both nodes. A person in a room hears an agent that
speaks without end. Then there is killed:

- shard: the process that has the room, of the two of one worker (`--processes 2`);
- worker: the worker that has the room, of two;
- node: the LiveKit node that hosts the room. The person comes back by themselves through the other node, as
  with a front end that knows both; each node has a worker;
- redis: the Redis, which is started again, empty, after five seconds;
- service: the Voice Agent API server, which is started again after one second.

Measured is, at the person's ears, from the last sound before the break to the first one after it, within 30
s; "nobody" is a try in which none came. A break begins within 15 s of the kill, and lasts for at least 400
ms: shorter ones are pauses of the voice. At the same time another person in another room, at a node that
lives, asks for an agent twice: half a second after the kill (and again until LiveKit takes it), and
three seconds after the first one is served again and what was killed is back. Whether the conversation is
the same one afterwards is read from who speaks then, and from the worker's log.

The people, the service, LiveKit and Redis run on the same machine and take their share of it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from bench.cluster import Cluster, cluster, keep_logs
from bench.cost import hush
from bench.guest import Guest, HeardFrame, join_as_guest
from bench.nodes import NAME, SEEN_AFTER_S, SPEAKS, registered, serves, worker
from bench.programs import Program, ProgramFailed, tell, until_signal
from bench.report import heading, percentile
from channels.child import start_child, stop_child, stream_of
from channels.ending import end_with
from channels.errors import VoiceAgentError, reason_of
from commands.dispatch import create_dispatch

__all__ = ["Outcome", "broken", "main"]

_ROOT = Path(__file__).resolve().parent.parent

KINDS = ("shard", "worker", "node", "redis", "service")
_GOALS_S = {"node": 10.0}
_GOAL_S = 3.0

_BREAK_S = 0.4
"""The hummed voice pauses for up to 250 ms."""
_BREAKS_WITHIN_S = 15.0
_BACK_WITHIN_S = 30.0
_VOICE_FRAMES = 10
"""Of 10 ms: half a hummed word. A shorter sound is no voice yet."""
_SPEAKS_FOR_S = 3.0
_COMES_WITHIN_S = 20.0
_MEANWHILE_S = 0.5
_SETTLED_S = 3.0
"""So long after all is back, LiveKit knows its nodes and its workers again."""
_REDIS_AWAY_S = 5.0
_SERVICE_AWAY_S = 1.0
_NOTICES_AFTER_S = 0.5
"""So long a front end takes to go to another node."""
_TRIES_AGAIN_S = 0.25


@attrs.frozen
class Broken:
    """What a person heard of a break. Times in s."""

    after_s: float
    """From the kill to the last sound before it."""
    for_s: float | None
    """From there to the first sound after it; None: none came."""
    began_again_at: float | None
    """`time.monotonic()`."""


def broken(frames: Sequence[HeardFrame], killed_at: float, heard_until: float) -> Broken | None:
    """The first break of a voice that does not stop by itself; None: there is none.

    Args:
        frames: what was heard, in order, from before the kill on.
        killed_at: `time.monotonic()` of the kill.
        heard_until: the same of the last moment at which anything could be heard.
    """
    last = next((f.at for f in reversed(frames) if f.audible and f.at <= killed_at), killed_at)
    # Only what is audible counts: the track of a dead agent goes on as silence beside the new one.
    audible = [f.at for f in frames if f.audible and f.at > killed_at]
    ends = audible[_VOICE_FRAMES - 1 :]
    sounds = [at for at, end in zip(audible, ends, strict=False) if end - at < _BREAK_S]
    for at in [*audible, heard_until]:
        if at - last >= _BREAK_S and last - killed_at <= _BREAKS_WITHIN_S:
            again = next((each for each in sounds if each >= at), None)
            return Broken(last - killed_at, None if again is None else again - last, again)
        last = at
    return None


@attrs.frozen
class Outcome:
    """One try. Times in ms."""

    gap_ms: float | None
    """How long the person heard nothing; 0: there was no break; None: the voice did not come back."""
    same_agent: bool
    """Whether the one who speaks afterwards is who spoke before."""
    sessions: int
    """That were begun for this room, in all."""
    agents: int
    """Who were in the room, in all."""
    meanwhile_ms: float | None
    """How long somebody else's agent took who was asked for right after the kill; None: none came."""
    afterwards_ms: float | None
    """The same, once the first person heard a voice again."""
    away_ms: float | None
    """How long what was killed was away, where the bench starts it again."""


class Service:
    """The playground's Voice Agent API server at one port, which can be killed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.url = ""

    async def start(self) -> None:
        """Starts it, at the same port as before."""
        command = [sys.executable, "-m", "playground.voice_agent_api", "--tones", "--echo"]
        command += ["--endpointing", "live", "--port", str(self._port)]
        env = {
            name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "PATH", "TMPDIR")
        }
        env |= {
            "PYTHONPATH": str(_ROOT),
            "ASSEMBLYAI_API_KEY": "the-bench-checks-no-key",
        }
        with (self._folder / "service.log").open("ab") as log:
            self._process = start_child(command, environ=env, stdout=subprocess.PIPE, stderr=log)
        async with stream_of(self._process.stdout) as said:
            with trio.fail_after(30):
                line = (await said.receive_some()).decode().split("\n")[0]
        if not line:
            raise ProgramFailed("the Voice Agent API server did not start", f"see {self._folder}/service.log")
        self.url = line.strip()
        self._port = int(self.url.partition("://")[2].partition("/")[0].rpartition(":")[2])

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """Ends it, cancelled or not."""
        if self._process is not None:
            await stop_child(self._process, ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)))


@attrs.define
class Scene:
    """All that runs in one try."""

    nodes: Cluster
    service: Service
    workers: Sequence[Program]
    logs: Sequence[Path]


@contextlib.asynccontextmanager
async def _scene(kind: str, folder: Path) -> AsyncIterator[Scene]:
    service = Service(folder)
    try:
        async with contextlib.AsyncExitStack() as stack:
            nodes = await stack.enter_async_context(cluster(folder, 2, tell))
            await service.start()
            processes = 2 if kind == "shard" else 1
            workers = list[Program]()
            for at in range(1 if kind == "shard" else 2):
                own = worker(nodes, at, service.url, folder / f"worker-{at}", "--processes", str(processes))
                workers.append(await stack.enter_async_context(own))
            for each in workers:
                await registered(each, processes)
            await trio.sleep(SEEN_AFTER_S)
            yield Scene(nodes, service, workers, [folder])
    finally:
        with trio.CancelScope(shield=True):
            await service.stop()


@attrs.define
class Person:
    """Somebody in a room, who can come back to it through another node."""

    room: str
    guests: list[Guest] = attrs.field(factory=list)
    _staying: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)

    async def stay(
        self, nodes: Cluster, at: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Comes, trying until LiveKit lets them in; stays until cancelled, or until they come anew."""
        # Two clients with one identity would put each other out.
        self._staying.cancel()
        with trio.CancelScope() as self._staying:
            while True:
                with contextlib.suppress(Exception):  # the SDK's, of many kinds
                    async with join_as_guest(nodes.node(at), self.room) as guest:
                        self.guests.append(guest)
                        task_status.started()
                        await hush(guest)
                await trio.sleep(_TRIES_AGAIN_S)

    @property
    def heard(self) -> list[HeardFrame]:
        """All of it, in order."""
        return sorted((frame for guest in self.guests for frame in guest.heard), key=lambda frame: frame.at)

    @property
    def agents(self) -> set[str]:
        """Who were in the room."""
        return set().union(*(guest.agent_tracks for guest in self.guests))

    async def hear_voice(self, since: float, within_s: float) -> bool:
        """Waits for a sound; gives whether it came."""
        with trio.move_on_after(within_s):
            while not any(  # noqa: ASYNC110 - there may be several guests
                f.audible and f.at > since for g in self.guests for f in g.heard[-300:]
            ):
                await trio.sleep(0.05)
            return True
        return False


async def _ask(scene: Scene, at: int) -> float | None:
    """Somebody asks for an agent in a room of their own, until LiveKit takes it: how long it took (ms)."""
    room = f"other-{secrets.token_hex(4)}"
    since = time.monotonic()
    with trio.move_on_after(_COMES_WITHIN_S):
        async with trio.open_nursery() as nursery:
            person = Person(room)
            await nursery.start(person.stay, scene.nodes, at)
            while True:
                try:
                    await create_dispatch(scene.nodes.account(at), room, NAME)
                    break
                except VoiceAgentError:
                    await trio.sleep(_TRIES_AGAIN_S)
            while not person.agents:  # noqa: ASYNC110 - a guest has no event for it
                await trio.sleep(0.01)
            took_ms = (time.monotonic() - since) * 1000
            nursery.cancel_scope.cancel()
        return took_ms
    return None


def _busiest_process(program: Program) -> int:
    """The one with a room has the sockets."""
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    return max((int(each) for each in children), key=lambda pid: len(os.listdir(f"/proc/{pid}/fd")))


@attrs.define
class Away:
    """What was killed, and when it came back (`time.monotonic()`)."""

    killed_at: float
    comes_back: bool = False
    back: trio.Event = attrs.field(factory=trio.Event)
    back_at: float | None = None


async def _kill(kind: str, scene: Scene, agent: str, host: int, nursery: trio.Nursery) -> Away:
    """Kills; what is to be started again comes back in the nursery."""
    away = Away(time.monotonic(), comes_back=kind in ("redis", "service"))

    async def again(start: Callable[[], Awaitable[None]], after_s: float) -> None:
        await trio.sleep(after_s)
        await start()
        away.back_at = time.monotonic()
        away.back.set()

    match kind:
        case "shard":
            os.kill(_busiest_process(scene.workers[0]), signal.SIGKILL)
        case "worker":
            next(each for each in scene.workers if serves(each, agent)).kill()
        case "node":
            await scene.nodes.kill(host)
        case "redis":
            scene.nodes.redis.kill()
            nursery.start_soon(again, scene.nodes.redis.start, _REDIS_AWAY_S)
        case "service":
            scene.service.kill()
            nursery.start_soon(again, scene.service.start, _SERVICE_AWAY_S)
    return away


async def _try(kind: str, folder: Path) -> Outcome:
    async with _scene(kind, folder) as scene, trio.open_nursery() as nursery:
        room = f"killed-{secrets.token_hex(4)}"
        person = Person(room)
        await nursery.start(person.stay, scene.nodes, 0)
        await create_dispatch(scene.nodes.account(0), room, NAME, json.dumps({"template": SPEAKS}))
        if not await person.hear_voice(0.0, _COMES_WITHIN_S):
            raise scene.workers[0].failure("its agent was not heard")
        await trio.sleep(_SPEAKS_FOR_S)
        (agent,) = person.agents
        host = await scene.nodes.host_of(room)
        if host is None:
            raise ProgramFailed("LiveKit does not say where the room is", "see the nodes' logs")
        alive = 1 - host
        meanwhile: list[float | None] = []
        away = await _kill(kind, scene, agent, host, nursery)
        killed_at = away.killed_at
        heard: Broken | None = None

        async def other() -> None:
            await trio.sleep(_MEANWHILE_S)
            meanwhile.append(await _ask(scene, alive))

        async def come_back() -> None:
            await trio.sleep(_NOTICES_AFTER_S)
            nursery.start_soon(person.stay, scene.nodes, alive)

        async with trio.open_nursery() as both:
            both.start_soon(other)
            if kind == "node":
                both.start_soon(come_back)
            # The voice breaks, and comes back.
            while (now := time.monotonic()) - killed_at < _BREAKS_WITHIN_S + _BACK_WITHIN_S:
                heard = broken(person.heard, killed_at, now)
                if heard is None and now - killed_at > _BREAKS_WITHIN_S:
                    break
                if heard is not None and heard.began_again_at is not None:
                    break
                if heard is not None and now - killed_at > heard.after_s + _BACK_WITHIN_S:
                    break
                await trio.sleep(0.1)
        if away.comes_back:
            await away.back.wait()
        await trio.sleep(_SETTLED_S)
        afterwards = await _ask(scene, alive)
        agents = person.agents
        gap_ms = 0.0 if heard is None else None if heard.for_s is None else heard.for_s * 1000
        printed = "\n".join(each.printed for each in scene.workers)
        sessions = sum("session_started" in line and room in line for line in printed.splitlines())
        outcome = Outcome(
            gap_ms,
            gap_ms is not None and agents == {agent},
            sessions,
            len(agents),
            meanwhile[0],
            afterwards,
            None if away.back_at is None else (away.back_at - killed_at) * 1000,
        )
        nursery.cancel_scope.cancel()
    return outcome


async def run(
    kinds: Sequence[str], tries: int, into: Path | None = None, logs: Path | None = None
) -> dict[str, list[Outcome]]:
    """All tries of all kinds; one whose parts do not start is left out, and said to be.

    Args:
        kinds: what is killed.
        tries: of each.
        into: where the figures go after each try.
        logs: where the logs of all parts go; None: nowhere.
    """
    done: dict[str, list[Outcome]] = {kind: [] for kind in kinds}
    for number in range(tries):
        for kind in kinds:
            try:
                with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                    try:
                        done[kind].append(await _try(kind, Path(folder)))
                    finally:
                        keep_logs(Path(folder), None if logs is None else logs / f"{kind}-{number + 1}")
            except (VoiceAgentError, BaseExceptionGroup) as error:
                reason = reason_of(error)
                if reason is None:
                    raise
                tell(f"{kind} {number + 1} of {tries} is left out: {reason.what}")
                continue
            tell(f"{kind} {number + 1} of {tries}: {_line(done[kind][-1])}")
            if into is not None:
                told = {each: [attrs.asdict(one) for one in ones] for each, ones in done.items()}
                await trio.Path(into).write_text(json.dumps(told, indent=1) + "\n")
    return done


def _line(one: Outcome) -> str:
    gap = "nobody comes" if one.gap_ms is None else f"{one.gap_ms:,.0f} ms"
    return (
        f"{gap}, {'the same agent' if one.same_agent else 'another agent'}, {one.agents} agents, "
        f"{one.sessions} sessions, meanwhile {_ms(one.meanwhile_ms)}, afterwards {_ms(one.afterwards_ms)}, "
        f"away {_ms(one.away_ms)}"
    )


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f}"


def table(done: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """What is printed."""
    head = f"  {'killed':<9}{'tries':>6}{'nobody':>8}{'p50, ms':>9}{'max':>8}{'goal':>8}"
    lines = [f"{head}  {'same agent':>11}{'sessions':>10}{'meanwhile':>11}{'afterwards':>12}"]
    for kind, tries in done.items():
        gaps = [each.gap_ms for each in tries if each.gap_ms is not None]
        figures = (percentile(gaps, 50), max(gaps)) if gaps else (None, None)
        cells = "".join(f"{_ms(value):>{width}}" for value, width in zip(figures, (9, 8), strict=True))
        same = sum(each.same_agent for each in tries)
        sessions = max((each.sessions for each in tries), default=0)
        asked = "".join(
            f"{f'{sum(came is not None for came in times)} of {len(times)}':>{width}}"
            for width, times in (
                (11, [each.meanwhile_ms for each in tries]),
                (12, [each.afterwards_ms for each in tries]),
            )
        )
        goal_ms = _GOALS_S.get(kind, _GOAL_S) * 1000
        lines.append(
            f"  {kind:<9}{len(tries):>6}{len(tries) - len(gaps):>8}{cells}{goal_ms:>8,.0f}"
            f"  {f'{same} of {len(tries)}':>11}{sessions:>10}{asked}"
        )
    lines += ["", f"  {'ms':<34}{'p50':>8}{'max':>8}"]
    for kind, tries in done.items():
        for title, times in (
            ("it was away for", [each.away_ms for each in tries if each.away_ms is not None]),
            (
                "another agent meanwhile",
                [each.meanwhile_ms for each in tries if each.meanwhile_ms is not None],
            ),
            (
                "another agent afterwards",
                [each.afterwards_ms for each in tries if each.afterwards_ms is not None],
            ),
        ):
            if times:
                lines.append(f"  {f'{kind}: {title}':<34}{percentile(times, 50):>8,.0f}{max(times):>8,.0f}")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.killed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", default=",".join(KINDS), metavar="KIND,…", help="of: %(default)s")
    parser.add_argument("--tries", type=int, default=5, help="of each kind (default: %(default)s)")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep what each part logs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    options = parser.parse_args(arguments)
    kinds = options.only.split(",")
    if unknown := [each for each in kinds if each not in KINDS]:
        parser.error(f"--only knows no {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if not 1 <= options.tries <= 50:
        parser.error("--tries is a number from 1 to 50")
    load = os.getloadavg()[0]
    done: Any = trio.run(
        until_signal, functools.partial(run, kinds, options.tries, options.json, options.logs)
    )
    if isinstance(done, int):
        return done
    print(
        heading("Killed: from the last sound before to the first one after it, at a caller in the room", load)
        + "\n"
    )
    print("\n".join(table(done)))
    return 0


if __name__ == "__main__":
    end_with(main)
