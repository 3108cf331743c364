"""When the sessions of a process dial again whose sockets were all killed in the same moment.

    .venv/bin/python -m bench.storm [--sessions 20] [--times 5] [--seed 1]

So many `ApiSession`s of one process, each with a session of the playground's Voice Agent API server over a
real websocket on loopback. The server takes as long as the live one to begin a session, and refuses each
`session.resume`, as the live one does. When all have run for longer than ten seconds, it resets every socket.
Measured is, from then on, when each dials (twice: to resume, and afresh) and when it is ready; and the loop's
worst lag. Three cases in one run: each session on its own, all of them with the process's `Turns`, and
one alone. No room, no sound, no TLS; the server runs in the same process and takes its share of it.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random

import trio
from attrs import define, field, frozen

from actors.api import ApiSession
from actors.api.dialling import dial
from bench.programs import count_up_to, until_signal
from bench.report import percentile
from channels.backoff import Turns
from channels.bounded import Channel, Full
from channels.ending import end_with
from channels.happenings import Happening, SessionStarted
from channels.messages import ApiEvent, BeginSession, MicrophoneFrame, SessionOrder, ToolEvent
from channels.secret import Secret
from channels.settings import ApiAccount, ApiSettings
from channels.taps import Taps
from channels.wire.messages import ClientMessage
from playground.voice_agent_api import (
    ResumePolicy,
    ServerOptions,
    ToneSpeech,
    VoiceAgentServer,
    voice_agent_server,
)

__all__ = ["main"]

_STEADY_S = 10.5
"""A session that breaks sooner is given time on purpose."""
_READY_WITHIN_S = 60.0
_STEP_MS = 50
_ASKED_EVERY_S = 0.005


@frozen
class Storm:
    """One time that all were dropped; in ms since then."""

    dials: Sequence[float]
    ready: Sequence[float]
    lag: float
    """The loop's worst."""

    @property
    def steps(self) -> dict[int, int]:
        """How many dials there were in each step of 50 ms that has some."""
        steps: dict[int, int] = {}
        for at in sorted(self.dials):
            steps[int(at // _STEP_MS) * _STEP_MS] = steps.get(int(at // _STEP_MS) * _STEP_MS, 0) + 1
        return steps


@define
class _Crowd:
    """Sessions of one process."""

    server: VoiceAgentServer
    dials: list[float] = field(factory=list)
    ready: list[float] = field(factory=list)
    worst_s: float = 0.0

    async def dial(self, url: str) -> trio.abc.Stream:
        self.dials.append(time.monotonic())
        return await dial(url)

    def hear(self, happening: Happening) -> None:
        if isinstance(happening, SessionStarted):
            self.ready.append(time.monotonic())

    async def watch_lag(self) -> None:
        while True:
            due = trio.current_time() + _ASKED_EVERY_S
            await trio.sleep_until(due)
            self.worst_s = max(self.worst_s, trio.current_time() - due)

    async def all_ready(self, sessions: int) -> None:
        with trio.fail_after(_READY_WITHIN_S):
            while len(self.ready) < sessions:  # noqa: ASYNC110
                await trio.sleep(0.02)

    async def drop(self, sessions: int) -> Storm:
        self.dials.clear()
        self.ready.clear()
        self.worst_s = 0.0
        dropped_at = time.monotonic()
        await self.server.drop_connections()
        await self.all_ready(sessions)
        since = [[(at - dropped_at) * 1000 for at in each] for each in (self.dials, self.ready)]
        return Storm(since[0], since[1], self.worst_s * 1000)


def _channel(name: str) -> Channel[object]:
    return Channel(name, 1024, "messages", Full.DROP_OLDEST, "of a measurement")


async def _keep(crowd: _Crowd, random: Random, turns: Turns | None) -> None:
    frames: Channel[MicrophoneFrame] = _channel("frames")  # type: ignore[assignment]
    orders: Channel[SessionOrder] = _channel("orders")  # type: ignore[assignment]
    requests: Channel[ClientMessage] = _channel("requests")  # type: ignore[assignment]
    events: Channel[ApiEvent] = _channel("events")  # type: ignore[assignment]
    tools: Channel[ToolEvent] = _channel("tools")  # type: ignore[assignment]
    taps = Taps()
    taps.overhear(crowd.hear)
    session = ApiSession(
        account=ApiAccount(crowd.server.url, api_key=Secret("0" * 32)),
        settings=ApiSettings(),
        frames=frames.receiver(),
        orders=orders.receiver(),
        requests=requests.receiver(),
        happenings=taps.tap("session"),
        events=events.sender(),
        tool_events=tools.sender(),
        taps=taps,
        dialer=crowd.dial,
        random=random,
        turns=turns or Turns(random),
    )
    async with AsyncExitStack() as stack:
        for end in (frames.sender(), requests.sender(), events.receiver(), tools.receiver()):
            await stack.enter_async_context(end)
        order = await stack.enter_async_context(orders.sender())
        order.send_nowait(BeginSession(fresh=True))
        await session.run()


async def measure(sessions: int, times: int, seed: int, *, in_turns: bool) -> list[Storm]:
    """Drops so many sessions so many times."""
    random = Random(seed)
    options = ServerOptions(
        speech=ToneSpeech, resume=ResumePolicy(refuse_with="session_not_found"), record=0, chunk_ms=500
    )
    async with voice_agent_server(options) as server, trio.open_nursery() as nursery:
        crowd = _Crowd(server)
        turns = Turns(random) if in_turns else None
        for _ in range(sessions):
            nursery.start_soon(_keep, crowd, Random(random.random()), turns)
        nursery.start_soon(crowd.watch_lag)
        await crowd.all_ready(sessions)
        storms = []
        for _ in range(times):
            await trio.sleep(_STEADY_S)
            storms.append(await crowd.drop(sessions))
        nursery.cancel_scope.cancel()
    return storms


async def _run(sessions: int, times: int, seed: int) -> list[str]:
    lines = [
        f"{sessions} sessions of one process, dropped in the same moment, {times} times; seed {seed}",
        f"  {os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} before the run",
        "",
        f"  {'ms since the drop; median of the times':<40}{'dials in the':>13}{'last':>7}{'ready':>7}"
        f"{'ready':>7}{'ready':>7}{'worst':>7}",
        f"  {'':<40}{'fullest 50 ms':>13}{'dial':>7}{'first':>7}{'p50':>7}{'last':>7}{'lag':>7}",
    ]
    cases = {"each on its own": (sessions, False), "in turns": (sessions, True), "one alone": (1, True)}
    shown = []
    for name, (count, in_turns) in cases.items():
        storms = await measure(count, times, seed, in_turns=in_turns)
        columns = (
            [max(storm.steps.values()) for storm in storms],
            [max(storm.dials) for storm in storms],
            [min(storm.ready) for storm in storms],
            [percentile(storm.ready, 50) for storm in storms],
            [max(storm.ready) for storm in storms],
            [storm.lag for storm in storms],
        )
        first, *rest = (percentile([float(each) for each in column], 50) for column in columns)
        lines.append(f"  {name:<40}{first:>13.0f}" + "".join(f"{each:>7.0f}" for each in rest))
        shown += ["", f"  {name}: dials in each 50 ms, the last time"]
        shown += [f"  {at:>6} {'#' * number} {number}" for at, number in storms[-1].steps.items()]
    return [*lines, *shown, "", f"  load {os.getloadavg()[0]:.1f} at its end"]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.storm", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sessions", type=count_up_to(100), default=20, help="(default: 20)")
    parser.add_argument(
        "--times", type=count_up_to(100), default=5, help="that they are dropped (default: 5)"
    )
    parser.add_argument("--seed", type=int, default=1, help="(default: 1)")
    given = parser.parse_args(arguments)
    run = functools.partial(_run, given.sessions, given.times, given.seed)
    outcome = trio.run(until_signal, run)
    if isinstance(outcome, int):
        return outcome
    print("\n".join(outcome))
    return 0


if __name__ == "__main__":
    end_with(main)
